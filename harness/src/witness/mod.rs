//! Judges: what is wrong with a run, read from its events alone.
//!
//! A [`Judge`] is shown the events that it reads and a [`View`] of the world rebuilt from all
//! events so far; it adds [`Finding`]s and can change nothing. A new judge is one file and one line
//! in the table of `judges/mod.rs`, which lists the steps.
//!
//! | module | holds |
//! |---|---|
//! | `panel` | [`Witness`]: the view and all judges, one event at a time |
//! | `judge`, `reads` | [`Judge`]: what a judge implements; [`JudgeOptions`]: which judges a run has; [`Reads`]: the subjects of the events that it reads |
//! | `judges` | the judges of RD01, RD02 and RD04 to RD13, one file each, and the table of all judges |
//! | `order` | RD03: what is taken while what is held, and the cycles in that |
//! | `oracle` | RD03: what an allocation could lead to, as the stack was declared |
//! | `view` | [`View`]: where each task is, what it holds, and which tasks it waits for; [`Stalls`] |
//! | `code`, `breach` | [`Code`]: the registry of finding codes; [`Breach`]: the rules that RD07 to RD13 name |
//! | `finding`, `chain` | [`Finding`], [`Step`]: what was found; how the chain of a finding is put together |
//! | `script` | tests only: events written by hand |
//!
//! The tests of a module are its child `tests`: of `x.rs` in `x/tests.rs`, of a folder in its
//! `tests/`. Tests of all judges together are in `panel/tests.rs`.
//!
//! Written from docs/kernel/lockdep.md, "What the annotation cannot see", docs/kernel/proposals.md,
//! "The two edges", and docs/kernel/rules.md, "Invariants". No locks; on the common path no
//! allocation.

mod breach;
mod chain;
mod code;
mod finding;
mod judge;
mod judges;
mod oracle;
mod order;
mod panel;
mod reads;
#[cfg(test)]
pub(crate) mod script;
mod view;

pub use breach::Breach;
use chain::{Chain, broken_rule};
pub use code::Code;
pub use finding::{Finding, Step, StepKind, Subject};
pub use judge::{Judge, JudgeOptions, Learned, Moment};
use oracle::Oracle;
pub use oracle::Pairs;
pub(crate) use order::item_of;
pub use order::{Collision, Cycle, Declaration, Edge, Level, Node, NodeKind, Order, OrderGraph};
pub use panel::Witness;
pub use reads::Reads;
pub use view::{
    Entry, Frame, FrameKind, HeldLock, Needed, PageOut, Progress, RequestFacts, RestrictedBy,
    Restriction, Role, Stall, StallCause, Stalls, Task, View, Wait, WorkItem,
};
use view::{Tally, is_reclaimer, restriction};
