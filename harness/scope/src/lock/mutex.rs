//! `Mutex`: an ordinary lock that a world sees.
//!
//! Key types: [`Mutex`], [`MutexGuard`]. Outside a world it is `std::sync::Mutex` without
//! poisoning, as the kernel's has none.

use core::ops::{Deref, DerefMut};
use core::panic::Location;
use std::sync::{self, PoisonError, TryLockError};

use super::{Key, LockRef};
use crate::context;
use crate::listener::{self, Site};

/// A lock around a value, of a class that reports name.
#[derive(Debug)]
pub struct Mutex<T: ?Sized> {
    class: &'static str,
    key: Key,
    inner: sync::Mutex<T>,
}

/// The lock, held; dropping it gives it up.
#[must_use = "the lock is given up when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct MutexGuard<'a, T: ?Sized> {
    // Fields drop in this order: in a world, whoever is woken finds the inner lock free.
    inner: sync::MutexGuard<'a, T>,
    _world: InWorld,
}

/// The world's side of a held lock.
#[derive(Debug)]
struct InWorld(Option<LockRef>);

impl Drop for InWorld {
    fn drop(&mut self) {
        if let Some(lock) = self.0 {
            listener::notify(|l| l.unlock(lock));
        }
    }
}

impl<T> Mutex<T> {
    /// A lock of class `class`: its role, the same for all locks that play it.
    #[must_use]
    pub const fn new(class: &'static str, value: T) -> Self {
        Self { class, key: Key::new(), inner: sync::Mutex::new(value) }
    }

    /// The value, when nobody can hold the lock any more.
    pub fn into_inner(self) -> T {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    fn name(&self) -> LockRef {
        LockRef { key: self.key.get(), class: self.class }
    }

    /// Takes the lock, waiting for it.
    ///
    /// A holder that panicked poisons nothing. In a world a task that locks twice waits for itself,
    /// and the judges say so; then the world unwinds every task. A `Drop` that must wait for a lock
    /// at that moment cannot be unwound and ends the process: let it use [`Mutex::try_lock`].
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let world = if context::is_attached() {
            self.lock_in_world(Location::caller())
        } else {
            InWorld(None)
        };
        MutexGuard {
            inner: self.inner.lock().unwrap_or_else(PoisonError::into_inner),
            _world: world,
        }
    }

    #[cold]
    fn lock_in_world(&self, location: &'static Location<'static>) -> InWorld {
        let lock = self.name();
        InWorld(listener::ask(|l| l.lock(lock, Site::from(location))).map(|()| lock))
    }

    /// Takes the lock if it is free.
    #[track_caller]
    #[must_use]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let mut world = InWorld(None);
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

    /// The value, through the only reference to the lock.
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
