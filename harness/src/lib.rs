//! lockdep for memory reclaim.

pub mod block;
pub mod bufio;
pub mod era;
pub mod error;
pub mod event;
pub mod explore;
pub mod fs;
#[cfg(all(feature = "loop", target_os = "linux"))]
pub mod host;
pub mod inject;
pub mod mm;
pub mod report;
#[doc(hidden)]
pub mod rt;
pub mod sched;
pub mod stack;
pub mod units;
pub mod witness;
pub mod world;

pub use error::{Error, Result};
pub use reclaimdep_macros::test;
pub use reclaimdep_scope as scope;
pub use world::{Tier, World};
