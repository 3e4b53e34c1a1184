//! lockdep for memory reclaim.

pub mod block;
pub mod era;
pub mod error;
pub mod event;
pub mod fs;
pub mod inject;
pub mod mm;
pub mod sched;
pub mod units;
