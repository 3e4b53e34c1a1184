//! Tasks, locks, waiting, work queues and time: one set of primitives over two engines.
//!
//! Key types: [`Sched`], [`JoinHandle`], [`Mutex`], [`RwSem`], [`WaitQueue`], [`Completion`],
//! [`WorkQueue`], [`Strategy`]. A world runs either *controlled* (coroutines on one OS thread,
//! every choice taken by a [`Strategy`] and kept in a [`Trace`](crate::event::Trace)) or *native*
//! (OS threads). The primitives are the same code over both: each keeps its own FIFO of waiters,
//! and asks the engine only to park the running task and to wake a parked one. The task context
//! (scope flags, the running task) follows the task, not the OS thread. Neighbours: every module
//! except `event` uses this one.
//!
//! | module | holds |
//! |---|---|
//! | `core` over `sink` | [`Sched`]: the handle; events, names, time |
//! | `spawn`, `park` over `table` | tasks; parking, breaking a wait, unwinding a world |
//! | `effort` | whether the tasks get anything for their steps |
//! | `task` | which task runs on this thread |
//! | `listener` | what the user side tells through the scope crate; its locks and shrinkers |
//! | `side` | whose code runs on a task |
//! | `extension` | what rooms above keep with a world's scheduler |
//! | `controlled` | shuttle's engine under our scheduler |
//! | `native`, `random` | OS threads; seeded choices |
//! | `watch` | the deadline: a run whose thread reaches no scheduling point is left behind |
//! | `strategy` | [`Strategy`]: makes the choices of a controlled run |
//! | `mutex`, `rwsem` over `lock`; `wait`, `work` | the primitives |
//! | `condition` | [`Condition`]: a condition of the user's, and which task promised to signal it |
//! | `spin`, `cell` | the leaf lock for the primitives' own state; the memory that a lock guards |
//!
//! Locking: a primitive's own [`SpinLock`] > the task table > the event lock.
//!
//! None of these is held over a scheduling point. The rwsem is writer-fair, as
//! `kernel/locking/rwsem.c` is.

mod cell;
mod condition;
pub(crate) mod controlled;
mod core;
mod effort;
mod extension;
mod listener;
mod lock;
#[cfg(test)]
pub(crate) mod log;
mod mutex;
pub(crate) mod native;
mod park;
pub(crate) mod place;
mod random;
mod rwsem;
mod side;
mod sink;
mod spawn;
mod spin;
mod strategy;
mod table;
mod task;
mod wait;
pub(crate) mod watch;
mod work;

pub(crate) use self::core::MAX_BUDGETS;
pub use self::core::Sched;
pub use condition::{Condition, Promise};
pub(crate) use lock::RawLock;
pub use mutex::{Mutex, MutexGuard};
pub use random::SplitMix64;
pub use rwsem::{RwSem, RwSemReadGuard, RwSemWriteGuard};
pub(crate) use side::{OnSide, Side, harness_side};
pub use spawn::{Adopted, JoinHandle};
pub use spin::SpinLock;
pub use strategy::Strategy;
pub use wait::{Completion, WaitQueue, Waiting};
pub use work::{Work, WorkQueue, WorkQueueOptions};

#[cfg(test)]
mod tests;
