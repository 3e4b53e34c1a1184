//! `Mutex`: the kernel's sleeping mutex, fair.
//!
//! Key types: [`Mutex`], [`MutexGuard`]. Mirrors `kernel/locking/mutex.c` in behaviour: only the
//! owner releases it, and it is not recursive. A task that locks it twice waits for itself, which
//! is a finding.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::Sched;
use super::cell::LockCell;
use super::lock::{Patience, RawLock};
use crate::error::Errno;
use crate::event::{LockId, LockMode, Site};

/// A sleeping lock around a value.
///
/// # Invariants
/// A reference into `value` exists only through a [`MutexGuard`], and a guard exists only while its
/// task holds `core` exclusively.
pub struct Mutex<T: ?Sized> {
    core: RawLock,
    value: LockCell<T>,
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("core", &self.core).finish_non_exhaustive()
    }
}

impl<T> Mutex<T> {
    /// A mutex of class `class`, which belongs to `instance`.
    #[must_use]
    pub fn new(sched: &Sched, class: &'static str, instance: &str, value: T) -> Self {
        Self { core: RawLock::new(sched, class, instance, "mutex"), value: LockCell::new(value) }
    }

    /// The value. No task can hold the lock any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// The lock's number in events.
    #[must_use]
    pub const fn id(&self) -> LockId {
        self.core.id()
    }

    /// Takes the lock, waiting uninterruptibly.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock_at(Site::here())
    }

    /// As [`Mutex::lock`], for a call at `site`.
    #[inline]
    pub(crate) fn lock_at(&self, site: Site) -> MutexGuard<'_, T> {
        self.core.lock_at(LockMode::Exclusive, site);
        MutexGuard::new(self)
    }

    /// The same where the task may already hold a lock of this class. The order graph by classes
    /// takes each subclass for a class of its own (`mutex_lock_nested`).
    #[track_caller]
    pub fn lock_nested(&self, subclass: u8) -> MutexGuard<'_, T> {
        self.lock_nested_at(subclass, Site::here())
    }

    /// As [`Mutex::lock_nested`], for a call at `site`.
    pub(crate) fn lock_nested_at(&self, subclass: u8, site: Site) -> MutexGuard<'_, T> {
        self.core.lock_at(LockMode::Nested(subclass), site);
        MutexGuard::new(self)
    }

    /// Takes the lock; the world may break the wait.
    ///
    /// # Errors
    /// `EDEADLK` if the wait closed a cycle and the world broke it here.
    #[track_caller]
    pub fn lock_breakable(&self) -> Result<MutexGuard<'_, T>, Errno> {
        self.core.acquire(LockMode::Exclusive, Patience::Breakable, Site::here())?;
        Ok(MutexGuard::new(self))
    }

    /// Takes the lock if it is free.
    #[track_caller]
    #[must_use]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.try_lock_at(Site::here())
    }

    /// As [`Mutex::try_lock`], for a call at `site`.
    #[must_use]
    pub(crate) fn try_lock_at(&self, site: Site) -> Option<MutexGuard<'_, T>> {
        self.core.try_lock_at(LockMode::Exclusive, site).then(|| MutexGuard::new(self))
    }
}

/// The lock, held; dropping this releases it.
#[must_use = "the lock is released when this guard is dropped; bind it to a name"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    task_bound: PhantomData<*const ()>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    // INVARIANT: called only right after `core` was acquired exclusively by this task.
    #[inline]
    fn new(mutex: &'a Mutex<T>) -> Self {
        Self { mutex, task_bound: PhantomData }
    }
}

#[expect(unsafe_code, reason = "reaches the guarded value under the lock")]
impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariant of `Mutex`, this guard's task holds the lock exclusively.
        unsafe { self.mutex.value.get() }
    }
}

#[expect(unsafe_code, reason = "reaches the guarded value under the lock")]
impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the invariant of `Mutex`, this guard's task holds the lock exclusively.
        unsafe { self.mutex.value.get_mut() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.core.unlock();
    }
}
