//! The hook through which the harness learns what tasks of a world do.
//!
//! Key type: [`Listener`]. The harness installs one listener for the process. The crate calls it
//! only on threads that run a task of a world ([`crate::context::is_attached`]); production code on
//! any other thread pays nothing for it, even while a test's world runs beside it.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use crate::kind::{Scope, ScopeKind};
use crate::layer::LayerRef;
use crate::lock::LockRef;
use crate::misuse::MisuseReport;
use crate::shrinker::Shrinker;
use crate::{Site, word};

/// Keeps a shrinker registered with a world; dropping it unregisters the shrinker.
pub type ShrinkerHandle = Box<dyn Any + Send + Sync>;

/// What a world is told by the code under test, and what it does for that code. Each function is
/// called on the task that it is about.
pub trait Listener: Sync {
    /// The running task entered a scope, or started inside it.
    fn scope_enter(&self, scope: Scope);
    /// The running task left the scope of this number.
    fn scope_exit(&self, kind: ScopeKind, seq: u32);
    /// The running task used a scope wrongly.
    fn scope_misuse(&self, misused: MisuseReport);
    /// The running task entered a layer.
    fn layer_enter(&self, layer: LayerRef, site: Site);
    /// The running task left the layer.
    fn layer_exit(&self, layer: LayerRef);
    /// The running task takes a lock; returns when it holds the lock. Other tasks of the world may
    /// run meanwhile, also when they share the thread.
    fn lock(&self, lock: LockRef, site: Site);
    /// The running task takes a lock if it is free; returns whether it took it.
    fn try_lock(&self, lock: LockRef, site: Site) -> bool;
    /// The running task releases a lock.
    fn unlock(&self, lock: LockRef);
    /// The line in the code under test that leads to `site`, a line of the standard library; called
    /// where the running task's stack still shows it.
    fn users_site(&self, site: Site) -> Site {
        site
    }
    /// Registers a shrinker with the running task's world; `None` if that world simulates no
    /// memory.
    fn register_shrinker(&self, shrinker: Arc<dyn Shrinker>) -> Option<ShrinkerHandle>;
}

static LISTENER: OnceLock<&'static dyn Listener> = OnceLock::new();

/// Makes `listener` the process's listener. Later calls have no effect: all worlds share one.
pub fn install(listener: &'static dyn Listener) {
    LISTENER.get_or_init(|| listener);
}

/// Calls `f` with the listener and returns its result, if this thread runs a task of a world.
pub(crate) fn ask<R>(f: impl FnOnce(&dyn Listener) -> R) -> Option<R> {
    if word::is_attached() { LISTENER.get().map(|listener| f(*listener)) } else { None }
}

/// Calls `f` with the listener, if this thread runs a task of a world.
pub(crate) fn notify(f: impl FnOnce(&dyn Listener)) {
    let _ = ask(f);
}
