//! Who runs on this OS thread, and what it tells its world.
//!
//! Key types: [`Current`], [`WorldListener`]. A scheduler that switches tasks on one thread takes
//! the identity and the scope context off the thread before the switch and puts them back after
//! ([`off_thread`]); a panic that unwinds through the switch puts them back as well.

use core::cell::RefCell;

use reclaimdep_scope::context::{self, Context};
use reclaimdep_scope::{LayerRef, Listener, ScopeKind, Site};

use super::Sched;
use crate::event::{EventKind, TaskId};

/// A task and its world.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) sched: Sched,
    pub(super) task: TaskId,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Calls `f` with the running task, if this thread runs one of a world.
pub(super) fn with_current<R>(f: impl FnOnce(&Current) -> R) -> Option<R> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.as_ref().map(f)).ok().flatten()
}

/// What was on the thread; dropping it puts it back.
pub(super) struct Installed {
    before: Option<Current>,
    context: Context,
}

impl Installed {
    /// Makes `current` with `context` the running task of this thread until the drop.
    pub(super) fn new(current: Option<Current>, context: Context) -> Self {
        let before = CURRENT.try_with(|cell| cell.replace(current)).ok().flatten();
        Self { before, context: context::replace(context) }
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        context::replace(self.context);
        // A thread that ends may drop its guard after its slot: then there is nothing to put back.
        let before = self.before.take();
        drop(CURRENT.try_with(|cell| cell.replace(before)));
    }
}

/// Takes the running task off the thread while `switch` lets others run on it.
pub(super) fn off_thread<R>(switch: impl FnOnce() -> R) -> R {
    let _back = Installed::new(None, Context::default());
    switch()
}

/// The process's listener: hands scopes and layer frames to the world of the running task.
#[derive(Debug)]
pub(super) struct WorldListener;

/// The one listener of the process.
pub(super) static LISTENER: WorldListener = WorldListener;

fn tell(kind: EventKind) {
    let current = with_current(Current::clone);
    if let Some(Current { sched, task }) = current {
        sched.emit_for(task, kind);
    }
}

impl Listener for WorldListener {
    fn scope_enter(&self, kind: ScopeKind, seq: u32, site: Site) {
        tell(EventKind::ScopeEnter { kind, scope: seq, site });
    }

    fn scope_exit(&self, kind: ScopeKind, seq: u32) {
        tell(EventKind::ScopeExit { kind, scope: seq });
    }

    fn layer_enter(&self, layer: LayerRef, site: Site) {
        tell(EventKind::LayerEnter { layer, site });
    }

    fn layer_exit(&self, layer: LayerRef) {
        tell(EventKind::LayerExit { layer });
    }
}
