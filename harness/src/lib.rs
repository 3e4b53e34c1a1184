//! lockdep for memory reclaim: shows that no allocation made inside a scope comes back, through
//! reclaim, into the layer that the scope forbids; and when one does, names every step of the way.
//!
//! A test runs in a [`World`]: tasks, memory, devices, a plan of what goes wrong, and judges that
//! read everything that happens. [`macro@test`] makes a `#[test]` of a function;
//! [`World::builder`] does the same and gives a [`Report`]. The same closure runs on three tiers:
//!
//! | tier | tasks and time | devices | needs |
//! |---|---|---|---|
//! | [`Tier::Model`] | coroutines, virtual clock, every choice recorded | in process | nothing |
//! | [`Tier::Native`] | OS threads | in process | nothing |
//! | [`Tier::Loop`] | OS threads in a supervised child | real `/dev/loopN` over our filesystem behind FUSE | Linux, root, the feature `loop` |
//!
//! ```
//! use reclaimdep::scope::{self, Gfp};
//! use reclaimdep::{Pressure, World};
//!
//! // Every allocation finds memory short, so every allocation reclaims.
//! let report = World::builder()
//!     .pressure(Pressure::every_allocation())
//!     .run(|world| {
//!         let _nofs = scope::nofs();
//!         assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
//!     })?;
//! assert!(report.is_quiet(), "{report}");
//! # Ok::<(), reclaimdep::Error>(())
//! ```
//!
//! Production code links [`scope`] (the package `reclaimdep-scope`), which depends on nothing. With
//! [`Heap`] as the allocator of a test binary, each allocation of a task is one that may reclaim.
//! [`kernel`] has everything behind this page: the ports, the judges and the scheduler.
//! `docs/architecture.md` says how the code is organised, `docs/kernel` which kernel behaviour the
//! ports follow.
//!
//! # Features
//! `loop` brings the tier [`Tier::Loop`] and with it FUSE and loop devices. It is off by default.

mod block;
mod bufio;
mod case;
mod era;
mod error;
mod event;
mod explore;
mod fs;
mod heap;
#[cfg(all(feature = "loop", target_os = "linux"))]
mod host;
mod inject;
pub mod kernel;
mod mm;
mod recording;
mod report;
#[doc(hidden)]
pub mod rt;
mod sched;
mod stack;
mod tier;
mod units;
mod variables;
mod verity;
mod witness;
mod world;

pub use reclaimdep_macros::test;
pub use reclaimdep_scope as scope;

pub use era::{Era, Knobs};
pub use error::{Errno, Error, ErrorKind, Result};
pub use heap::Heap;
pub use inject::{Failpoint, FailpointRule, PlanSpec, Pressure};
pub use report::{Outcome, Report};
pub use sched::{Condition, JoinHandle};
pub use stack::{BufioSpec, Disk, FsSpec, LoopSpec, MemorySpec, MetadataSpec, StackSpec, SwapSpec};
pub use tier::Tier;
pub use witness::Code;
pub use world::{
    Builder, Claim, DEFAULT_DEADLINE, DEFAULT_SCHEDULES, Durable, DurableFile, Orders, STEP_BUDGET,
    World,
};

/// The loop tier, for the attribute: without the feature `loop` the build fails and says so.
#[cfg(feature = "loop")]
#[doc(hidden)]
#[macro_export]
macro_rules! __loop_tier {
    () => {
        $crate::Tier::Loop
    };
}

// Without the feature `loop`: the use of the macro fails the build.
#[cfg(not(feature = "loop"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __loop_tier {
    () => {
        ::core::compile_error!(
            "the tier `loop` needs the feature `loop` of reclaimdep: in Cargo.toml, \
             reclaimdep = { .., features = [\"loop\"] }"
        )
    };
}
