//! lockdep for memory reclaim.

pub mod block;
pub mod era;
pub mod error;
pub mod event;
#[cfg(all(feature = "loop", target_os = "linux"))]
pub mod host;
pub mod inject;
pub mod mm;
pub mod sched;
pub mod units;
