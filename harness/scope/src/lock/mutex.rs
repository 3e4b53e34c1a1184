//! `Mutex`: an ordinary lock that a world sees.
//!
//! Key types: [`Mutex`], [`MutexGuard`]. Outside a world it is `std::sync::Mutex` without
//! poisoning, because the kernel's mutex has none.

use core::ops::{Deref, DerefMut};
use core::panic::Location;
use std::sync::{self, PoisonError, TryLockError};

use super::{LazyId, LockRef};
use crate::context;
use crate::listener;
use crate::site::Site;

/// A lock around a value. Reports call it by its class.
#[derive(Debug)]
pub struct Mutex<T: ?Sized> {
    class: &'static str,
    key: LazyId,
    inner: sync::Mutex<T>,
}

/// A held lock; dropping the guard releases it.
#[must_use = "the lock is released when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct MutexGuard<'a, T: ?Sized> {
    // Fields drop in this order, so that the task that the world wakes finds the inner lock free.
    inner: sync::MutexGuard<'a, T>,
    _world: WorldHold,
}

/// The hold on the world's lock; `None` outside a world.
#[derive(Debug)]
struct WorldHold(Option<LockRef>);

impl Drop for WorldHold {
    fn drop(&mut self) {
        if let Some(lock) = self.0 {
            listener::notify(|l| l.unlock(lock));
        }
    }
}

impl<T> Mutex<T> {
    /// A lock of class `class`: the role of the lock, the same for all locks with that role.
    #[must_use]
    pub const fn new(class: &'static str, value: T) -> Self {
        Self { class, key: LazyId::new(), inner: sync::Mutex::new(value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    fn name(&self) -> LockRef {
        LockRef { key: self.key.get(), class: self.class }
    }

    /// Takes the lock, waiting until it is free.
    ///
    /// A holder that panics does not poison the lock. In a world, a task that takes the lock twice
    /// waits for itself; the judges report that deadlock and the world unwinds every task. A `Drop`
    /// that waits for a lock while tasks unwind ends the process, so use [`Mutex::try_lock`] there.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let world = if context::is_attached() {
            self.lock_in_world(Location::caller())
        } else {
            WorldHold(None)
        };
        MutexGuard {
            inner: self.inner.lock().unwrap_or_else(PoisonError::into_inner),
            _world: world,
        }
    }

    #[cold]
    fn lock_in_world(&self, location: &'static Location<'static>) -> WorldHold {
        let lock = self.name();
        WorldHold(listener::ask(|l| l.lock(lock, Site::from(location))).map(|()| lock))
    }

    /// Takes the lock if it is free.
    #[track_caller]
    #[must_use]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let mut world = WorldHold(None);
        if context::is_attached() {
            let (lock, site) = (self.name(), Site::here());
            match listener::ask(|l| l.try_lock(lock, site)) {
                Some(false) => return None,
                Some(true) => world.0 = Some(lock),
                None => {}
            }
        }
        match self.inner.try_lock() {
            Ok(inner) => Some(MutexGuard { inner, _world: world }),
            Err(TryLockError::Poisoned(poisoned)) => {
                Some(MutexGuard { inner: poisoned.into_inner(), _world: world })
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The value. No lock is taken: the exclusive reference proves that there is no other holder.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
