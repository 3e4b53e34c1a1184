//! Judges: what is wrong with a run, read from its events alone.
//!
//! A [`Judge`] sees the events that it reads and a [`View`] of the world rebuilt from all events so
//! far; it adds [`Finding`]s and can change nothing. A new judge is one file and one line in
//! [`panel`].
//!
//! | module | holds |
//! |---|---|
//! | [`panel`] | [`Witness`]: the view and all judges, one event at a time |
//! | [`reads`] | [`Reads`]: which events a judge reads |
//! | [`code`] | [`Code`]: the registry of finding codes |
//! | [`finding`], [`chain`] | [`Finding`], [`Step`]: what was found; how a chain is put together |
//! | [`view`] and `needed` over [`frames`] and [`waits`] | [`View`]: who is where, holds what, waits for whom |
//! | `recursion` | RD01: the forbidden layer entered below the task's own reclaim |
//! | `carried` | RD02: entered by a task on whose progress the scoped task waits |
//! | [`order`] | RD03: what is taken while what is held, and the cycles in that |
//! | [`oracle`] | RD03 too: what an allocation could come to, as the stack was declared |
//! | `deadlock` | RD04: the wait-for graph has a cycle |
//! | `scope_misuse` | RD06: a scope left wrongly, or never |
//! | `shrinker`, `scan`, `kswapd` | RD07: counts and claims; scans without FS; what kswapd may wait for (also RD08) |
//! | `contract`, `mask` | RD08: nested reclaim, reserves, NOFAIL; masks against scopes |
//! | `annotation`, `deferred`, `pool`, `flush` | RD08: reclaim's bracket; what shrinkers owe; mempools; work queues |
//! | `convoy`, `phantom` | RD09, RD10: tasks behind a lock held over I/O; progress that helped nobody |
//! | `lint` | RD11: scopes and masks that restrict too much, where a test asks |
//! | `leak`, `lost` | RD12, RD13: what is left behind; what is not there after a crash |
//! | [`breach`] | [`Breach`]: the rules that RD07 to RD13 name |
//! | [`stalls`] | [`Stalls`]: how long tasks stood, and behind what; no judge |
//! | `hang` | RD05: nothing can go on, and there is no cycle |
//!
//! Written from the project's description of reclaim, sections 5.8, 7.0 and 9. No locks; on the
//! common path no allocation.

mod annotation;
pub mod breach;
mod carried;
pub mod chain;
pub mod code;
mod contract;
mod convoy;
mod deadlock;
mod deferred;
pub mod finding;
mod flush;
pub mod frames;
mod hang;
mod kswapd;
mod leak;
mod lint;
mod lost;
mod mask;
mod needed;
pub mod oracle;
pub mod order;
pub mod panel;
mod phantom;
mod pool;
pub mod reads;
mod recursion;
mod scan;
mod scope_misuse;
#[cfg(test)]
pub(crate) mod script;
mod shown;
mod shrinker;
pub mod stalls;
pub mod view;
pub mod waits;

pub use breach::Breach;
pub use code::Code;
pub use finding::{Finding, Step, StepKind};
pub use order::OrderGraph;
pub use panel::{Judge, Witness};
pub use reads::Reads;
pub use stalls::Stalls;
pub use view::View;

#[cfg(test)]
mod tests;
