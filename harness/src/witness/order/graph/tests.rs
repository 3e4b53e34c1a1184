//! The key by which a combination is known, and the mixer below it.

use std::collections::BTreeSet;

use super::super::held::Key;
use super::super::node::{Level, Node};
use super::*;
use crate::sched::SplitMix64;

const NODES: std::ops::Range<NodeId> = 0..9;
const FLAGS: [bool; 2] = [false, true];

fn hold(node: NodeId, shared: bool, waited: bool) -> Hold {
    Hold { node, shared, waited, site: None, key: Key::Reclaim, via: None }
}

fn taking(node: NodeId, shared: bool, primed: bool) -> Taking {
    Taking {
        node,
        shared,
        mask: None,
        site: None,
        task: TaskId(0),
        seq: 0,
        time: Nanos(0),
        primed,
        alone: false,
    }
}

#[test]
fn the_mixer_is_the_finish_of_splitmix64() {
    for word in [0, 1, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
        for hash in [0, 1, 0xfedc_ba98_7654_3210, u64::MAX - 3] {
            let state = hash.rotate_left(5) ^ word;
            assert_eq!(mix(hash, word), SplitMix64(state).next_u64(), "{hash:x} {word:x}");
        }
    }
}

#[test]
fn whatever_differs_in_what_is_taken_or_held_has_another_key() {
    let mut keys = BTreeSet::new();
    let mut count = 0;
    for node in NODES {
        for (one, other) in FLAGS.into_iter().flat_map(|one| FLAGS.map(|other| (one, other))) {
            let with = [
                chain_key(&[], &taking(node, one, other)),
                chain_key(&[hold(node, one, other)], &taking(1, false, false)),
                chain_key(
                    &[hold(node, one, other), hold(2, false, true)],
                    &taking(1, false, false),
                ),
                chain_key(
                    &[hold(2, false, true), hold(node, one, other)],
                    &taking(3, false, false),
                ),
            ];
            count += with.len();
            keys.extend(with);
        }
    }
    assert_eq!(keys.len(), count);
}

#[test]
fn what_no_key_depends_on_is_no_other_combination() {
    let held = [hold(1, false, true)];
    let later = Taking { seq: 9, time: Nanos(9), task: TaskId(3), ..taking(2, false, false) };
    assert_eq!(chain_key(&held, &later), chain_key(&held, &taking(2, false, false)));
}

#[test]
fn a_graph_says_how_many_edges_it_has() {
    let mut graph = OrderGraph::default();
    assert_eq!((graph.len(), graph.is_empty()), (0, true));
    let [any, io, fs] = [Level::Any, Level::Io, Level::Fs]
        .map(|level| graph.nodes.id(Node::reclaim(level)).unwrap());
    for (node, edges) in [(io, 1), (io, 1), (fs, 2)] {
        graph.take(&[hold(any, false, true)], &taking(node, false, false), "t");
        assert_eq!((graph.len(), graph.is_empty()), (edges, false));
    }
}

#[test]
fn depths_are_those_of_one_kind_and_class() {
    let mut graph = OrderGraph::default();
    let mut node = |kind, name| graph.nodes.id(Node::named(kind, name, 0)).unwrap();
    let (upper, lower) = (node(NodeKind::Requests, "loop1"), node(NodeKind::Requests, "loop0"));
    // A work queue of the same class, and requests of another.
    let (work, disk) = (node(NodeKind::Work, "loop2"), node(NodeKind::Requests, "vda"));
    let mut cycles = Vec::new();
    for (from, to) in [(upper, lower), (lower, work), (lower, disk)] {
        cycles.extend(graph.take(&[hold(from, false, true)], &taking(to, false, false), "t"));
    }
    let cycle = cycles.iter_mut().find(|cycle| cycle.class_only).expect("two of one class");
    graph.settle(cycle);
    let depths =
        cycle.collisions[0].depths.iter().map(|(node, depth)| (node.instance.as_str(), *depth));
    assert_eq!(depths.collect::<Vec<_>>(), [("loop1", 0), ("loop0", 1)]);
}
