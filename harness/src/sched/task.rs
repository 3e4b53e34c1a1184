//! The task that runs on this OS thread, and its scope context.
//!
//! Key types: [`Current`], [`Installed`]. The controlled engine switches tasks on one thread: it
//! takes the task's identity and scope context off the thread before a switch, and puts them back
//! after it ([`off_thread`]), also where a panic unwinds through the switch. While a task is on the
//! thread, its context is attached, and [`super::listener`] sees its scopes.

use core::cell::RefCell;

use reclaimdep_scope::TaskFlags;
use reclaimdep_scope::context::{self, Context};

use super::Sched;
use super::side::{OnSide, harness_side};
use crate::event::{Site, TaskId};

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

/// The flags that a task begins with, and where it was made.
#[derive(Clone, Copy)]
pub(super) struct TaskOrigin {
    pub(super) flags: TaskFlags,
    pub(super) site: Site,
}

impl TaskOrigin {
    /// No flags, as a kernel thread.
    #[track_caller]
    pub(super) fn kthread() -> Self {
        Self { flags: TaskFlags::EMPTY, site: Site::here() }
    }
}

/// The task and the context that were on the thread before; dropping this puts them back.
pub(super) struct Installed {
    before: Option<Current>,
    context: Context,
    /// A task begins on the harness's side.
    _side: OnSide,
}

impl Installed {
    /// Makes `current` with `context` the running task of this thread until the drop.
    pub(super) fn new(current: Option<Current>, context: Context) -> Self {
        let side = harness_side();
        let before = CURRENT.try_with(|cell| cell.replace(current)).ok().flatten();
        let mut this = Self { before, context, _side: side };
        context::swap(&mut this.context);
        this
    }

    /// Makes task `task` of `sched` the running one.
    pub(super) fn task(
        sched: &Sched,
        task: TaskId,
        TaskOrigin { flags, site }: TaskOrigin,
    ) -> Self {
        let current = Current { sched: sched.clone(), task };
        let this = Self::new(Some(current), Context::forked(task.0, flags, site));
        context::announce();
        this
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        context::swap(&mut self.context);
        // A thread that ends may drop its guard after its thread-local slot: then there is nothing
        // to put back.
        let before = self.before.take();
        drop(CURRENT.try_with(|cell| cell.replace(before)));
    }
}

/// Takes the running task off the thread while `switch` lets others run on it.
pub(super) fn off_thread<R>(switch: impl FnOnce() -> R) -> R {
    let _back = Installed::new(None, Context::DETACHED);
    switch()
}
