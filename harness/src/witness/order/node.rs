//! `Node`: what an order is an order of.
//!
//! Key types: [`Node`], [`NodeKind`], [`Level`], [`Nodes`]. A node has names and no numbers of a
//! world, so a graph outlives the world that it was learned in. Its *class* is what the kernel
//! would key by: the lock's class, the kind of device (`loop` of `loop0`); the instance is the one
//! object. Written from docs/kernel/lockdep.md, "The annotation" and "What the annotation cannot
//! see", and docs/kernel/rules.md, "Mistakes of a naive port" (point 9).

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::event::Gfp;

/// At most this many nodes are told apart; no test has as many.
const MAX_NODES: usize = 1 << 16;

/// How much reclaim may do: the pseudo-locks, of which an allocation takes all that its mask
/// permits.
///
/// They are levels, not locks of each other: nothing is recorded between them. Were `any` taken
/// "before" `fs`, every NOFS allocation would get an edge to everything that reclaim with FS ever
/// took.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// It may reclaim at all.
    Any,
    /// It may start I/O.
    Io,
    /// It may enter a filesystem.
    Fs,
}

impl Level {
    /// Every level that `mask` permits, the widest last. FS means nothing without IO.
    pub(crate) fn permitted(mask: Gfp) -> &'static [Self] {
        const ALL: [Level; 3] = [Level::Any, Level::Io, Level::Fs];
        match (mask.allow_blocking(), mask.contains(Gfp::IO), mask.contains(Gfp::FS)) {
            (false, ..) => &ALL[..0],
            (true, false, _) => &ALL[..1],
            (true, true, false) => &ALL[..2],
            (true, true, true) => &ALL,
        }
    }

    /// The kernel's word, or what would be its word: `io_reclaim`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any_reclaim",
            Self::Io => "io_reclaim",
            Self::Fs => "fs_reclaim",
        }
    }
}

/// What kind of thing a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeKind {
    /// Reclaim at this level: taken by each allocation that may reclaim so, held by reclaim.
    Reclaim(Level),
    /// A lock.
    Lock,
    /// The requests of a device: taken by a task that waits for one, held by the task that serves
    /// one.
    Requests,
    /// The items of a work queue, as they are declared to depend on each other.
    Work,
    /// One item of a work queue: held by the task that executes it; taken by a task that waits for
    /// it, or for an item that is queued behind it.
    WorkItem,
    /// The reserve of a mempool: taken by a task that waits for an element, held by a task that has
    /// one.
    Pool,
    /// A condition, such as log space: taken by a task that waits for it, held by the task that
    /// promised to signal it.
    Condition,
    /// The end of a task: taken by a task that waits for it, held by the task while it lives.
    Exit,
}

/// One thing that is taken and held.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node {
    /// What kind.
    pub kind: NodeKind,
    /// What all of its sort are called.
    pub class: String,
    /// What it is called.
    pub instance: String,
    /// How many things of that name were made before it in its world.
    pub nth: u32,
}

impl Node {
    /// The pseudo-lock of a level.
    pub(in crate::witness) fn reclaim(level: Level) -> Self {
        let name = level.name().to_owned();
        Self { kind: NodeKind::Reclaim(level), class: name.clone(), instance: name, nth: 0 }
    }

    /// The work item `item` of `queue`, whose class is the item's.
    pub(crate) fn work_item(item: &str, queue: &Self) -> Self {
        let Self { class, .. } = Self::named(NodeKind::WorkItem, item, 0);
        let instance = item_of(item, &queue.instance);
        Self { kind: NodeKind::WorkItem, class, instance, nth: queue.nth }
    }

    /// A thing known by one name, which begins with its class: `loop0`, `disk:lower`, `fuse/1`.
    pub(crate) fn named(kind: NodeKind, name: &str, nth: u32) -> Self {
        let end =
            name.find(|c: char| c.is_ascii_digit() || c == ':' || c == '/').unwrap_or(name.len());
        // Tasks, pools and conditions of one prefix have nothing in common.
        let whole =
            end == 0 || matches!(kind, NodeKind::Exit | NodeKind::Pool | NodeKind::Condition);
        let class = if whole { name } else { &name[..end] }.to_owned();
        Self { kind, class, instance: name.to_owned(), nth }
    }
}

/// `flush of events`.
pub(crate) fn item_of(item: &str, queue: &str) -> String {
    format!("{item} of {queue}")
}

/// A node by its number in a graph.
pub(super) type NodeId = u32;

#[derive(Clone, Copy, Debug)]
struct KnownNode {
    class: u32,
    /// Itself; where it is a lock of a subclass, the lock.
    exact: NodeId,
}

/// The nodes of a graph, numbered, with the numbers of their classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    /// Numbered as they came.
    list: IndexMap<Node, KnownNode, FxBuildHasher>,
    classes: BTreeMap<(NodeKind, String), u32>,
}

impl Nodes {
    /// The number of `node`; none where there are too many.
    pub(super) fn id(&mut self, node: Node) -> Option<NodeId> {
        self.add(node, None)
    }

    /// The number of a lock as one of `subclass`: `dm_bufio_client/1`.
    pub(super) fn nested(&mut self, lock: NodeId, subclass: u8) -> Option<NodeId> {
        let node = self.get(lock);
        let class = format!("{}/{subclass}", node.class);
        self.add(Node { class, ..node.clone() }, Some(lock))
    }

    fn add(&mut self, node: Node, exact: Option<NodeId>) -> Option<NodeId> {
        if let Some(id) = self.list.get_index_of(&node) {
            return u32::try_from(id).ok();
        }
        if self.list.len() >= MAX_NODES {
            return None;
        }
        let id = u32::try_from(self.list.len()).ok()?;
        let next = u32::try_from(self.classes.len()).ok()?;
        let class = *self.classes.entry((node.kind, node.class.clone())).or_insert(next);
        self.list.insert(node, KnownNode { class, exact: exact.unwrap_or(id) });
        Some(id)
    }

    pub(super) fn get(&self, id: NodeId) -> &Node {
        let (node, _) = self.list.get_index(id as usize).expect("a number of this list");
        node
    }

    pub(super) fn class(&self, id: NodeId) -> u32 {
        self.list[id as usize].class
    }

    /// What the instance view takes it for: a lock is the same one in every subclass.
    pub(super) fn exact(&self, id: NodeId) -> NodeId {
        self.list[id as usize].exact
    }
}

#[cfg(test)]
mod tests;
