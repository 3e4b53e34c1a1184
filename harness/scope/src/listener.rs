//! The hook a test world listens on.
//!
//! Key types: [`Listener`], [`Site`]. One listener a process, installed once by the harness. It is
//! called only on threads that run a task of a world ([`crate::context::is_attached`]), so
//! production code pays nothing for it, also while a test's world runs on another thread.

use core::any::Any;
use core::fmt;
use core::panic::Location;
use std::sync::{Arc, OnceLock};

use crate::kind::{Scope, ScopeKind};
use crate::layer::LayerRef;
use crate::lock::LockRef;
use crate::misuse::Misused;
use crate::shrinker::Shrinker;
use crate::word;

/// A source line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Site {
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl Site {
    /// The line that called this function, seen through `#[track_caller]`.
    #[track_caller]
    #[must_use]
    pub fn here() -> Self {
        Self::from(Location::caller())
    }
}

impl From<&'static Location<'static>> for Site {
    fn from(location: &'static Location<'static>) -> Self {
        Self { file: location.file(), line: location.line() }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What keeps a shrinker registered with a world; dropping it unregisters.
pub type ShrinkerHandle = Box<dyn Any + Send + Sync>;

/// What a world hears from the code under test, and does for it. Called on the task that did it.
pub trait Listener: Sync {
    /// The running task entered a scope, or began with it.
    fn scope_enter(&self, scope: Scope);
    /// The running task left the scope of this number.
    fn scope_exit(&self, kind: ScopeKind, seq: u32);
    /// The running task used a scope wrongly.
    fn scope_misuse(&self, misused: Misused);
    /// The running task entered a layer.
    fn layer_enter(&self, layer: LayerRef, site: Site);
    /// The running task left the layer.
    fn layer_exit(&self, layer: LayerRef);
    /// The running task takes a lock: returns when it is its own. Other tasks of the world run
    /// meanwhile, also where they share the thread.
    fn lock(&self, lock: LockRef, site: Site);
    /// The running task takes a lock if it is free; says whether it did.
    fn try_lock(&self, lock: LockRef, site: Site) -> bool;
    /// The running task gives up a lock.
    fn unlock(&self, lock: LockRef);
    /// Registers a shrinker with the running task's world; none if it has no memory of its own.
    fn register_shrinker(&self, shrinker: Arc<dyn Shrinker>) -> Option<ShrinkerHandle>;
}

static LISTENER: OnceLock<&'static dyn Listener> = OnceLock::new();

/// Makes `listener` the process's listener. The first one stays: worlds share it.
pub fn install(listener: &'static dyn Listener) {
    LISTENER.get_or_init(|| listener);
}

/// What `f` makes of the listener, if this thread runs a task of a world.
pub(crate) fn ask<R>(f: impl FnOnce(&dyn Listener) -> R) -> Option<R> {
    if word::is_attached() { LISTENER.get().map(|listener| f(*listener)) } else { None }
}

/// Calls `f` with the listener, if this thread runs a task of a world.
pub(crate) fn notify(f: impl FnOnce(&dyn Listener)) {
    let _ = ask(f);
}
