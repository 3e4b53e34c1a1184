//! Locks of production code that a world sees, and locks that own a scope.
//!
//! | module | holds |
//! |---|---|
//! | [`mutex`] | [`Mutex`]: `std`'s mutex, which in a world waits through the world |
//! | [`scoped`] | [`NofsMutex`], [`NoioMutex`]: the scope is entered before the lock and left after it |
//!
//! A task of a controlled world that blocked on a `std` lock would block the thread that the holder
//! needs to run on. So in a world the wait is the world's: it parks the task, emits the lock's
//! events, and when the task has the world's lock nobody holds the inner one.

pub mod mutex;
pub mod scoped;

pub use mutex::{Mutex, MutexGuard};
pub use scoped::{LockScope, Nofs, NofsMutex, Noio, NoioMutex, ScopedMutex, ScopedMutexGuard};

use core::sync::atomic::{AtomicU64, Ordering};

/// A lock, as a world tells it from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockRef {
    /// Unique in the process; a world numbers its locks anew, in the order of first use.
    pub key: u64,
    /// What reports call it: its role, such as `inode`.
    pub class: &'static str,
}

/// A number of its own for a long-lived thing, given at its first use so that the thing can be made
/// in a constant. It is no address: those differ between runs and come back.
#[derive(Debug)]
pub(crate) struct Key(AtomicU64);

impl Key {
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
