//! The graph against a search by brute force, on random graphs.

use super::Dag;
use crate::sched::native::SplitMix64;

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
            closed += u32::from(expect);
            edges.push(edge);
        }
        assert!(closed > 0, "seed {seed} tests nothing");
    }
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
