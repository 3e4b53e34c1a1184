//! `SpinLock`: a leaf lock, never held over a scheduling point.
//!
//! Key type: [`SpinLock`]. It emits no events and is never held while a task parks, so the judges
//! need not know it. A panic while it is held does not poison it: the world unwinds anyway.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A leaf lock. Hold it for a few lines, and never over a call that may wait.
#[derive(Debug, Default)]
pub struct SpinLock<T: ?Sized>(Mutex<T>);

impl<T> SpinLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// The value. No task can hold the lock any more.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Takes the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
