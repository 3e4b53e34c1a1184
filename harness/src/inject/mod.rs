//! The plan: what goes wrong, where, how often.
//!
//! Key types: [`Plan`], [`Pressure`], [`Failpoint`]. A failed allocation tests error paths;
//! *pressure* makes an allocation reclaim, and only reclaim can recurse. Every failpoint is one row
//! of one table ([`Failpoint::ALL`]); the parser, the help and the docs read it, and a name that is
//! not in it is an error.
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | [`Plan`]: the armed plan of a world |
//! | [`pressure`] | [`Pressure`]: which allocations find memory short |
//! | [`page_filter`] | [`PageFilter`]: the states of pages that a rule can choose |
//! | [`added`] | [`AddedScope`]: scopes that are added around allocations |
//! | [`failpoint`] | [`Failpoint`]: the registry, and what each point does |
//! | [`idle`] | [`IdleRule`]: a rule that did not apply |
//! | `setters` | how a rule is narrowed in Rust |
//! | [`bug`] | [`Bug`]: mistakes planted in the ports, to show that judges find them |
//!
//! Written from docs/kernel/fault-injection.md, "The systematic method" and "What the harness
//! offers", and docs/kernel/dm-bufio.md, "Failpoints".

mod added;
mod bug;
mod failpoint;
mod idle;
mod page_filter;
mod plan;
mod pressure;
mod setters;

pub use added::{AddedScope, ScopeChoice};
pub use bug::Bug;
pub use failpoint::{Failpoint, FailpointRule};
pub use idle::IdleRule;
pub use page_filter::PageFilter;
pub use plan::{Plan, PlanSpec};
pub use pressure::{AllocPoint, AllocSource, InScope, Pressure, PressureHit, Reclaimer};
