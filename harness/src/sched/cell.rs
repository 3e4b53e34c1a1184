//! Memory that a lock of ours guards.
//!
//! Key type: [`LockCell`]. [`super::Mutex`] and [`super::RwSem`] keep the proof of
//! exclusion in their own state and reach the value through here; their guards' derefs are the only
//! `unsafe` beside it.
#![expect(unsafe_code, reason = "the locks of sched guard memory; everything above them is safe")]

use core::cell::UnsafeCell;

/// A value that may be reached only by whoever the owning lock lets in.
pub(super) struct LockCell<T: ?Sized>(UnsafeCell<T>);

// SAFETY: the cell hands out references only under its lock's exclusion, so sharing the cell shares
// no more than moving the value between the tasks that take turns (exclusive) or reading it from
// several (shared) would.
unsafe impl<T: ?Sized + Send + Sync> Sync for LockCell<T> {}

impl<T> LockCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(super) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> LockCell<T> {
    /// Reads the value.
    ///
    /// # Safety
    /// The caller holds the owning lock, shared or exclusive, for as long as the reference lives.
    #[inline]
    pub(super) unsafe fn get(&self) -> &T {
        // SAFETY: no exclusive reference exists while the lock is held by the caller.
        unsafe { &*self.0.get() }
    }

    /// Changes the value.
    ///
    /// # Safety
    /// The caller holds the owning lock exclusively for as long as the reference lives.
    #[expect(
        clippy::mut_from_ref,
        reason = "exclusion is the owning lock's, not the borrow checker's"
    )]
    #[inline]
    pub(super) unsafe fn get_mut(&self) -> &mut T {
        // SAFETY: the caller is the only holder of the lock.
        unsafe { &mut *self.0.get() }
    }
}
