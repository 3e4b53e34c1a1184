//! `RwSem`: the kernel's reader-writer semaphore, writer-fair.
//!
//! Key types: [`RwSem`], [`RwSemReadGuard`], [`RwSemWriteGuard`]. Mirrors `kernel/locking/rwsem.c`
//! in behaviour: a reader that comes after a waiting writer waits behind it.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::Sched;
use super::cell::LockCell;
use super::lock::RawLock;
use crate::event::{LockId, LockMode, Site};

/// A reader-writer lock around a value.
///
/// # Invariants
/// A shared reference into `value` exists only through a guard; an exclusive one only through a
/// [`RwSemWriteGuard`], whose task holds `core` exclusively.
pub struct RwSem<T: ?Sized> {
    core: RawLock,
    value: LockCell<T>,
}

impl<T: ?Sized> fmt::Debug for RwSem<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwSem").field("core", &self.core).finish_non_exhaustive()
    }
}

impl<T> RwSem<T> {
    /// A semaphore of class `class`, which belongs to `instance`.
    #[must_use]
    pub fn new(sched: &Sched, class: &'static str, instance: &str, value: T) -> Self {
        Self { core: RawLock::new(sched, class, instance, "rwsem"), value: LockCell::new(value) }
    }
}

impl<T: ?Sized> RwSem<T> {
    /// The lock's number in events.
    #[must_use]
    pub const fn id(&self) -> LockId {
        self.core.id()
    }

    /// Takes the lock shared (`down_read`).
    #[track_caller]
    pub fn read(&self) -> RwSemReadGuard<'_, T> {
        self.read_at(Site::here())
    }

    /// As [`RwSem::read`], for a call at `site`.
    pub(crate) fn read_at(&self, site: Site) -> RwSemReadGuard<'_, T> {
        self.core.lock_at(LockMode::Shared, site);
        RwSemReadGuard { sem: self, task_bound: PhantomData }
    }

    /// Takes the lock shared if the task need not wait for it (`down_read_trylock`).
    #[track_caller]
    #[must_use]
    pub fn try_read(&self) -> Option<RwSemReadGuard<'_, T>> {
        self.try_read_at(Site::here())
    }

    /// As [`RwSem::try_read`], for a call at `site`.
    #[must_use]
    pub(crate) fn try_read_at(&self, site: Site) -> Option<RwSemReadGuard<'_, T>> {
        let taken = self.core.try_lock_at(LockMode::Shared, site);
        taken.then(|| RwSemReadGuard { sem: self, task_bound: PhantomData })
    }

    /// Takes the lock exclusive (`down_write`).
    #[track_caller]
    pub fn write(&self) -> RwSemWriteGuard<'_, T> {
        self.write_at(Site::here())
    }

    /// As [`RwSem::write`], for a call at `site`.
    pub(crate) fn write_at(&self, site: Site) -> RwSemWriteGuard<'_, T> {
        self.core.lock_at(LockMode::Exclusive, site);
        RwSemWriteGuard { sem: self, task_bound: PhantomData }
    }

    /// As [`RwSem::write`] where the task may already hold a lock of this class. The order graph by
    /// classes takes each subclass for a class of its own (`down_write_nested`).
    #[track_caller]
    pub fn write_nested(&self, subclass: u8) -> RwSemWriteGuard<'_, T> {
        self.write_nested_at(subclass, Site::here())
    }

    /// As [`RwSem::write_nested`], for a call at `site`.
    pub(crate) fn write_nested_at(&self, subclass: u8, site: Site) -> RwSemWriteGuard<'_, T> {
        self.core.lock_at(LockMode::Nested(subclass), site);
        RwSemWriteGuard { sem: self, task_bound: PhantomData }
    }

    /// Takes the lock exclusive if it is free (`down_write_trylock`).
    #[track_caller]
    #[must_use]
    pub fn try_write(&self) -> Option<RwSemWriteGuard<'_, T>> {
        self.try_write_at(Site::here())
    }

    /// As [`RwSem::try_write`], for a call at `site`.
    #[must_use]
    pub(crate) fn try_write_at(&self, site: Site) -> Option<RwSemWriteGuard<'_, T>> {
        let taken = self.core.try_lock_at(LockMode::Exclusive, site);
        taken.then(|| RwSemWriteGuard { sem: self, task_bound: PhantomData })
    }
}

/// The lock, held shared; dropping this releases it.
#[must_use = "the lock is released when this guard is dropped; bind it to a name"]
pub struct RwSemReadGuard<'a, T: ?Sized> {
    sem: &'a RwSem<T>,
    task_bound: PhantomData<*const ()>,
}

#[expect(unsafe_code, reason = "reaches the guarded value under the lock")]
impl<T: ?Sized> Deref for RwSemReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard's task holds the lock shared.
        unsafe { self.sem.value.get() }
    }
}

impl<T: ?Sized> Drop for RwSemReadGuard<'_, T> {
    fn drop(&mut self) {
        self.sem.core.unlock();
    }
}

/// The lock, held exclusively; dropping this releases it.
#[must_use = "the lock is released when this guard is dropped; bind it to a name"]
pub struct RwSemWriteGuard<'a, T: ?Sized> {
    sem: &'a RwSem<T>,
    task_bound: PhantomData<*const ()>,
}

#[expect(unsafe_code, reason = "reaches the guarded value under the lock")]
impl<T: ?Sized> Deref for RwSemWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard's task holds the lock exclusively.
        unsafe { self.sem.value.get() }
    }
}

#[expect(unsafe_code, reason = "reaches the guarded value under the lock")]
impl<T: ?Sized> DerefMut for RwSemWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard's task holds the lock exclusively.
        unsafe { self.sem.value.get_mut() }
    }
}

impl<T: ?Sized> Drop for RwSemWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.sem.core.unlock();
    }
}
