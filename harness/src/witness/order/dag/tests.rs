//! The graph against a search by brute force, on random graphs.

use super::{Dag, MAX_WAYS};
use crate::sched::SplitMix64;

const NODES: u32 = 60;
const EDGES: u32 = 200;
const SEEDS: u64 = 60;

/// Whether `start` reaches `goal`, looking at every edge.
fn reaches(edges: &[(u32, u32)], start: u32, goal: u32) -> bool {
    let mut reached = vec![start];
    let mut next = 0;
    while let Some(node) = reached.get(next).copied() {
        for (from, to) in edges {
            if *from == node && !reached.contains(to) {
                reached.push(*to);
            }
        }
        next += 1;
    }
    reached.contains(&goal)
}

/// Random edges, all along a hidden order.
fn acyclic(random: &mut SplitMix64) -> Vec<(u32, u32)> {
    let mut hidden: Vec<u32> = (0..NODES).collect();
    for at in (1..NODES).rev() {
        hidden.swap(at as usize, random.below(at + 1) as usize);
    }
    let mut edges = Vec::new();
    while edges.len() < EDGES as usize {
        let (a, b) = (random.below(NODES), random.below(NODES));
        let edge = (hidden[a.min(b) as usize], hidden[a.max(b) as usize]);
        if a != b && !edges.contains(&edge) {
            edges.push(edge);
        }
    }
    edges
}

#[test]
fn acyclic_orders_are_never_reported_and_one_edge_back_always_is() {
    for seed in 0..SEEDS {
        let mut random = SplitMix64(seed);
        let edges = acyclic(&mut random);
        let mut dag = Dag::default();
        for (from, to) in &edges {
            assert!(dag.insert(*from, *to).is_empty(), "seed {seed}");
        }
        let (from, to) = loop {
            let (from, to) = (random.below(NODES), random.below(NODES));
            if from != to && reaches(&edges, to, from) {
                break (from, to);
            }
        };
        let cycles = dag.insert(from, to);
        assert!(!cycles.is_empty(), "seed {seed}: {from} -> {to} closes one");
        for cycle in cycles {
            assert_eq!((cycle.first(), cycle.last()), (Some(&to), Some(&from)));
            assert!(
                cycle.windows(2).all(|pair| edges.contains(&(pair[0], pair[1]))),
                "seed {seed}: {cycle:?}"
            );
        }
    }
}

#[test]
fn whatever_the_edges_each_is_judged_as_by_brute_force() {
    for seed in 0..SEEDS {
        let mut random = SplitMix64(seed);
        let (mut dag, mut edges, mut closed) = (Dag::default(), Vec::new(), 0);
        while edges.len() < EDGES as usize / 2 {
            let edge = (random.below(NODES), random.below(NODES));
            if edges.contains(&edge) {
                continue;
            }
            let expect = edge.0 == edge.1 || reaches(&edges, edge.1, edge.0);
            let cycles = dag.insert(edge.0, edge.1);
            assert_eq!(!cycles.is_empty(), expect, "seed {seed}, edge {} {edge:?}", edges.len());
            assert_ordered(&dag);
            closed += u32::from(expect);
            edges.push(edge);
        }
        assert!(closed > 0, "seed {seed} tests nothing");
    }
}

/// The order is a permutation, and every edge in it goes up.
#[track_caller]
fn assert_ordered(dag: &Dag) {
    let mut places = dag.place.clone();
    places.sort_unstable();
    assert!(
        places.iter().zip(0..).all(|(place, at)| *place == at),
        "a permutation: {:?}",
        dag.place
    );
    for (from, to) in
        dag.out.iter().zip(0..).flat_map(|(out, from)| out.iter().map(move |to| (from, *to)))
    {
        assert!(dag.place[from as usize] < dag.place[to as usize], "{from} -> {to}");
        assert!(dag.into[to as usize].contains(&from), "{from} -> {to} is known from both ends");
    }
}

#[test]
fn an_edge_is_beside_the_order_only_if_it_closes_a_cycle() {
    for seed in 0..SEEDS {
        let mut dag = Dag::default();
        let edges = acyclic(&mut SplitMix64(seed));
        for (from, to) in &edges {
            dag.insert(*from, *to);
        }
        assert!(dag.back.is_empty() && dag.back_into.is_empty(), "seed {seed}");
        assert_eq!(dag.out.iter().map(Vec::len).sum::<usize>(), edges.len(), "seed {seed}");
    }
}

#[test]
fn an_edge_that_agrees_with_the_order_moves_nothing() {
    let mut dag = Dag::default();
    for (from, to) in [(0, 1), (1, 2), (0, 2), (2, 3)] {
        dag.insert(from, to);
        assert!(dag.place.iter().zip(0..).all(|(place, at)| *place == at), "{from} -> {to}");
    }
}

#[test]
fn only_the_stretch_between_the_ends_is_repaired() {
    let mut dag = Dag::default();
    for (from, to) in [(0, 1), (2, 3), (4, 5), (6, 7)] {
        dag.insert(from, to);
    }
    dag.insert(4, 3);
    assert_eq!(dag.place, [0, 1, 2, 4, 3, 5, 6, 7]);
}

#[test]
fn the_shortest_cycle_is_reported_first() {
    let mut dag = Dag::default();
    for (from, to) in [(0, 1), (1, 2), (2, 3), (0, 3), (0, 4), (4, 3)] {
        assert!(dag.insert(from, to).is_empty());
    }
    assert_eq!(dag.insert(3, 0), [vec![0, 3], vec![0, 4, 3], vec![0, 1, 2, 3]]);
}

#[test]
fn of_many_cycles_some_are_reported() {
    for ways in [MAX_WAYS, MAX_WAYS + 1] {
        let mut dag = Dag::default();
        for middle in 2..2 + u32::try_from(ways).unwrap() {
            dag.insert(0, middle);
            dag.insert(middle, 1);
        }
        assert_eq!(dag.insert(1, 0).len(), MAX_WAYS);
    }
}

#[test]
fn a_cycle_over_an_edge_beside_the_order_is_found() {
    let mut dag = Dag::default();
    dag.insert(0, 1);
    assert_eq!(dag.insert(1, 0), [[0, 1]]);
    dag.insert(0, 2);
    // Only the edge back leads from 1 to 0.
    assert_eq!(dag.insert(2, 1), [vec![1, 0, 2]]);
}

#[test]
fn an_edge_above_or_below_what_goes_back_costs_no_search() {
    let mut dag = Dag::default();
    for (from, to) in [(0, 1), (2, 3), (4, 5), (3, 2)] {
        dag.insert(from, to);
    }
    assert!(dag.may_go_back(2, 3) && dag.may_go_back(0, 5), "a way may come by 3 and go on from 2");
    assert!(!dag.may_go_back(5, 4), "it begins behind 3");
    assert!(!dag.may_go_back(1, 0), "it ends before 2");
}

#[test]
fn a_node_that_leads_to_itself_is_a_cycle_of_one() {
    assert_eq!(Dag::default().insert(3, 3), [[3]]);
}

#[test]
fn each_search_is_a_round_of_its_own() {
    let mut dag = Dag::default();
    for (from, to) in [(0, 1), (3, 2), (5, 4)] {
        dag.insert(from, to);
    }
    // Two edges against the order: a search and a repair for each, and no marks are wiped between.
    assert_eq!(dag.stamp, 4);
    assert!(dag.seen.contains(&1) && dag.seen.contains(&3));
}

#[test]
fn marks_of_an_earlier_round_are_none_of_this_one_when_the_numbers_of_rounds_run_out() {
    let mut dag = Dag::default();
    dag.insert(0, 1);
    // Every node was seen in what will be the next round but one.
    dag.stamp = u32::MAX;
    dag.seen.fill(1);
    assert_eq!(dag.insert(1, 0), [[0, 1]]);
    assert!(dag.stamp < 10);
}

/// The depths of the even nodes, in a graph of `edges`.
#[track_caller]
fn check_depths(edges: &[(u32, u32)], expect: &[(u32, u32)]) {
    let mut dag = Dag::default();
    for (from, to) in edges {
        assert!(dag.insert(*from, *to).is_empty());
    }
    assert_eq!(dag.depths(|node| node % 2 == 0), expect);
}

#[test]
fn the_depth_is_the_most_that_come_before_on_a_way() {
    check_depths(&[(0, 2), (2, 4)], &[(0, 0), (2, 1), (4, 2)]);
    check_depths(&[(4, 2), (2, 0), (4, 0)], &[(4, 0), (2, 1), (0, 2)]);
    // By others that are not asked for.
    check_depths(&[(0, 1), (1, 2), (3, 2)], &[(0, 0), (2, 1)]);
}

#[test]
fn what_no_other_of_them_comes_before_or_after_has_no_depth() {
    check_depths(&[(0, 1), (3, 2)], &[]);
}
