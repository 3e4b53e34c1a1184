//! Locks of production code that a world sees, and locks that own a scope.
//!
//! | module | holds |
//! |---|---|
//! | `mutex` | [`Mutex`]: `std`'s mutex; in a world, tasks wait for it through the world |
//! | `scoped` | [`NofsMutex`], [`NoioMutex`]: the scope is entered before the lock and left after it |
//!
//! A task of a controlled world that blocks on a `std` lock would block the thread that the holder
//! needs to run on. So in a world the task waits for a lock of the world: the world parks the task
//! and emits the lock's events. When the task has that lock, the inner one is free.

mod mutex;
mod scoped;

pub use mutex::{Mutex, MutexGuard};
pub use scoped::{LockScope, Nofs, NofsMutex, Noio, NoioMutex, ScopedMutex, ScopedMutexGuard};

use core::sync::atomic::{AtomicU64, Ordering};

/// The identity of a lock, for the world that its tasks run in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockRef {
    /// Unique in the process. A world gives its locks numbers of its own, in the order of first
    /// use.
    pub key: u64,
    /// The name in reports: the role of the lock, such as `inode`.
    pub class: &'static str,
}

/// A number that identifies a lock or a journal. It is given at the first use, so that the owner
/// can be made in a constant. An address would not do: addresses differ between runs and are
/// reused.
#[derive(Debug)]
pub(crate) struct LazyId(AtomicU64);

impl LazyId {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn get(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let known = self.0.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
        match self.0.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => fresh,
            Err(theirs) => theirs,
        }
    }
}
