//! `Ordering`: one view of the order: which node was taken while which was held, and the cycles in
//! that.
//!
//! Key type: [`Ordering`]. Nodes are numbers; the class view and the instance view are two of
//! these.
//!
//! **Readers.** An rwsem is writer-fair: a reader waits behind a waiting writer, so a reader that
//! holds it keeps another reader waiting as soon as a writer queues up between them. Where any task
//! ever waits for a node exclusively, shared and exclusive are therefore the same. Where no task
//! does, readers never wait for readers, and what was taken under a shared hold is put off until a
//! task does. Written from docs/kernel/lockdep.md, "Prediction".

use std::collections::BTreeMap;

use indexmap::IndexMap;
use indexmap::map::Entry;
use rustc_hash::FxBuildHasher;

use super::dag::Dag;

/// At most this many cycles of one view are reported.
const MAX_CYCLES: usize = 1 << 10;

/// An edge by its position in the graph's list.
pub(super) type EdgeId = u32;

/// What is known of an edge.
#[derive(Clone, Copy, Debug)]
struct KnownEdge {
    edge: EdgeId,
    /// It is not put off.
    counts: bool,
}

/// One view.
#[derive(Clone, Debug, Default)]
pub(super) struct Ordering {
    dag: Dag,
    edges: IndexMap<(u32, u32), KnownEdge, FxBuildHasher>,
    /// By node, whither edges from it were put off.
    put_off: BTreeMap<u32, Vec<u32>>,
    /// By node.
    writers: Vec<bool>,
    told: usize,
}

impl Ordering {
    /// The edge, if it is known, put off or not.
    pub(super) fn edge(&self, from: u32, to: u32) -> Option<EdgeId> {
        self.edges.get(&(from, to)).map(|known| known.edge)
    }

    /// Whether the edge is known and not put off.
    pub(super) fn counts(&self, from: u32, to: u32) -> bool {
        self.edges.get(&(from, to)).is_some_and(|known| known.counts)
    }

    /// Whether a shared hold of `node` keeps another reader waiting.
    pub(super) fn has_writer(&self, node: u32) -> bool {
        self.writers.get(node as usize).is_some_and(|writer| *writer)
    }

    /// `to` was taken while `from` was held, `shared` or not. New cycles: their nodes, the last
    /// edge being this one.
    pub(super) fn link(&mut self, from: u32, to: u32, shared: bool, edge: EdgeId) -> Vec<Vec<u32>> {
        let counts = !shared || self.has_writer(from);
        match self.edges.entry((from, to)) {
            Entry::Vacant(place) => {
                place.insert(KnownEdge { edge, counts });
                if !counts {
                    self.put_off.entry(from).or_default().push(to);
                    return Vec::new();
                }
            }
            Entry::Occupied(known) if known.get().counts || !counts => return Vec::new(),
            Entry::Occupied(mut known) => *known.get_mut() = KnownEdge { edge, counts },
        }
        let mut cycles = self.dag.insert(from, to);
        // Each contains the new edge, so none is reported twice.
        cycles.truncate(MAX_CYCLES - self.told);
        self.told += cycles.len();
        cycles
    }

    /// See [`Dag::depths`].
    pub(super) fn depths(&self, of: impl Fn(u32) -> bool) -> Vec<(u32, u32)> {
        self.dag.depths(of)
    }

    /// Somebody waits for `node` exclusively: what was put off counts. New cycles, each with its
    /// last edge.
    pub(super) fn writer(&mut self, node: u32) -> Vec<Vec<u32>> {
        if self.has_writer(node) {
            return Vec::new();
        }
        if self.writers.len() <= node as usize {
            self.writers.resize(node as usize + 1, false);
        }
        self.writers[node as usize] = true;
        let mut waiting = self.put_off.remove(&node).unwrap_or_default();
        waiting.sort_unstable();
        let mut cycles = Vec::new();
        for to in waiting {
            let first = self.edge(node, to);
            cycles.extend(first.into_iter().flat_map(|edge| self.link(node, to, true, edge)));
        }
        cycles
    }
}

#[cfg(test)]
mod tests;
