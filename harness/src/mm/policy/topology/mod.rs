//! The topology of a built stack: a graph of parts that need each other's progress.
//!
//! Key types: [`Topology`], [`Node`]. The builder of the stack records each part and its needs: a
//! filesystem needs its device, a loop device the filesystem of its file, a cache its device. The
//! graph has no cycle; an edge that would close one is an error. Depth, reachability and shared
//! layers are computed at each query and not cached, so rebinding a device changes all of them.
//!
//! | module | holds |
//! |---|---|
//! | `node` | [`Node`], [`NodeKind`]: the parts of a stack |
//! | `graph` | [`Topology`]: recording, removal, rebinding, reachability |
//! | `depth` | how many filesystems are below a part: the number that Chinner's rule compares |
//!
//! Written from docs/kernel/proposals.md, "The reclaim context". Plain data, no locks.

mod depth;
mod graph;
mod node;

pub use graph::Topology;
pub use node::{Node, NodeKind};
