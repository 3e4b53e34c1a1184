//! `Sched`: the handle to a world's tasks, events, names and time.
//!
//! Key type: [`Sched`]; `spawn` and `park` hold the rest of its methods. Neighbours: the engines
//! below, the primitives above.
//!
//! Locking: the task table > the event lock > the list of reactions.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reclaimdep_scope::listener;

use super::SpinLock;
use super::controlled::{Controlled, Driver};
use super::effort::Efforts;
use super::extension::Extensions;
use super::listener::{LISTENER, Production};
use super::native::Native;
use super::side::harness_side;
use super::sink::{Asked, EventSink};
use super::table::TaskTable;
use super::task::with_current;
use super::wait::Waiting;
use super::watch::{self, Pulse};
use crate::event::{
    EventKind, Layer, LayerRef, LockId, Names, Observer, QueueId, Reaction, RequestId, Resource,
    Site, TaskId, TaskKind, WorkId,
};
use crate::units::{Nanos, Ticks};

/// Bytes of stack of a thread unless a run says otherwise: those of `std`.
const NATIVE_STACK: usize = 2 << 20;

/// An execution ends without a verdict after this many times its step budget.
pub(crate) const MAX_BUDGETS: u64 = 10;

type LockHook = dyn Fn(&str) + Send + Sync;

pub(super) enum Engine {
    Controlled(Controlled),
    Native(Native),
}

pub(super) struct SchedState {
    pub(super) engine: Engine,
    pub(super) table: SpinLock<TaskTable>,
    pub(super) sink: SpinLock<EventSink>,
    pub(super) reactions: SpinLock<Vec<Asked>>,
    pub(super) reacting: AtomicBool,
    /// The same as the table's `aborted`, readable without the table's lock.
    pub(super) ended: AtomicBool,
    pub(super) next_request: AtomicU32,
    /// Waits that were over before they began have an event.
    passed_waits: AtomicBool,
    /// Events and scheduling points so far.
    pub(super) beats: AtomicU64,
    /// The pulse of the thread that the world was made on, if that is watched.
    pub(super) pulse: Option<Arc<Pulse>>,
    /// For how long every task waited before the watcher ended the world.
    pub(super) stalled_for: OnceLock<Duration>,
    /// How often tasks were unwound because the world ended.
    pub(super) unwound: AtomicU32,
    extensions: Extensions,
    on_lock: OnceLock<Box<LockHook>>,
    pub(super) production: Production,
    /// How many work items of each name were made.
    works: SpinLock<BTreeMap<String, u32>>,
}

/// The handle to a world's scheduler. Cheap to clone; every layer keeps one.
#[derive(Clone)]
pub struct Sched(pub(super) Arc<SchedState>);

impl std::fmt::Debug for Sched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sched").finish_non_exhaustive()
    }
}

impl Sched {
    fn new(engine: Engine, observer: Box<dyn Observer>) -> Self {
        listener::install(&LISTENER);
        let efforts = matches!(engine, Engine::Controlled(_)).then(Efforts::default);
        let pulse = watch::pulse();
        let state = Arc::new(SchedState {
            engine,
            table: SpinLock::default(),
            sink: SpinLock::new(EventSink::new(observer, efforts)),
            beats: AtomicU64::new(0),
            pulse,
            stalled_for: OnceLock::new(),
            unwound: AtomicU32::new(0),
            reactions: SpinLock::default(),
            reacting: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            next_request: AtomicU32::new(0),
            passed_waits: AtomicBool::new(false),
            extensions: Extensions::default(),
            on_lock: OnceLock::new(),
            production: Production::default(),
            works: SpinLock::default(),
        });
        if let Some(pulse) = &state.pulse {
            pulse.begin(&state);
        }
        Self(state)
    }

    /// An event or a scheduling point: the running task goes on.
    #[inline]
    pub(super) fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
        if matches!(self.0.engine, Engine::Native(_)) {
            with_current(|current| current.beat.beat());
        }
    }

    /// A world on coroutines. Call it inside an execution of [`super::controlled::run`].
    #[must_use]
    pub(crate) fn controlled(
        driver: Arc<SpinLock<Driver>>,
        step_budget: u64,
        observer: Box<dyn Observer>,
    ) -> Self {
        Self::new(Engine::Controlled(Controlled::new(driver, step_budget)), observer)
    }

    /// A world on OS threads, whose choices come from `seed`.
    #[must_use]
    pub fn native(seed: u64, observer: Box<dyn Observer>) -> Self {
        Self::native_with(seed, None, observer)
    }

    /// The same with `task_stack` bytes of stack for each thread that the world starts.
    #[must_use]
    pub(crate) fn native_with(
        seed: u64,
        task_stack: Option<usize>,
        observer: Box<dyn Observer>,
    ) -> Self {
        let task_stack = task_stack.unwrap_or(NATIVE_STACK);
        Self::new(Engine::Native(Native::new(seed, task_stack)), observer)
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

    /// Whether the controlled engine runs the tasks: then the strategy makes every choice.
    #[must_use]
    pub fn is_controlled(&self) -> bool {
        matches!(self.0.engine, Engine::Controlled(_))
    }

    /// A value that stays the same as long as no other task could run and no time passes. While it
    /// does, nothing but the running task can change anything. `None` on OS threads.
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

    /// Calls `hook` with the class of each lock that a task has just taken, on that task. A world
    /// keeps only the first hook.
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

    /// Tells the observer what the running task did.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.emit_for(self.current(), kind);
    }

    /// Tells the observer what `task` did, whichever task runs now.
    pub(crate) fn emit_for(&self, task: TaskId, kind: EventKind) {
        self.show(task, kind);
    }

    /// Tells the observer that the running task begins to wait. Returns the number of the event,
    /// by which [`Sched::park`] knows the wait.
    pub(super) fn emit_wait(&self, waiting: Waiting) -> u64 {
        let Waiting { resource, why, breakable, site } = waiting;
        self.show(self.current(), EventKind::WaitBegin { resource, why, breakable, site })
    }

    /// From now on each wait that was over before it began has an event.
    pub(crate) fn show_passed_waits(&self) {
        self.0.passed_waits.store(true, Ordering::Relaxed);
    }

    /// Whether a wait that was over before it began has an event.
    pub(crate) fn shows_passed_waits(&self) -> bool {
        self.0.passed_waits.load(Ordering::Relaxed)
    }

    /// The running task came to a wait that was over before it began. A wait for time or for work
    /// is none for another task.
    pub(crate) fn wait_passed(&self, resource: Resource, site: Site) {
        let counts = !matches!(resource, Resource::Idle(_) | Resource::Timer);
        if counts && self.shows_passed_waits() && self.try_current().is_some() {
            self.emit(EventKind::WaitPassed { resource, site });
        }
    }

    fn show(&self, task: TaskId, kind: EventKind) -> u64 {
        let _side = harness_side();
        self.beat();
        // A real clock is read under the lock. Otherwise, of two threads, the one with the later
        // time could get the smaller sequence number.
        let of_its_own = matches!(self.0.engine, Engine::Native(_));
        let before = if of_its_own { Nanos(0) } else { self.clock() };
        let mut sink = self.0.sink.lock();
        let time = if of_its_own { self.clock() } else { before };
        let (seq, asked) = sink.show(time, task, kind);
        if asked.reaction != Reaction::Go {
            self.0.reactions.lock().push(asked);
            self.0.reacting.store(true, Ordering::Release);
        }
        seq
    }

    /// Calls `f` with the world's names, to add or to read some.
    pub fn names<R>(&self, f: impl FnOnce(&mut Names) -> R) -> R {
        let _side = harness_side();
        f(&mut self.0.sink.lock().names)
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

    /// A new number for a request.
    #[must_use]
    pub fn next_request(&self) -> RequestId {
        RequestId(self.0.next_request.fetch_add(1, Ordering::Relaxed))
    }

    /// How many work items of this name were made before; counts this one.
    pub(super) fn namesakes(&self, name: &str) -> u32 {
        let mut works = self.0.works.lock();
        let made = works.entry(name.to_owned()).or_default();
        *made += 1;
        *made - 1
    }

    /// A new number for one queueing of a work item.
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

    /// Counts a step of a controlled world. After as many as the step budget, in which every task
    /// ran in vain, it emits a stall and aborts the world. A world that goes on for
    /// [`MAX_BUDGETS`] times as many steps is aborted without a stall.
    pub(super) fn check_budget(&self) {
        let Engine::Controlled(controlled) = &self.0.engine else {
            return;
        };
        if !controlled.spend_step() {
            return;
        }
        if self.is_aborted() {
            // A task that unwinds spins, and nothing has ended that.
            self.0.table.lock().given_up = true;
            return self.leave_behind();
        }
        let vain = self.0.sink.lock().efforts.as_mut().is_none_or(Efforts::were_in_vain);
        if vain {
            self.emit(EventKind::Stall { step_budget: true });
            return self.abort();
        }
        let mut table = self.0.table.lock();
        table.budgets += 1;
        if table.budgets >= MAX_BUDGETS {
            table.out_of_steps = true;
            self.abort_in(&mut table);
        }
    }

    /// Whether the world was aborted because it took too many steps, though not in vain.
    pub(crate) fn is_out_of_steps(&self) -> bool {
        self.0.table.lock().out_of_steps
    }

    /// A scheduling point: another task may run instead. It carries out what the observer asked
    /// for, and unwinds the task where the world is aborted.
    pub fn point(&self) {
        let _side = harness_side();
        self.beat();
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
