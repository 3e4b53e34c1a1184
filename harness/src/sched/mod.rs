//! Tasks, locks, waiting, work queues and time: one set of primitives over two engines.
//!
//! A world runs either *controlled* (coroutines on one OS thread, every choice taken by a
//! [`Strategy`] and kept in a [`Trace`](crate::event::Trace)) or *native* (OS threads). The
//! primitives are the same code over both: each keeps its own FIFO of waiters and needs of the
//! engine only "park me" and "wake that one". The task context (scope flags, who runs) follows the
//! task, not the OS thread.
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | [`Sched`]: the handle; events, names, time |
//! | [`spawn`], [`park`] over `table` | tasks; parking, breaking a wait, unwinding a world |
//! | [`task`] | who runs on this thread |
//! | `listener` | what code under test tells through the scope crate; its locks and shrinkers |
//! | `side` | whose code runs on a task |
//! | `extension` | what rooms above keep with a world's scheduler |
//! | [`controlled`] | shuttle's engine under our scheduler |
//! | [`native`], `random` | OS threads; seeded choices |
//! | [`strategy`] | the trait a policy implements |
//! | [`mutex`], [`rwsem`] over `lock`; [`wait`], [`work`] | the primitives |
//! | [`condition`] | [`Condition`]: a wait of the user's own, and who promised to end it |
//! | [`spin`], [`cell`] | the leaf lock for the primitives' own state; the memory that a lock guards |
//!
//! Locking: a primitive's own [`spin::SpinLock`] > the task table > the event lock. None is ever
//! held over a scheduling point. The kernel's words are kept: mutex, rwsem (writer-fair, as
//! `kernel/locking/rwsem.c`), wait queue, completion, work queue.

pub mod cell;
pub mod condition;
pub mod controlled;
pub mod core;
mod extension;
mod listener;
mod lock;
#[cfg(test)]
pub(crate) mod log;
pub mod mutex;
pub mod native;
pub mod park;
mod random;
pub mod rwsem;
mod side;
pub mod spawn;
pub mod spin;
pub mod strategy;
mod table;
pub mod task;
pub mod wait;
pub mod work;

pub use self::core::Sched;
pub use condition::{Condition, Promise};
pub use mutex::{Mutex, MutexGuard};
pub use park::Wake;
pub use rwsem::{RwSem, RwSemReadGuard, RwSemWriteGuard};
pub(crate) use side::harness_side as quiet;
pub(crate) use side::{OnSide, Side, harness_side};
pub use spawn::{Adopted, JoinHandle};
pub use spin::SpinLock;
pub use strategy::Strategy;
pub use wait::{Completion, WaitQueue, Waiting};
pub use work::{Work, WorkQueue};

#[cfg(test)]
mod tests;
