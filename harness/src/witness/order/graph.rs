//! `OrderGraph`: everything that runs have shown about order, in both views.
//!
//! Key types: [`OrderGraph`], [`Taking`]. A value: it can be copied, and carried from one run to
//! the next. Nothing in it is a number of a world. The instance view is exact; the class view
//! predicts more, and takes two things of one class for one. Written from docs/kernel/lockdep.md,
//! "Prediction", "False positives" and "What the annotation cannot see".

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::cycle::{Collision, Cycle, Edge};
use super::held::Hold;
use super::node::{NodeId, NodeKind, Nodes};
use super::ordering::{EdgeId, Ordering};
use crate::event::{Gfp, Site, TaskId};
use crate::units::Nanos;

/// Edges beyond these are not kept.
const MAX_EDGES: usize = 1 << 20;
/// At most this many nodes of one class are listed with their depths.
const MAX_DEPTHS: usize = 16;
/// Combinations beyond this number are not remembered, and are looked at each time.
const MAX_CHAINS: usize = 1 << 20;

/// What was taken, where, on which task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    pub(super) node: NodeId,
    pub(super) shared: bool,
    pub(super) mask: Option<Gfp>,
    pub(super) site: Option<Site>,
    pub(super) task: TaskId,
    pub(super) seq: u64,
    pub(super) time: Nanos,
    pub(super) primed: bool,
    /// Of a condition: only this task promised to signal it.
    pub(super) alone: bool,
}

/// An edge as first seen.
#[derive(Clone, Debug)]
struct SeenEdge {
    from: Hold,
    taking: Taking,
    held: Box<[NodeId]>,
    task_name: u32,
    run: u32,
}

/// Everything that runs have shown about order.
#[derive(Clone, Debug, Default)]
pub struct OrderGraph {
    pub(super) nodes: Nodes,
    instances: Ordering,
    classes: Ordering,
    edges: Vec<SeenEdge>,
    task_names: Vec<String>,
    task_ids: BTreeMap<String, u32>,
    /// Hashes of the combinations of held and taken that were looked at.
    looked_at: IndexSet<u64, FxBuildHasher>,
    run: u32,
}

impl OrderGraph {
    /// A new run begins.
    pub(super) fn begin_run(&mut self) {
        self.run = self.run.saturating_add(1);
    }

    /// How many edges the instance view has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether nothing was learned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Which lock, by class, was held while which was waited for, as the edges have it. A lock that
    /// was only tried is never the second of a pair.
    #[must_use]
    pub fn lock_pairs(&self) -> BTreeSet<(String, String)> {
        let lock = |node: NodeId| {
            let node = self.nodes.get(node);
            (node.kind == NodeKind::Lock).then(|| node.class.clone())
        };
        self.edges
            .iter()
            .filter_map(|seen| Some((lock(seen.from.node)?, lock(seen.taking.node)?)))
            .collect()
    }

    /// The number that `name` of a task has in the graph's own list.
    fn task_name(&mut self, name: &str) -> u32 {
        if let Some(id) = self.task_ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.task_names.len()).unwrap_or(u32::MAX);
        self.task_names.push(name.to_owned());
        self.task_ids.insert(name.to_owned(), id);
        id
    }

    /// A task waits for `node` exclusively, so readers wait for readers from now on. Returns the
    /// cycles that this closes.
    pub(super) fn writer(&mut self, node: NodeId) -> Vec<Cycle> {
        let mut cycles: Vec<Cycle> = self
            .instances
            .writer(self.nodes.exact(node))
            .iter()
            .map(|way| self.cycle(&self.instances, way, false))
            .collect();
        for way in self.classes.writer(self.nodes.class(node)) {
            self.add_class_cycle(&way, &mut cycles);
        }
        cycles
    }

    /// Records `taking` under the last of `held` and, while what is held did not itself wait to be
    /// taken, under those before it: from there on the edges are known. Cycles that are new, in
    /// both views.
    pub(super) fn take(&mut self, held: &[Hold], taking: &Taking, task: &str) -> Vec<Cycle> {
        let mut cycles = Vec::new();
        if !self.is_new(chain_key(held, taking)) {
            return cycles;
        }
        for (depth, hold) in held.iter().enumerate().rev() {
            self.link(&held[..=depth], taking, task, &mut cycles);
            if hold.waited && !self.is_put_off(hold) {
                break;
            }
        }
        cycles
    }

    /// Whether every level of reclaim up to the `widest`-th is taken under `held` for the first
    /// time.
    pub(super) fn are_new_levels(&mut self, held: &[Hold], widest: usize, primed: bool) -> bool {
        self.is_new(key(held, !(widest as u64) << 1 | u64::from(primed)))
    }

    fn is_new(&mut self, key: u64) -> bool {
        self.looked_at.len() >= MAX_CHAINS || self.looked_at.insert(key)
    }

    /// Whether what is taken under `hold` may not count yet, so that it leads nowhere.
    fn is_put_off(&self, hold: &Hold) -> bool {
        let class = self.nodes.class(hold.node);
        hold.shared
            && !(self.classes.has_writer(class)
                && self.instances.has_writer(self.nodes.exact(hold.node)))
    }

    /// Adds the edge from the last of `held` in both views.
    fn link(&mut self, held: &[Hold], taking: &Taking, task: &str, cycles: &mut Vec<Cycle>) {
        let Some(hold) = held.last() else {
            return;
        };
        let (from, to) = (self.nodes.exact(hold.node), self.nodes.exact(taking.node));
        // A task may have several elements of a pool, which are alike. Others may have promised the
        // condition too, and can signal it.
        let alike = match self.nodes.get(from).kind {
            NodeKind::Pool => true,
            NodeKind::Condition => !taking.alone,
            _ => false,
        };
        if from == to && alike {
            return;
        }
        let Some(edge) = self.edge(held, taking, task) else {
            return;
        };
        let exact = self.instances.link(from, to, hold.shared, edge);
        let known = !exact.is_empty();
        cycles.extend(exact.iter().map(|way| self.cycle(&self.instances, way, false)));
        if from == to {
            return;
        }
        let (from, to) = (self.nodes.class(hold.node), self.nodes.class(taking.node));
        let ways = self.classes.link(from, to, hold.shared, edge);
        for way in ways.iter().filter(|_| !known) {
            self.add_class_cycle(way, cycles);
        }
    }

    /// The edge from the last of `held`, old or new. One that happened replaces one that was only
    /// claimed.
    fn edge(&mut self, held: &[Hold], taking: &Taking, task: &str) -> Option<EdgeId> {
        let from = *held.last()?;
        let known = self.instances.edge(self.nodes.exact(from.node), self.nodes.exact(taking.node));
        let claimed = |id: EdgeId| self.edges[id as usize].taking.primed && !taking.primed;
        if let Some(id) = known.filter(|id| !claimed(*id)) {
            return Some(id);
        }
        let task_name = self.task_name(task);
        let held = held.iter().map(|hold| hold.node).collect();
        let seen = SeenEdge { from, taking: *taking, held, task_name, run: self.run };
        match known {
            Some(id) => self.edges[id as usize] = seen,
            None if self.edges.len() < MAX_EDGES => self.edges.push(seen),
            None => return None,
        }
        known.or_else(|| u32::try_from(self.edges.len() - 1).ok())
    }

    /// A cycle that the class view has, unless it is one of the instance view over edges seen
    /// before.
    fn add_class_cycle(&self, way: &[u32], cycles: &mut Vec<Cycle>) {
        let cycle = self.cycle(&self.classes, way, true);
        let counts = |edge: EdgeId| {
            let SeenEdge { from, taking, .. } = &self.edges[edge as usize];
            self.instances.counts(self.nodes.exact(from.node), self.nodes.exact(taking.node))
        };
        let mut edges = round(way).filter_map(|(from, to)| self.classes.edge(from, to));
        if !cycle.collisions.is_empty() || !edges.all(counts) {
            cycles.push(cycle);
        }
    }

    fn cycle(&self, view: &Ordering, way: &[u32], class_only: bool) -> Cycle {
        let edges: Vec<Edge> = round(way)
            .filter_map(|(from, to)| view.edge(from, to))
            .map(|edge| self.tell(edge))
            .collect();
        let after = |place: usize| &edges[(place + 1) % edges.len()];
        let apart = |(place, edge): (usize, &Edge)| {
            let (taken, held) = (edge.to.clone(), after(place).from.clone());
            let same = (&taken.instance, taken.nth) == (&held.instance, held.nth);
            (!same).then_some(Collision { taken, held, depths: Vec::new() })
        };
        let collisions = edges.iter().enumerate().filter_map(apart).collect();
        Cycle { edges, class_only, collisions }
    }

    /// Fills in the depths of what `cycle` takes for one, as everything learned up to now has them.
    pub(super) fn settle(&self, cycle: &mut Cycle) {
        for Collision { taken, depths, .. } in &mut cycle.collisions {
            let same = |id: NodeId| {
                let node = self.nodes.get(id);
                node.kind == taken.kind && node.class == taken.class
            };
            let deep = self.instances.depths(same);
            let named = deep.into_iter().take(MAX_DEPTHS);
            *depths = named.map(|(id, depth)| (self.nodes.get(id).clone(), depth)).collect();
        }
    }

    fn tell(&self, edge: EdgeId) -> Edge {
        let SeenEdge { from, taking, held, task_name, run } = &self.edges[edge as usize];
        Edge {
            from: self.nodes.get(from.node).clone(),
            from_shared: from.shared,
            from_site: from.site,
            to: self.nodes.get(taking.node).clone(),
            to_shared: taking.shared,
            mask: taking.mask,
            site: taking.site,
            held: held.iter().map(|node| self.nodes.get(*node).clone()).collect(),
            task: taking.task,
            task_name: self.task_names[*task_name as usize].clone(),
            runs_ago: self.run - run,
            seq: taking.seq,
            time: taking.time,
            primed: taking.primed,
            declared: None,
        }
    }
}

/// The edges of a cycle of nodes; the last one leads from its end to its beginning.
fn round(way: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    way.iter().copied().zip(way.iter().copied().cycle().skip(1))
}

/// What the combination of held and taken is known by. Two of one hash count as one, as in lockdep.
fn chain_key(held: &[Hold], taking: &Taking) -> u64 {
    let flags = u64::from(taking.shared) << 1 | u64::from(taking.primed);
    key(held, u64::from(taking.node) << 3 | u64::from(taking.alone) << 2 | flags)
}

fn key(held: &[Hold], taken: u64) -> u64 {
    let held = held.iter().map(|hold| {
        u64::from(hold.node) << 2 | u64::from(hold.shared) << 1 | u64::from(hold.waited)
    });
    held.fold(mix(0, taken), mix)
}

/// One step of a 64-bit mixer (the finish of splitmix64).
const fn mix(hash: u64, word: u64) -> u64 {
    let x = (hash.rotate_left(5) ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
