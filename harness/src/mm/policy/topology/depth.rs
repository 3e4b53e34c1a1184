//! Depth: how many filesystems lie below, along the longest way down.
//!
//! `depth(sb) = 1 + the largest depth of the filesystems reachable below`, 0 where there is none.
//! Then "T needs S" implies "T is deeper than S", which is why Chinner's rule may allow at equal
//! depth. A server in user space on the way makes the depth unknown.

use std::collections::BTreeMap;

use reclaimdep_scope::{Depth, Superblock};

use super::{Node, NodeKind, Topology};

/// Which of several ways down counts; named so that the memo is told what it holds.
#[derive(Clone, Copy)]
enum Way {
    Longest,
    Shortest,
}

impl Topology {
    /// How deeply `superblock` is stacked; unknown for one that is not in the graph.
    #[must_use]
    pub fn depth(&self, superblock: Superblock) -> Depth {
        self.depth_at(superblock)
    }

    /// How many filesystems lie below `place`.
    #[must_use]
    pub fn depth_at(&self, place: impl Into<Node>) -> Depth {
        self.below_by(place.into(), Way::Longest)
    }

    /// The depth that a filesystem mounted on `place` would have: where `place` is a filesystem,
    /// one more than its own.
    #[must_use]
    pub fn depth_on(&self, place: impl Into<Node>) -> Depth {
        let place = place.into();
        step(place, self.below_by(place, Way::Longest))
    }

    /// As [`Topology::depth_at`], along the shortest way down: wrong for a filesystem that spans
    /// devices, and here to show it.
    #[must_use]
    pub fn shallow_depth_at(&self, place: impl Into<Node>) -> Depth {
        self.below_by(place.into(), Way::Shortest)
    }

    /// As [`Topology::depth_on`], along the shortest way down.
    #[must_use]
    pub fn shallow_depth_on(&self, place: impl Into<Node>) -> Depth {
        let place = place.into();
        step(place, self.below_by(place, Way::Shortest))
    }

    /// What the kernel's `s_stack_depth` says: filesystems directly upon filesystems, as overlay
    /// counts them. It does not see through a device.
    #[must_use]
    pub fn stack_depth(&self, superblock: Superblock) -> u32 {
        let below = self.needs(superblock.into()).filter_map(Node::superblock);
        below.map(|lower| self.stack_depth(lower).saturating_add(1)).max().unwrap_or(0)
    }

    /// Whether nothing but plain devices is below `place` or is `place`: no filesystem, no server,
    /// and no cache, whose buffers would be allocated while it is written to.
    #[must_use]
    pub fn is_plain(&self, place: Node) -> bool {
        let plain = |node: Node| matches!(node.kind(), NodeKind::Device | NodeKind::Swap);
        self.contains(place) && plain(place) && self.below(place).into_iter().all(plain)
    }

    fn below_by(&self, node: Node, way: Way) -> Depth {
        if self.contains(node) {
            self.measure(node, way, &mut BTreeMap::new())
        } else {
            Depth::Unknown
        }
    }

    /// The memo keeps a diamond-shaped stack from being walked once for every way through it.
    fn measure(&self, node: Node, way: Way, memo: &mut BTreeMap<Node, Depth>) -> Depth {
        if let Some(depth) = memo.get(&node) {
            return *depth;
        }
        let steps: Vec<Depth> =
            self.needs(node).map(|lower| step(lower, self.measure(lower, way, memo))).collect();
        let chosen = match way {
            Way::Longest => steps.into_iter().max(),
            Way::Shortest => steps.into_iter().min(),
        };
        let depth = chosen.unwrap_or(Depth::Known(0));
        memo.insert(node, depth);
        depth
    }
}

/// The depth of what stands on `node`, whose own depth is given.
fn step(node: Node, depth: Depth) -> Depth {
    match (node.kind(), depth) {
        (NodeKind::Server, _) | (_, Depth::Unknown) => Depth::Unknown,
        (NodeKind::Superblock, Depth::Known(depth)) => Depth::Known(depth.saturating_add(1)),
        (_, known) => known,
    }
}
