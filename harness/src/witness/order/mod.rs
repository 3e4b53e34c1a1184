//! RD03: what could deadlock, from the order in which things are taken.
//!
//! | module | holds |
//! |---|---|
//! | `rd03_order` | [`Order`]: the judge; what a task takes and holds, event by event |
//! | `levels`, `locks`, `progress` | the same for reclaim; for locks; for requests, work, pools, conditions and exits |
//! | `graph` | [`OrderGraph`]: every edge as first seen, in both views |
//! | `ordering` over `dag` | one view; readers and writers; the cycle that an edge closes |
//! | `node`, `resolve` | [`Node`]: what is taken and held; from the numbers of a world to its nodes |
//! | `held` | what a task holds |
//! | `cycle` | [`Cycle`]: what a finding says |
//!
//! Neighbours: `judges` registers the judge; `report` puts a [`Cycle`] into words. Written from
//! docs/kernel/lockdep.md. No locks.

mod cycle;
mod dag;
mod graph;
mod held;
mod levels;
mod locks;
mod node;
mod ordering;
mod progress;
mod rd03_order;
mod resolve;

pub use cycle::{Collision, Cycle, Declaration, Edge};
pub use graph::OrderGraph;
pub(super) use levels::exempt;
pub(crate) use node::item_of;
pub use node::{Level, Node, NodeKind};
pub use rd03_order::Order;
pub(super) use rd03_order::finding;

#[cfg(test)]
mod tests;
