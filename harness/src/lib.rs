//! lockdep for memory reclaim.

pub mod block;
pub mod era;
pub mod error;
pub mod event;
pub mod inject;
pub mod mm;
pub mod report;
pub mod sched;
pub mod units;
pub mod witness;
