//! Strategies for controlled runs, the budget, and replay.
//!
//! The engine asks [`Strategy`](crate::sched::Strategy); each strategy here answers in a file of
//! its own.
//!
//! | module | holds |
//! |---|---|
//! | `random` | [`Random`]: uniform choice |
//! | `pct` | [`Pct`]: probabilistic concurrency testing: random priorities, few change points |
//! | `mixed` | [`Mixed`]: the two in turn |
//! | `dfs` | [`Dfs`]: every schedule, once each |
//! | `replay` | [`Replay`]: the choices of a [`Trace`](crate::event::Trace) |
//! | `budget` | [`Budget`]: how many executions, and when to stop |

mod budget;
mod dfs;
mod mixed;
mod pct;
mod random;
mod replay;

pub use budget::{Budget, Stop};
pub use dfs::Dfs;
pub use mixed::Mixed;
pub use pct::Pct;
pub use random::Random;
pub use replay::{Mismatch, Replay};
