//! The task that runs on this OS thread, and its scope context.
//!
//! Key types: [`Current`], [`Installed`]. The controlled engine switches tasks on one thread: it
//! takes the task's identity and scope context off the thread before a switch, and puts them back
//! after it ([`off_thread`]), also where a panic unwinds through the switch. While a task is on the
//! thread, its context is attached, and [`super::listener`] sees its scopes.
//!
//! A destructor may wait while its task unwinds. `std` counts panics for each thread, so while such
//! a task waits, `std::thread::panicking` is true for every other coroutine of the thread too.
//! [`unwinds`] asks for the running task alone.

use core::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use reclaimdep_scope::TaskFlags;
use reclaimdep_scope::context::{self, Context};

use super::Sched;
use super::side::{OnSide, harness_side};
use super::watch::{self, Beat};
use crate::event::{Site, TaskId};

/// A task and its world.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) sched: Sched,
    pub(super) task: TaskId,
    pub(super) beat: Arc<Beat>,
    /// Where the task was made, or the work item that it executes.
    pub(super) made_at: Site,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    /// A panic of the running task began. It may have been caught since.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
    /// How many tasks were taken off this thread while they unwound.
    static LINGERING: Cell<u32> = const { Cell::new(0) };
}

/// The running task begins to unwind.
pub(super) fn begins_to_unwind() {
    PANICKED.set(true);
}

/// Whether the running task unwinds: then it must not panic again.
///
/// Where another task lingers on this thread and the process has a panic hook that does not call
/// ours, a panic of the user's code is not seen.
pub(super) fn unwinds() -> bool {
    if !std::thread::panicking() {
        PANICKED.set(false);
        return false;
    }
    LINGERING.get() == 0 || PANICKED.get()
}

/// Calls `f` with the running task, if this thread runs one of a world.
pub(super) fn with_current<R>(f: impl FnOnce(&Current) -> R) -> Option<R> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.as_ref().map(f)).ok().flatten()
}

/// Puts back where the body of the running task was made.
pub(super) struct MadeAt(Option<Site>);

/// Until the drop the running task executes what was made at `site`.
pub(super) fn executes(site: Site) -> MadeAt {
    MadeAt(swap_made_at(site))
}

fn swap_made_at(site: Site) -> Option<Site> {
    let swap = |current: &mut Current| std::mem::replace(&mut current.made_at, site);
    CURRENT.try_with(|cell| cell.try_borrow_mut().ok()?.as_mut().map(swap)).ok().flatten()
}

impl Drop for MadeAt {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            swap_made_at(before);
        }
    }
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
    panicked: bool,
    /// A task begins on the harness's side.
    _side: OnSide,
}

impl Installed {
    /// Makes `current` with `context` the running task of this thread until the drop.
    pub(super) fn new(current: Option<Current>, context: Context) -> Self {
        let side = harness_side();
        let before = CURRENT.try_with(|cell| cell.replace(current)).ok().flatten();
        let panicked = PANICKED.replace(false);
        let mut this = Self { before, context, panicked, _side: side };
        context::swap(&mut this.context);
        this
    }

    /// Makes task `task` of `sched` the running one.
    pub(super) fn task(
        sched: &Sched,
        task: TaskId,
        TaskOrigin { flags, site }: TaskOrigin,
    ) -> Self {
        let beat = Arc::clone(&sched.0.table.lock().task(task).beat);
        beat.thread.store(watch::own_id(), Ordering::Relaxed);
        let current = Current { sched: sched.clone(), task, beat, made_at: site };
        let this = Self::new(Some(current), Context::forked(task.0, flags, site));
        context::announce();
        this
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        context::swap(&mut self.context);
        PANICKED.set(self.panicked);
        // A thread that ends may drop its guard after its thread-local slot: then there is nothing
        // to put back.
        let before = self.before.take();
        drop(CURRENT.try_with(|cell| cell.replace(before)));
    }
}

/// Takes the running task off the thread while `switch` lets others run on it.
pub(super) fn off_thread<R>(switch: impl FnOnce() -> R) -> R {
    let lingers = unwinds();
    if lingers {
        PANICKED.set(true);
        LINGERING.set(LINGERING.get() + 1);
    }
    let back = Installed::new(None, Context::DETACHED);
    let stack = watch::on_coroutine((0, 0));
    let switched = switch();
    watch::on_coroutine(stack);
    drop(back);
    if lingers {
        LINGERING.set(LINGERING.get() - 1);
    }
    switched
}
