//! Depth: how many filesystems are below, along the longest path down.
//!
//! `depth(sb) = 1 + the largest depth of the filesystems reachable below`, 0 if there is none. Then
//! "T needs S" implies "T is deeper than S", so Chinner's rule may allow at equal depth. A server
//! in user space on a path makes the depth unknown.

use std::collections::BTreeMap;

use reclaimdep_scope::{Depth, Superblock};

use super::{Node, NodeKind, Topology};

/// Which of several paths down counts.
#[derive(Clone, Copy)]
enum DepthPath {
    Longest,
    Shortest,
}

impl Topology {
    /// How deeply `superblock` is stacked; unknown for one that is not in the graph.
    #[must_use]
    pub fn depth(&self, superblock: Superblock) -> Depth {
        self.depth_at(superblock)
    }

    /// How many filesystems are below `place`.
    #[must_use]
    pub fn depth_at(&self, place: impl Into<Node>) -> Depth {
        self.below_by(place.into(), DepthPath::Longest)
    }

    /// The depth that a filesystem mounted on `place` would have. If `place` is a filesystem, this
    /// is one more than its own depth.
    #[must_use]
    pub fn depth_on(&self, place: impl Into<Node>) -> Depth {
        let place = place.into();
        step(place, self.below_by(place, DepthPath::Longest))
    }

    /// As [`Topology::depth_at`], along the shortest path down. For a filesystem that spans devices
    /// this is wrong; tests show that.
    #[must_use]
    pub fn shallow_depth_at(&self, place: impl Into<Node>) -> Depth {
        self.below_by(place.into(), DepthPath::Shortest)
    }

    /// As [`Topology::depth_on`], along the shortest path down.
    #[must_use]
    pub fn shallow_depth_on(&self, place: impl Into<Node>) -> Depth {
        let place = place.into();
        step(place, self.below_by(place, DepthPath::Shortest))
    }

    /// The kernel's `s_stack_depth`: filesystems directly upon filesystems, as overlay counts them.
    /// It does not include filesystems below a device.
    #[must_use]
    pub fn stack_depth(&self, superblock: Superblock) -> u32 {
        let below = self.needs(superblock.into()).filter_map(Node::superblock);
        below.map(|lower| self.stack_depth(lower).saturating_add(1)).max().unwrap_or(0)
    }

    /// Whether `place` and all parts below it are plain devices: no filesystem, no server, and no
    /// cache, which allocates buffers while it is written to.
    #[must_use]
    pub fn is_plain(&self, place: Node) -> bool {
        let plain = |node: Node| matches!(node.kind(), NodeKind::Device | NodeKind::Swap);
        self.contains(place) && plain(place) && self.below(place).into_iter().all(plain)
    }

    fn below_by(&self, node: Node, path: DepthPath) -> Depth {
        if self.contains(node) {
            self.measure(node, path, &mut BTreeMap::new())
        } else {
            Depth::Unknown
        }
    }

    /// Without the memo, a stack with many paths would be walked once for each path.
    fn measure(&self, node: Node, path: DepthPath, memo: &mut BTreeMap<Node, Depth>) -> Depth {
        if let Some(depth) = memo.get(&node) {
            return *depth;
        }
        let steps: Vec<Depth> =
            self.needs(node).map(|lower| step(lower, self.measure(lower, path, memo))).collect();
        let chosen = match path {
            DepthPath::Longest => steps.into_iter().max(),
            DepthPath::Shortest => steps.into_iter().min(),
        };
        let depth = chosen.unwrap_or(Depth::Known(0));
        memo.insert(node, depth);
        depth
    }
}

/// The depth of a part on `node`, whose own depth is `depth`.
fn step(node: Node, depth: Depth) -> Depth {
    match (node.kind(), depth) {
        (NodeKind::Server, _) | (_, Depth::Unknown) => Depth::Unknown,
        (NodeKind::Superblock, Depth::Known(depth)) => Depth::Known(depth.saturating_add(1)),
        (_, known) => known,
    }
}
