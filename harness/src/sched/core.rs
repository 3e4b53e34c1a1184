//! `Sched`: the handle to a world's tasks, events, names and time.
//!
//! Key type: [`Sched`]. Neighbours: the engines below, the primitives above; `spawn` and `park`
//! hold the rest of its methods.
//!
//! Locking: task table > event lock; the list of reactions is a leaf.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use reclaimdep_scope::listener;

use super::SpinLock;
use super::controlled::{Controlled, Driver};
use super::extension::Extensions;
use super::listener::{LISTENER, Production};
use super::native::Native;
use super::side::harness_side;
use super::table::Table;
use super::task::with_current;
use crate::event::{
    Event, EventKind, Layer, LayerRef, LockId, Names, Observer, QueueId, Reaction, RequestId,
    TaskId, TaskKind, WorkId,
};
use crate::units::{Nanos, Ticks};

pub(super) struct Hub {
    pub(super) names: Names,
    pub(super) observer: Box<dyn Observer>,
    pub(super) seq: u64,
}

type LockHook = dyn Fn(&str) + Send + Sync;

pub(super) enum Engine {
    Controlled(Controlled),
    Native(Native),
}

pub(super) struct Inner {
    pub(super) engine: Engine,
    pub(super) table: SpinLock<Table>,
    pub(super) hub: SpinLock<Hub>,
    pub(super) reactions: SpinLock<Vec<Reaction>>,
    pub(super) reacting: AtomicBool,
    /// The table's `aborted`, for who only asks.
    pub(super) ended: AtomicBool,
    pub(super) next_request: AtomicU32,
    extensions: Extensions,
    on_lock: OnceLock<Box<LockHook>>,
    pub(super) production: Production,
}

/// The handle to a world's scheduler. Cheap to clone; every layer keeps one.
#[derive(Clone)]
pub struct Sched(pub(super) Arc<Inner>);

impl std::fmt::Debug for Sched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sched").finish_non_exhaustive()
    }
}

impl Sched {
    fn new(engine: Engine, observer: Box<dyn Observer>) -> Self {
        listener::install(&LISTENER);
        Self(Arc::new(Inner {
            engine,
            table: SpinLock::default(),
            hub: SpinLock::new(Hub { names: Names::default(), observer, seq: 0 }),
            reactions: SpinLock::default(),
            reacting: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            next_request: AtomicU32::new(0),
            extensions: Extensions::default(),
            on_lock: OnceLock::new(),
            production: Production::default(),
        }))
    }

    /// A world on coroutines. Call it inside an execution of [`super::controlled::run`].
    #[must_use]
    pub fn controlled(
        driver: Arc<SpinLock<Driver>>,
        step_budget: u64,
        observer: Box<dyn Observer>,
    ) -> Self {
        Self::new(Engine::Controlled(Controlled::new(driver, step_budget)), observer)
    }

    /// A world on OS threads, whose choices come from `seed`.
    #[must_use]
    pub fn native(seed: u64, observer: Box<dyn Observer>) -> Self {
        Self::new(Engine::Native(Native::new(seed)), observer)
    }

    /// The world of the running task.
    #[must_use]
    pub fn of_current() -> Option<Self> {
        with_current(|current| current.sched.clone())
    }

    /// Keeps `value` with the scheduler until the world ends, unless a value of its type was kept
    /// before.
    pub(crate) fn extend(&self, value: impl Any + Send + Sync) {
        self.0.extensions.add(value);
    }

    /// The value of this type that was kept, if there is one.
    pub(crate) fn extension<T: Any>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    /// Whether every choice is ours.
    #[must_use]
    pub fn is_controlled(&self) -> bool {
        matches!(self.0.engine, Engine::Controlled(_))
    }

    /// A mark that stays the same as long as nobody but the running task could run and no time
    /// passes: what it does then, it does alone. None on OS threads.
    pub(crate) fn solitude(&self) -> Option<(usize, u64, Ticks)> {
        match &self.0.engine {
            Engine::Controlled(controlled) => {
                let (choices, switches) = controlled.turns();
                Some((choices, switches, self.now()))
            }
            Engine::Native(_) => None,
        }
    }

    /// The running task of this world.
    ///
    /// # Panics
    /// If this thread runs no task of this world: spawn through [`Sched::spawn`], or adopt the
    /// thread with [`Sched::adopt`].
    #[must_use]
    #[track_caller]
    pub fn current(&self) -> TaskId {
        self.try_current().expect(
            "this thread runs no task of this world: spawn it through the world, adopt it, or run it in `run_main`",
        )
    }

    /// The running task, if this thread runs one of this world.
    #[must_use]
    pub fn try_current(&self) -> Option<TaskId> {
        with_current(|current| Arc::ptr_eq(&current.sched.0, &self.0).then_some(current.task))
            .flatten()
    }

    /// What kind of task this is; none for a number that no task has.
    #[must_use]
    pub fn kind(&self, task: TaskId) -> Option<TaskKind> {
        self.0.table.lock().tasks.get(task.0 as usize)?.kind
    }

    /// Calls `hook` with the class of each lock that a task has just taken, on that task. Only the
    /// first hook of a world is kept.
    pub fn on_lock(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        let _side = harness_side();
        self.0.on_lock.get_or_init(|| Box::new(hook));
    }

    /// The running task has taken `lock` and holds no leaf lock.
    #[inline]
    pub(super) fn took(&self, lock: LockId) {
        if let Some(hook) = self.0.on_lock.get() {
            let _side = harness_side();
            let class = self.names(|names| names.lock(lock).map_or("", |name| name.class));
            hook(class);
        }
    }

    /// How many findings the observer has so far.
    pub(crate) fn found(&self) -> usize {
        self.0.hub.lock().observer.found()
    }

    /// Tells the observer what the running task did.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.emit_for(self.current(), kind);
    }

    /// Tells the observer what `task` did, whoever runs now.
    pub(crate) fn emit_for(&self, task: TaskId, kind: EventKind) {
        let _side = harness_side();
        // A real clock is read under the lock: else two threads would number their events against
        // it.
        let of_its_own = matches!(self.0.engine, Engine::Native(_));
        let before = if of_its_own { Nanos(0) } else { self.clock() };
        let mut hub = self.0.hub.lock();
        let time = if of_its_own { self.clock() } else { before };
        let hub = &mut *hub;
        let event = Event { seq: hub.seq, time, task, kind };
        hub.seq += 1;
        let reaction = hub.observer.observe(&event, &hub.names);
        if reaction != Reaction::Go {
            self.0.reactions.lock().push(reaction);
            self.0.reacting.store(true, Ordering::Release);
        }
    }

    /// Registers names.
    pub fn names<R>(&self, f: impl FnOnce(&mut Names) -> R) -> R {
        let _side = harness_side();
        f(&mut self.0.hub.lock().names)
    }

    /// Registers an instance of a layer.
    #[must_use]
    pub fn add_layer(&self, layer: Layer, name: &str) -> LayerRef {
        self.names(|names| names.add_layer(layer, name))
    }

    /// Registers a queue that servers serve.
    #[must_use]
    pub fn add_queue(&self, name: &str) -> QueueId {
        self.names(|names| names.add_queue(name))
    }

    /// A fresh number for a request.
    #[must_use]
    pub fn next_request(&self) -> RequestId {
        RequestId(self.0.next_request.fetch_add(1, Ordering::Relaxed))
    }

    /// A fresh number for one queueing of a work item.
    #[must_use]
    pub fn next_work(&self, name: &str) -> WorkId {
        self.names(|names| names.add_work(name))
    }

    fn clock(&self) -> Nanos {
        match &self.0.engine {
            Engine::Controlled(_) => self.0.table.lock().clock.nanos(),
            Engine::Native(native) => native.now(),
        }
    }

    /// Nanoseconds since the world began.
    #[must_use]
    pub fn nanos(&self) -> Nanos {
        self.clock()
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub fn now(&self) -> Ticks {
        Ticks(self.clock().0 / 1_000_000)
    }

    /// A number below `bound` that the world's strategy chooses.
    #[must_use]
    pub fn choose(&self, bound: u32) -> u32 {
        let _side = harness_side();
        match &self.0.engine {
            Engine::Controlled(controlled) => controlled.choose(bound),
            Engine::Native(native) => native.choose(bound),
        }
    }

    /// Ends a controlled world whose steps are spent, and says so.
    pub(super) fn check_budget(&self) {
        if let Engine::Controlled(controlled) = &self.0.engine
            && controlled.spend_step()
            && !self.0.table.lock().aborted
        {
            self.emit(EventKind::Stall { step_budget: true });
            self.abort();
        }
    }

    /// A place where another task may run instead.
    pub fn point(&self) {
        if std::thread::panicking() {
            return;
        }
        let _side = harness_side();
        self.react();
        match &self.0.engine {
            Engine::Controlled(controlled) => {
                self.check_budget();
                controlled.point();
            }
            Engine::Native(native) => native.point(),
        }
        self.react();
    }
}
