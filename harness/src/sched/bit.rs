//! `BitSpinLock`: a byte beside what it guards, spun on; giving it up is a plain store.
//!
//! Key types: [`BitSpinLock`], [`BitSpinGuard`]. As the kernel's `bit_spin_lock` and
//! `__bit_spin_unlock`: no queue, and whoever gives it up looks for nobody, so what was written
//! under it need not have reached the cache first. That is worth it where much is written under a
//! lock that is rarely wanted by two, such as a buffer's 4 KiB; a [`SpinLock`](super::SpinLock)
//! sleeps where this one spins, and is better everywhere else. Like that one it is a leaf, emits no
//! events, and a panic while it is held leaves the value as it was.
#![expect(unsafe_code, reason = "reaches the guarded value under the lock")]

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

use super::cell::LockCell;

/// How often a task looks again before it gives its processor to others, one of whom may have the
/// lock.
const SPINS: u32 = 64;

/// A leaf lock of one byte. Hold it for a few lines, never over a call that may wait.
///
/// # Invariants
/// A reference into `value` exists only through a [`BitSpinGuard`], of which there is one at the
/// most: it is made by who changes `held` from false to true, and its drop is what changes it back.
pub(crate) struct BitSpinLock<T: ?Sized> {
    held: AtomicBool,
    value: LockCell<T>,
}

impl<T: Default> Default for BitSpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> BitSpinLock<T> {
    /// A lock around `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: LockCell::new(value) }
    }
}

impl<T: ?Sized> BitSpinLock<T> {
    /// Takes the lock.
    #[inline]
    pub(crate) fn lock(&self) -> BitSpinGuard<'_, T> {
        while self.held.swap(true, Ordering::Acquire) {
            self.wait();
        }
        BitSpinGuard(self)
    }

    /// Until it looks free, however long that takes: a holder may have lost its processor. The load
    /// leaves the holder its cache line.
    #[cold]
    fn wait(&self) {
        let mut tries = 0_u32;
        while self.held.load(Ordering::Relaxed) {
            tries = tries.wrapping_add(1);
            if tries.is_multiple_of(SPINS) {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
    }
}

impl<T: ?Sized> fmt::Debug for BitSpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BitSpinLock").field("held", &self.held).finish_non_exhaustive()
    }
}

/// The lock, held; dropping it gives it up.
#[must_use = "the lock is given up when this guard is dropped; bind it to a name"]
pub(crate) struct BitSpinGuard<'a, T: ?Sized>(&'a BitSpinLock<T>);

impl<T: ?Sized> Deref for BitSpinGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariant of `BitSpinLock` this guard is the only one.
        unsafe { self.0.value.get() }
    }
}

impl<T: ?Sized> DerefMut for BitSpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the invariant of `BitSpinLock` this guard is the only one.
        unsafe { self.0.value.get_mut() }
    }
}

impl<T: ?Sized> Drop for BitSpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: whoever takes the lock next sees all that was written under it.
        self.0.held.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn threads_exclude_each_other() {
        let (total, start) = (BitSpinLock::new(0_u64), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Else the first is done before the last begins.
                    start.wait();
                    for _ in 0..100_000 {
                        let mut total = total.lock();
                        let before = *total;
                        std::hint::black_box(&mut total);
                        *total = before + 1;
                    }
                });
            }
        });
        assert_eq!(*total.lock(), 400_000);
    }

    #[test]
    fn a_panic_under_it_leaves_the_value_and_gives_it_up() {
        let lock = BitSpinLock::new(1);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            *lock.lock() = 2;
            let _held = lock.lock();
            resume_unwind(Box::new(()));
        }));
        assert!(unwound.is_err());
        assert_eq!(*lock.lock(), 2);
    }
}
