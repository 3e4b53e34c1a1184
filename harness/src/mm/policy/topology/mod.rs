//! The topology of a built stack: what needs whose progress, as a graph.
//!
//! Key types: [`Topology`], [`Node`]. Whoever builds the stack records each part and, for each,
//! what finishing work on it may need: a filesystem its device, a loop device the filesystem of its
//! file, a cache its device. The graph has no cycle; an edge that would close one is an error. What
//! follows from it (depth, reachability, shared layers) is looked up live: nothing is cached, so a
//! device that is bound anew changes every answer at once.
//!
//! | module | holds |
//! |---|---|
//! | [`node`] | [`Node`], [`NodeKind`]: what can stand in a stack |
//! | [`graph`] | [`Topology`]: recording, removal, binding anew, reachability |
//! | [`depth`] | how many filesystems lie below: the number that Chinner's rule compares |
//!
//! Written from the project's description of scoped allocation, 7.3. Plain data, no locks.

pub mod depth;
pub mod graph;
pub mod node;

pub use graph::Topology;
pub use node::{Node, NodeKind};
