//! lockdep for memory reclaim.

pub mod block;
pub mod bufio;
pub mod era;
pub mod error;
pub mod event;
pub mod explore;
pub mod fs;
#[cfg(feature = "loop")]
pub mod host;
pub mod inject;
pub mod mm;
pub mod sched;
pub mod units;
