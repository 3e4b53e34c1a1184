//! The hook a test world listens on.
//!
//! Key types: [`Listener`], [`Site`]. One listener a process, installed once by the harness; it is
//! called only while [`listening`] says that at least one world is alive, so production code pays
//! one relaxed load for each site.

use core::fmt;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

use crate::guard::ScopeKind;
use crate::layer::LayerRef;

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
        Self {
            file: location.file(),
            line: location.line(),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a world hears from the code under test. Called on the task that did it.
pub trait Listener: Sync {
    /// The running task entered a scope, its `seq`-th.
    fn scope_enter(&self, kind: ScopeKind, seq: u32, site: Site);
    /// The running task left the scope.
    fn scope_exit(&self, kind: ScopeKind, seq: u32);
    /// The running task entered a layer.
    fn layer_enter(&self, layer: LayerRef, site: Site);
    /// The running task left the layer.
    fn layer_exit(&self, layer: LayerRef);
}

static WORLDS: AtomicUsize = AtomicUsize::new(0);
static LISTENER: OnceLock<&'static dyn Listener> = OnceLock::new();

/// Whether any world listens.
#[must_use]
pub fn listening() -> bool {
    WORLDS.load(Ordering::Relaxed) != 0
}

/// A world that is alive and wants to be told; dropping it ends that.
#[must_use = "the world stops listening when this is dropped"]
#[derive(Debug)]
pub struct Listening(());

impl Listening {
    /// Starts to listen through `listener`. The first listener of a process stays: worlds share it.
    pub fn start(listener: &'static dyn Listener) -> Self {
        LISTENER.get_or_init(|| listener);
        WORLDS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        WORLDS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls `f` with the listener if any world listens; says whether it did.
pub(crate) fn notify(f: impl FnOnce(&dyn Listener)) -> bool {
    if !listening() {
        return false;
    }
    match LISTENER.get() {
        Some(listener) => {
            f(*listener);
            true
        }
        None => false,
    }
}
