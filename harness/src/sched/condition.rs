//! A condition of the user's that judges can follow: which tasks wait for it, and which promised to
//! signal it.
//!
//! Key types: [`Condition`], [`Promise`]. A wait for "log space" or "a free buffer" is like a wait
//! for a lock once a task has promised to signal it. Then a waiting task carries its scope to the
//! tasks that promised, and a cycle through the condition is a deadlock. Without a promise the
//! judges conclude nothing.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Sched, WaitQueue, Waiting};
use crate::event::{EventKind, Resource, Site, TaskId, WaitId};

/// A condition that tasks wait for and other tasks signal. Cheap to clone.
///
/// ```
/// use reclaimdep::World;
/// use reclaimdep::kernel::sched::Mutex;
///
/// let report = World::builder().schedules(20).run(|world| {
///     let space = world.condition("log space");
///     let log = std::sync::Arc::new(Mutex::new(world.sched(), "log", "", false));
///     let (theirs, signal) = (log.clone(), space.clone());
///     let checkpoint = world.spawn("checkpoint", move || {
///         let _promise = signal.promise(); // tasks that wait now depend on this one
///         *theirs.lock() = true;
///         signal.signal();
///     });
///     space.wait_until("log space", || *log.lock());
///     checkpoint.join();
/// })?;
/// assert!(report.is_quiet(), "{report}");
/// # Ok::<(), reclaimdep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    sched: Sched,
    id: WaitId,
    signalled: Arc<AtomicU64>,
    waiters: WaitQueue,
}

/// A promise to signal; dropping it ends it.
#[must_use = "the promise ends when this is dropped"]
#[derive(Debug)]
pub struct Promise {
    condition: Condition,
    promiser: TaskId,
    /// A promise belongs to the task that made it; another task must make its own.
    task_bound: PhantomData<*const ()>,
}

impl Condition {
    /// A condition that reports call `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str) -> Self {
        Self {
            sched: sched.clone(),
            id: sched.names(|names| names.add_condition(name)),
            signalled: Arc::default(),
            waiters: WaitQueue::new(sched),
        }
    }

    /// The running task promises to signal. Until the promise is dropped, every wait depends on it.
    pub fn promise(&self) -> Promise {
        self.sched.emit(EventKind::Promise { condition: self.id });
        let promiser = self.sched.current();
        Promise { condition: self.clone(), promiser, task_bound: PhantomData }
    }

    /// Signals: every waiter tests its condition again.
    pub fn signal(&self) {
        self.signalled.fetch_add(1, Ordering::AcqRel);
        self.waiters.wake_all();
    }

    /// Waits for the next signal; `why` names the wait in reports.
    #[track_caller]
    pub fn wait(&self, why: &'static str) {
        let seen = self.signalled.load(Ordering::Acquire);
        self.wait_until(why, || self.signalled.load(Ordering::Acquire) != seen);
    }

    /// Waits until `ready` holds. The code that makes it hold must signal.
    #[track_caller]
    pub fn wait_until(&self, why: &'static str, ready: impl FnMut() -> bool) {
        let resource = Resource::Condition(self.id);
        let waiting = Waiting { resource, why, breakable: false, site: Site::here() };
        let broken = self.waiters.wait_until(waiting, ready);
        debug_assert!(broken.is_ok(), "a wait that is not breakable is never broken");
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let Condition { sched, id, .. } = &self.condition;
        sched.emit_for(self.promiser, EventKind::PromiseEnd { condition: *id });
    }
}
