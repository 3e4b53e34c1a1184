//! A condition of the user's that judges can follow: which tasks wait for it, and which promised to
//! signal it.
//!
//! Key types: [`Condition`], [`Promise`]. A wait for "log space" or "a free buffer" is like a wait
//! for a lock once a task has promised to signal it. Then a waiting task carries its scope to the
//! tasks that promised, and a cycle through the condition is a deadlock. Without a promise the
//! judges conclude nothing. The signal of the task that promised keeps the promise: after it, that
//! task owes nothing, whether or not the guard still lives.
//!
//! A promise can also be that of a request or of a work item ([`Actor`]): then whoever serves or
//! executes it must act. It brings a number of units, and a waiter can say how many it needs
//! ([`Needs`]).

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Sched, SpinLock, WaitQueue, Waiting};
use crate::event::{Actor, EventKind, Needs, Resource, Site, TaskId, WaitId};
use crate::units::Ticks;

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
    promises: Arc<SpinLock<Promises>>,
    waiters: WaitQueue,
}

/// The promises that were neither kept nor ended, each with its number.
#[derive(Debug, Default)]
struct Promises {
    open: BTreeMap<Actor, Vec<u64>>,
    made: u64,
}

/// A promise to signal. The first signal of the task that made it keeps it, and dropping it ends
/// it.
#[must_use = "the promise ends when this is dropped"]
#[derive(Debug)]
pub struct Promise {
    condition: Condition,
    promiser: TaskId,
    number: u64,
    /// A promise belongs to the task that made it; another task must make its own.
    task_bound: PhantomData<*const ()>,
}

impl Promises {
    fn make(&mut self, by: Actor) -> u64 {
        self.made += 1;
        self.open.entry(by).or_default().push(self.made);
        self.made
    }

    /// Forgets promise `number`, or the last one; says whether it was open.
    fn end(&mut self, by: Actor, number: Option<u64>) -> bool {
        let Some(open) = self.open.get_mut(&by) else {
            return false;
        };
        let place = match number {
            Some(number) => open.iter().rposition(|open| *open == number),
            None => open.len().checked_sub(1),
        };
        place.map(|place| open.remove(place)).is_some()
    }
}

impl Condition {
    /// A condition that reports call `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str) -> Self {
        Self {
            sched: sched.clone(),
            id: sched.names(|names| names.add_condition(name)),
            signalled: Arc::default(),
            promises: Arc::default(),
            waiters: WaitQueue::new(sched),
        }
    }

    /// The number that events know it by.
    #[must_use]
    pub const fn id(&self) -> WaitId {
        self.id
    }

    /// The running task promises to signal. From here until its next signal of this condition, or
    /// until the promise is dropped, every wait depends on it.
    #[track_caller]
    pub fn promise(&self) -> Promise {
        self.promise_units(1)
    }

    /// The same, for a signal that brings `units`: a waiter may need more than one.
    #[track_caller]
    pub fn promise_units(&self, units: u32) -> Promise {
        let promiser = self.sched.current();
        let number = self.promise_by(Actor::Task(promiser), units, Site::here());
        Promise { condition: self.clone(), promiser, number, task_bound: PhantomData }
    }

    /// `by` promises to signal, which brings `units`; returns the number of the promise. A promise
    /// of a task ends with its next signal or [`Condition::end_promise_by`], that of a request or
    /// a work item with the latter alone, or with the request or the item.
    /// A scheduling point, before the running task changes or tests what the condition is about:
    /// another task may be first.
    pub(crate) fn point(&self) {
        self.sched.point();
    }

    pub(crate) fn promise_by(&self, by: Actor, units: u32, site: Site) -> u64 {
        let (condition, site) = (self.id, Some(site));
        let number = self.promises.lock().make(by);
        self.sched.emit(EventKind::Promise { condition, by, units, site });
        number
    }

    /// The last promise of `by` ends without a signal. Does nothing where none is open.
    #[doc(hidden)]
    pub fn end_promise_by(&self, by: Actor) {
        if self.promises.lock().end(by, None) {
            self.sched.emit(EventKind::PromiseEnd { condition: self.id, by });
        }
    }

    /// Signals: every waiter tests its condition again, and the promises that the running task made
    /// are kept. Make true what the waiters test before the signal.
    pub fn signal(&self) {
        // The event comes before the count, and the count before the wake-up: a waiter that tests
        // after the event and waits on sees another count and says so.
        if let Some(task) = self.sched.try_current() {
            self.promises.lock().open.remove(&Actor::Task(task));
            self.sched.emit(EventKind::Signal { condition: self.id });
        }
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
        self.wait_needing(|| Needs::One, why, Site::here(), ready);
    }

    /// The same, for a waiter that needs more than one of those that promised. `needs` is asked
    /// after each test that fails: how many units are missing then.
    pub(crate) fn wait_needing(
        &self,
        mut needs: impl FnMut() -> Needs,
        why: &'static str,
        site: Site,
        mut ready: impl FnMut() -> bool,
    ) {
        let (sched, condition) = (&self.sched, self.id);
        let resource = Resource::Condition(condition);
        let waiting = Waiting { resource, why, breakable: false, site };
        let mut seen = self.signalled.load(Ordering::Acquire);
        // The wait begins after the first test.
        let (mut begun, mut told) = (false, Needs::One);
        let tested = || {
            let now = self.signalled.load(Ordering::Acquire);
            if ready() {
                return true;
            }
            // Before the wait begins, or begins again: judges look at it then.
            let needs = needs();
            if std::mem::replace(&mut told, needs) != needs {
                sched.emit(EventKind::WaitNeeds { condition, needs });
            }
            if std::mem::replace(&mut begun, true) && std::mem::replace(&mut seen, now) != now {
                sched.emit(EventKind::WaitAgain { condition });
            }
            false
        };
        let broken = self.waiters.wait_until(waiting, tested);
        debug_assert!(broken.is_ok(), "a wait that is not breakable is never broken");
    }
}

impl Condition {
    /// Waits until `ready` holds, or for so many ticks; returns whether it holds. Time ends this
    /// wait in any case, so it is no wait for those that promised.
    #[track_caller]
    pub(crate) fn wait_timeout(
        &self,
        why: &'static str,
        timeout: Ticks,
        ready: impl FnMut() -> bool,
    ) -> bool {
        self.waiters.wait_timeout(Waiting::on(Resource::Timer, why), timeout, ready)
    }

    /// Whether no task waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiters.is_empty()
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let Condition { sched, id, promises, .. } = &self.condition;
        let by = Actor::Task(self.promiser);
        if promises.lock().end(by, Some(self.number)) {
            sched.emit_for(self.promiser, EventKind::PromiseEnd { condition: *id, by });
        }
    }
}
