//! RD03: what could deadlock, from the order in which things are taken.
//!
//! | module | holds |
//! |---|---|
//! | [`judge`] | [`Order`]: from events to what a task takes and holds |
//! | [`graph`] | [`OrderGraph`]: every edge as first seen, in both views |
//! | `ordering` over `dag` | one view; readers and writers; the cycle that an edge closes |
//! | [`node`] over `resolve` | [`Node`]: what is taken and held; from a world's numbers to it |
//! | `held` | what a task holds |
//! | [`cycle`] | [`Cycle`]: what a finding says |
//!
//! Neighbours: [`super::panel`] shows it every event; `report` puts a [`Cycle`] into words.
//! Written from the project's description of reclaim, section 5. No locks.

pub mod cycle;
mod dag;
pub mod graph;
mod held;
pub mod judge;
pub mod node;
mod ordering;
mod resolve;

pub use cycle::{Collision, Cycle, Edge};
pub use graph::OrderGraph;
pub use judge::Order;
pub use node::{Level, Node, NodeKind};

#[cfg(test)]
mod tests;
