//! lockdep for memory reclaim: shows that no allocation made inside a scope comes back, through
//! reclaim, into the layer that the scope forbids; and when one does, names every step of the way.
//!
//! A test runs in a [`World`]: tasks, memory, devices, a plan of what goes wrong, and judges that
//! read everything that happens. The same closure runs on three tiers:
//!
//! | tier | tasks and time | devices | needs |
//! |---|---|---|---|
//! | [`Tier::Model`] | coroutines, virtual clock, every choice recorded | in process | nothing |
//! | [`Tier::Native`] | OS threads | in process | nothing |
//! | [`Tier::Loop`] | OS threads in a supervised child | real `/dev/loopN` over our filesystem behind FUSE | root |
//!
//! ```
//! use reclaimdep::event::Gfp;
//! use reclaimdep::inject::Pressure;
//! use reclaimdep::{World, scope};
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
//! # The house
//!
//! Two columns that never import each other: the simulated kernel ([`inject`], [`mm`], [`block`],
//! [`bufio`], [`fs`], [`stack`]) emits [`event`]s; the judges ([`witness`], [`report`]) read them.
//! Both know [`event`] and [`sched`]; they meet in [`world`] alone. [`explore`] holds the
//! strategies, `host` what touches the real machine, [`recording`] reads what a real kernel wrote
//! about itself. `docs/architecture.md` says why.
//!
//! Production code links [`scope`] (the package `reclaimdep-scope`), which depends on nothing.

pub mod block;
pub mod bufio;
pub mod era;
pub mod error;
pub mod event;
pub mod explore;
pub mod fs;
pub mod heap;
#[cfg(all(feature = "loop", target_os = "linux"))]
pub mod host;
pub mod inject;
pub mod mm;
pub mod recording;
pub mod report;
#[doc(hidden)]
pub mod rt;
pub mod sched;
pub mod stack;
mod tier;
pub mod units;
pub mod variables;
pub mod verity;
pub mod witness;
pub mod world;

pub use error::{Error, Result};
pub use heap::Heap;
pub use reclaimdep_macros::test;
pub use reclaimdep_scope as scope;
pub use tier::Tier;
pub use world::World;
