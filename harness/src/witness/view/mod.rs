//! The world as its events tell it.
//!
//! | module | holds |
//! |---|---|
//! | `state` | [`View`], [`Task`]: tasks, locks, requests, work items and pool elements |
//! | `apply` | how each event changes the view |
//! | `needed` | which tasks must act before a wait ends |
//! | `search` over `waiting` | the tasks that wait for a task, and those that it waits for, over any number of hops |
//! | `waits` | [`Wait`], [`Needed`], [`RequestFacts`], [`PageOut`], [`WorkItem`] |
//! | `promises` | who promised to signal which condition |
//! | `frames` | [`Frame`], [`HeldLock`], [`Restriction`]: what a task is in the middle of, and what that forbids |
//! | `stalls` | [`Stalls`]: how long tasks stood, and behind what |
//!
//! `needed`, `search` and `apply` stand on `state`, and `state` on `waits`, `promises`, `waiting`
//! and `frames`. No locks.

mod apply;
mod frames;
mod needed;
mod promises;
mod search;
mod stalls;
mod state;
mod waiting;
mod waits;

pub use frames::{Entry, Frame, FrameKind, HeldLock, RestrictedBy, Restriction};
pub(super) use frames::{is_reclaimer, restriction};
pub(super) use needed::Tally;
pub use stalls::{Stall, StallCause, Stalls};
pub use state::{Task, View};
pub use waits::{Needed, PageOut, Progress, RequestFacts, Role, Wait, WorkItem};
