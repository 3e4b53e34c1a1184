//! lockdep for memory reclaim.

pub mod block;
pub mod era;
pub mod error;
pub mod event;
pub mod inject;
pub mod mm;
pub mod sched;
pub mod units;
pub mod world_stub;
pub use world_stub::*;
pub mod stack;

pub use reclaimdep_macros::test;
