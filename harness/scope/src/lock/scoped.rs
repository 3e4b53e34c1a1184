//! Locks that own a scope: the holder of the lock is in the scope.
//!
//! Key types: [`NofsMutex`], [`NoioMutex`], over [`ScopedMutex`]. A scope belongs at the resource
//! that reclaim may need. With both in one type the scope cannot be forgotten and the order is
//! right: the scope is entered before the lock is taken and left after the lock is released.
//! Written from docs/kernel/scopes.md, "Nesting and placement".

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::mutex::{Mutex, MutexGuard};
use crate::guard::ScopeGuard;
use crate::kind::ScopeKind;

/// The scope that a lock owns.
pub trait LockScope {
    /// What it forbids.
    const KIND: ScopeKind;
}

/// The NOFS scope, as a type.
#[derive(Clone, Copy, Debug)]
pub enum Nofs {}

impl LockScope for Nofs {
    const KIND: ScopeKind = ScopeKind::Nofs;
}

/// The NOIO scope, as a type.
#[derive(Clone, Copy, Debug)]
pub enum Noio {}

impl LockScope for Noio {
    const KIND: ScopeKind = ScopeKind::Noio;
}

/// A lock with a NOFS scope: allocations of its holder call into no filesystem.
///
/// ```
/// use reclaimdep_scope::{Gfp, NofsMutex, effective};
///
/// static JOURNAL: NofsMutex<Vec<u64>> = NofsMutex::new("journal", Vec::new());
///
/// let mut journal = JOURNAL.lock();
/// assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
/// journal.push(7);
/// drop(journal);
/// assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
/// ```
pub type NofsMutex<T> = ScopedMutex<T, Nofs>;
/// A lock with a NOIO scope: allocations of its holder start no I/O.
pub type NoioMutex<T> = ScopedMutex<T, Noio>;

/// A lock whose holder is in scope `S`.
pub struct ScopedMutex<T: ?Sized, S> {
    scope: PhantomData<fn() -> S>,
    inner: Mutex<T>,
}

/// A held lock and its scope; dropping the guard releases the lock, then leaves the scope.
#[must_use = "lock and scope end when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct ScopedMutexGuard<'a, T: ?Sized> {
    // Fields drop in this order.
    inner: MutexGuard<'a, T>,
    scope: ScopeGuard,
}

impl<T: ?Sized + fmt::Debug, S> fmt::Debug for ScopedMutex<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedMutex").field(&&self.inner).finish()
    }
}

impl<T, S: LockScope> ScopedMutex<T, S> {
    /// A lock of class `class`.
    #[must_use]
    pub const fn new(class: &'static str, value: T) -> Self {
        Self { scope: PhantomData, inner: Mutex::new(class, value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized, S: LockScope> ScopedMutex<T, S> {
    /// Enters the scope, then takes the lock.
    #[track_caller]
    pub fn lock(&self) -> ScopedMutexGuard<'_, T> {
        let scope = S::KIND.enter();
        ScopedMutexGuard { inner: self.inner.lock(), scope }
    }

    /// Enters the scope and takes the lock if the lock is free; otherwise does neither.
    #[track_caller]
    #[must_use]
    pub fn try_lock(&self) -> Option<ScopedMutexGuard<'_, T>> {
        let scope = S::KIND.enter();
        Some(ScopedMutexGuard { inner: self.inner.try_lock()?, scope })
    }

    /// The value. No lock is taken: the exclusive reference proves that there is no other holder.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T: ?Sized> ScopedMutexGuard<'_, T> {
    /// The scope that the holder is in.
    #[must_use = "this only looks at the scope"]
    pub const fn scope(&self) -> &ScopeGuard {
        &self.scope
    }
}

impl<T: ?Sized> Deref for ScopedMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for ScopedMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
