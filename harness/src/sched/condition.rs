//! A condition of the user's that judges can follow: which tasks wait for it, and which promised to
//! signal it.
//!
//! Key types: [`Condition`], [`Promise`]. A wait for "log space" or "a free buffer" is like a wait
//! for a lock once a task has promised to signal it. Then a waiting task carries its scope to the
//! tasks that promised, and a cycle through the condition is a deadlock. Without a promise the
//! judges conclude nothing. The signal of the task that promised keeps the promise: after it, that
//! task owes nothing, whether or not the guard still lives.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Sched, SpinLock, WaitQueue, Waiting};
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
    /// How often each task has signalled.
    kept: Arc<SpinLock<BTreeMap<TaskId, u64>>>,
    waiters: WaitQueue,
}

/// A promise to signal. The first signal of the task that made it keeps it, and dropping it ends
/// it.
#[must_use = "the promise ends when this is dropped"]
#[derive(Debug)]
pub struct Promise {
    condition: Condition,
    promiser: TaskId,
    /// How many signals of this task there had been when it promised.
    made_at: u64,
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
            kept: Arc::default(),
            waiters: WaitQueue::new(sched),
        }
    }

    /// Its number, for a wait in another queue that depends on whoever promised.
    pub(crate) const fn id(&self) -> WaitId {
        self.id
    }

    /// The running task promises to signal. From here until its next signal of this condition, or
    /// until the promise is dropped, every wait depends on it.
    #[track_caller]
    pub fn promise(&self) -> Promise {
        let site = Some(Site::here());
        self.sched.emit(EventKind::Promise { condition: self.id, site });
        let promiser = self.sched.current();
        let made_at = self.signals_of(promiser);
        Promise { condition: self.clone(), promiser, made_at, task_bound: PhantomData }
    }

    /// Signals: every waiter tests its condition again, and the promises that the running task made
    /// are kept. Make true what the waiters test before the signal.
    pub fn signal(&self) {
        // The event comes before the count, and the count before the wake-up: a waiter that tests
        // after the event and waits on sees another count and says so.
        if let Some(task) = self.sched.try_current() {
            *self.kept.lock().entry(task).or_default() += 1;
            self.sched.emit(EventKind::Signal { condition: self.id });
        }
        self.signalled.fetch_add(1, Ordering::AcqRel);
        self.waiters.wake_all();
    }

    /// How often the task has signalled.
    fn signals_of(&self, task: TaskId) -> u64 {
        self.kept.lock().get(&task).copied().unwrap_or(0)
    }

    /// Waits for the next signal; `why` names the wait in reports.
    #[track_caller]
    pub fn wait(&self, why: &'static str) {
        let seen = self.signalled.load(Ordering::Acquire);
        self.wait_until(why, || self.signalled.load(Ordering::Acquire) != seen);
    }

    /// Waits until `ready` holds. The code that makes it hold must signal.
    #[track_caller]
    pub fn wait_until(&self, why: &'static str, mut ready: impl FnMut() -> bool) {
        let (sched, condition) = (&self.sched, self.id);
        let resource = Resource::Condition(condition);
        let waiting = Waiting { resource, why, breakable: false, site: Site::here() };
        let mut seen = self.signalled.load(Ordering::Acquire);
        let tested = || {
            let now = self.signalled.load(Ordering::Acquire);
            let holds = ready();
            if !holds && std::mem::replace(&mut seen, now) != now {
                sched.emit(EventKind::WaitAgain { condition });
            }
            holds
        };
        let broken = self.waiters.wait_until(waiting, tested);
        debug_assert!(broken.is_ok(), "a wait that is not breakable is never broken");
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let Condition { sched, id, .. } = &self.condition;
        if self.condition.signals_of(self.promiser) == self.made_at {
            sched.emit_for(self.promiser, EventKind::PromiseEnd { condition: *id });
        }
    }
}
