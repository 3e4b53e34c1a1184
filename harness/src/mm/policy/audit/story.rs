//! The stack of the mailing list thread, with filesystems beside it that a policy may confuse.
//!
//! Key type: [`Story`]. Filesystem `f` holds a transaction; a cache is on a loop device whose file
//! is in `f`. It can deadlock by a wait for the cache, and by an allocation of the loop worker.
//! Beside it there are an independent filesystem `g`, `u` on a loop device over `g`, `w` on a loop
//! device over `f`, and places for swap of each kind. Written from docs/kernel/proposals.md, "The
//! deadlocks of the thread" and "Join and swap-only I/O".

use reclaimdep_scope::{ReclaimContext, Superblock};

use super::super::topology::{Node, NodeKind, Topology};

/// The stack, and names for its parts.
#[derive(Clone, Debug)]
pub struct Story {
    /// The graph.
    pub stack: Topology,
    /// The holder's filesystem, on a disk.
    pub f: Superblock,
    /// Another filesystem, on its own disk: independent of `f`, equally deep.
    pub g: Superblock,
    /// On a loop device over `g`: independent of `f`, deeper.
    pub u: Superblock,
    /// On a loop device over `f`: needs it.
    pub w: Superblock,
    /// A plain disk.
    pub disk: Node,
    /// The loop device over `f`.
    pub loop_f: Node,
    /// A loop device over `g`.
    pub loop_g: Node,
    /// dm-bufio on the loop device over `f`.
    pub cache: Node,
}

impl Default for Story {
    fn default() -> Self {
        let mut stack = Topology::default();
        let disk = stack.add_node(NodeKind::Device, "disk");
        let f = on(&mut stack, disk, "f");
        let other = stack.add_node(NodeKind::Device, "other disk");
        let g = on(&mut stack, other, "g");
        let loop_f = loop_over(&mut stack, f, "loop over f");
        let loop_g = loop_over(&mut stack, g, "loop over g");
        let w = on(&mut stack, loop_f, "w");
        let u = on(&mut stack, loop_g, "u");
        let cache = stack.add_node(NodeKind::Cache, "dm-bufio");
        edge(&mut stack, cache, loop_f);
        Self { stack, f, g, u, w, disk, loop_f, loop_g, cache }
    }
}

impl Story {
    /// The context that a scope of `superblock` carries, its depth as it is now.
    #[must_use]
    pub fn context(&self, superblock: Superblock) -> ReclaimContext {
        ReclaimContext { superblock, depth: self.stack.depth(superblock), private: 0 }
    }

    /// Mounts one more filesystem on `place`.
    pub fn mount(&mut self, place: impl Into<Node>, name: &str) -> Superblock {
        on(&mut self.stack, place, name)
    }

    /// Attaches one more loop device to a file of `superblock`.
    pub fn attach(&mut self, superblock: Superblock, name: &str) -> Node {
        loop_over(&mut self.stack, superblock, name)
    }
}

fn on(stack: &mut Topology, place: impl Into<Node>, name: &str) -> Superblock {
    let superblock = stack.add_superblock(name);
    edge(stack, superblock, place);
    superblock
}

fn loop_over(stack: &mut Topology, superblock: Superblock, name: &str) -> Node {
    let device = stack.add_node(NodeKind::Device, name);
    edge(stack, device, superblock);
    device
}

fn edge(stack: &mut Topology, node: impl Into<Node>, place: impl Into<Node>) {
    stack.depends(node, place).expect("a new part depends only on older parts");
}
