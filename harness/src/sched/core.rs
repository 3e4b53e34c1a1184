//! `Sched`: the handle to a world's tasks, events, names and time.
//!
//! Key types: [`Sched`], [`JoinHandle`], [`Wake`]. Neighbours: the engines below, the primitives
//! above. A task that is about to park first carries out what the world asked for (break a wait,
//! unwind); in a controlled world the last runnable task to park moves the clock to the next timer,
//! or tells the observer that nothing can go on.
//!
//! Ending early: an aborted world unwinds every task with a private payload that each task's entry
//! catches. Code that waits while it unwinds would wait for ever, so guards never take a sleeping
//! lock in their drop.
//!
//! Locking: task table > event lock; the list of reactions is a leaf.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use reclaimdep_scope::context::Context;
use reclaimdep_scope::listener::Listening;

use super::controlled::{Controlled, Driver};
use super::native::Native;
use super::task::{Current, Installed, LISTENER, with_current};
use super::{Completion, SpinLock};
use crate::error::Errno;
use crate::event::{
    Event, EventKind, Layer, LayerRef, Names, Observer, QueueId, Reaction, RequestId, Resource, Site, TaskId,
    TaskKind, WorkId,
};
use crate::units::{Nanos, Ticks};

/// Why a parked task goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Somebody woke it.
    Woken,
    /// Its time ran out.
    TimedOut,
    /// The world breaks the wait with this error.
    Broken(Errno),
}

/// The payload with which an aborted world unwinds its tasks.
struct Aborted;

/// How a task ended.
enum Ended<T> {
    Value(T),
    Panicked(Box<dyn Any + Send>),
    Aborted,
}

#[derive(Default)]
struct TaskState {
    kind: Option<TaskKind>,
    parked: bool,
    token: bool,
    exited: bool,
    deadline: Option<Ticks>,
    timed_out: bool,
    broken: Option<Errno>,
}

#[derive(Default)]
struct Table {
    tasks: Vec<TaskState>,
    clock: Ticks,
    aborted: bool,
    panic: Option<String>,
}

impl Table {
    fn task(&mut self, task: TaskId) -> &mut TaskState {
        &mut self.tasks[task.0 as usize]
    }

    /// Whether any task could run now. Foreign tasks never do: the harness only speaks for them.
    fn any_runnable(&self) -> bool {
        self.tasks.iter().any(|t| !t.parked && !t.exited && t.kind != Some(TaskKind::Foreign))
    }

    /// The earliest timer, as (when, whose).
    fn next_timer(&self) -> Option<(Ticks, usize)> {
        let timers = self.tasks.iter().enumerate().filter(|(_, t)| t.parked);
        timers.filter_map(|(index, t)| Some((t.deadline?, index))).min()
    }
}

struct Hub {
    names: Names,
    observer: Box<dyn Observer>,
    seq: u64,
}

enum Engine {
    Controlled(Controlled),
    Native(Native),
}

struct Inner {
    engine: Engine,
    table: SpinLock<Table>,
    hub: SpinLock<Hub>,
    reactions: SpinLock<Vec<Reaction>>,
    reacting: AtomicBool,
    next_request: AtomicU32,
    /// What the world keeps with its scheduler, to be found from any of its tasks.
    extension: OnceLock<Box<dyn Any + Send + Sync>>,
    _listening: Listening,
}

/// The handle to a world's scheduler. Cheap to clone; every layer keeps one.
#[derive(Clone)]
pub struct Sched(Arc<Inner>);

impl std::fmt::Debug for Sched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sched").finish_non_exhaustive()
    }
}

impl Sched {
    fn new(engine: Engine, observer: Box<dyn Observer>) -> Self {
        Self(Arc::new(Inner {
            engine,
            table: SpinLock::default(),
            hub: SpinLock::new(Hub { names: Names::default(), observer, seq: 0 }),
            reactions: SpinLock::default(),
            reacting: AtomicBool::new(false),
            next_request: AtomicU32::new(0),
            extension: OnceLock::new(),
            _listening: Listening::start(&LISTENER),
        }))
    }

    /// A world on coroutines. Call it inside an execution of [`super::controlled::run`].
    #[must_use]
    pub fn controlled(driver: Arc<SpinLock<Driver>>, step_budget: u64, observer: Box<dyn Observer>) -> Self {
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

    /// Keeps a value with the scheduler; only the first is kept.
    pub(crate) fn extend(&self, value: impl Any + Send + Sync) {
        self.0.extension.get_or_init(|| Box::new(value));
    }

    /// The value that was kept, if it is a `T`.
    pub(crate) fn extension<T: Any>(&self) -> Option<&T> {
        self.0.extension.get()?.downcast_ref()
    }

    /// Whether every choice is ours.
    #[must_use]
    pub fn is_controlled(&self) -> bool {
        matches!(self.0.engine, Engine::Controlled(_))
    }

    // --- events and names -------------------------------------------------------------------

    /// The running task of this world.
    ///
    /// # Panics
    /// If this thread runs no task of this world: spawn through [`Sched::spawn`], or adopt the
    /// thread with [`Sched::adopt`].
    #[must_use]
    pub fn current(&self) -> TaskId {
        with_current(|current| Arc::ptr_eq(&current.sched.0, &self.0).then_some(current.task))
            .flatten()
            .expect("this thread runs a task of the world; spawn it through the world or adopt it")
    }

    /// Tells the observer what the running task did.
    pub fn emit(&self, kind: EventKind) {
        self.emit_for(self.current(), kind);
    }

    /// Tells the observer what `task` did, whoever runs now.
    pub fn emit_for(&self, task: TaskId, kind: EventKind) {
        let time = self.clock();
        let mut hub = self.0.hub.lock();
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

    // --- time and choices -------------------------------------------------------------------

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
        match &self.0.engine {
            Engine::Controlled(controlled) => controlled.choose(bound),
            Engine::Native(native) => native.choose(bound),
        }
    }

    /// A place where another task may run instead.
    pub fn point(&self) {
        if std::thread::panicking() {
            return;
        }
        self.react();
        match &self.0.engine {
            Engine::Controlled(controlled) => {
                if controlled.over_budget() && !self.0.table.lock().aborted {
                    self.emit(EventKind::Stall { step_budget: true });
                    self.abort();
                }
                controlled.point();
            }
            Engine::Native(native) => native.point(),
        }
        self.react();
    }

    // --- tasks --------------------------------------------------------------------------------

    fn add_task(&self, name: &str, kind: TaskKind, parent: Option<TaskId>) -> TaskId {
        let task = {
            let mut table = self.0.table.lock();
            table.tasks.push(TaskState { kind: Some(kind), ..TaskState::default() });
            let task = TaskId(u32::try_from(table.tasks.len() - 1).expect("fewer than 2^32 tasks"));
            // Still under the table's lock: OS threads are adopted at any moment.
            let named = self.names(|names| names.add_task(name));
            assert_eq!(named, task, "tasks are named in the order they are made");
            task
        };
        self.emit_for(task, EventKind::TaskSpawn { parent: parent.unwrap_or(task), kind });
        task
    }

    /// Starts a task with an empty context, as a kernel thread has.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        kind: TaskKind,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let parent = self.current();
        // In a controlled world coroutine numbers and task numbers must agree, so nothing may run
        // between taking the number and starting the coroutine.
        let task = self.add_task(name, kind, Some(parent));
        let done = Completion::new(self, Resource::Task(task));
        let handle = JoinHandle { task, done, slot: Arc::new(SpinLock::new(None)) };
        let (sched, done, slot) = (self.clone(), handle.done.clone(), Arc::clone(&handle.slot));
        let entry = move || {
            if let Engine::Controlled(controlled) = &sched.0.engine {
                controlled.started(task);
            }
            let ended = sched.run_task(task, body);
            *slot.lock() = Some(ended);
            done.complete();
            sched.exit_task(task);
        };
        match &self.0.engine {
            Engine::Controlled(controlled) => controlled.spawn(Box::new(entry)),
            Engine::Native(native) => native.spawn(name, Box::new(entry)),
        }
        handle
    }

    /// Runs `body` as `task` on this thread and catches how it ends.
    fn run_task<T>(&self, task: TaskId, body: impl FnOnce() -> T) -> Ended<T> {
        let _installed = Installed::new(Some(Current { sched: self.clone(), task }), Context::default());
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(value) => Ended::Value(value),
            Err(payload) if payload.is::<Aborted>() => Ended::Aborted,
            Err(payload) => {
                let message = panic_message(&*payload);
                self.0.table.lock().panic.get_or_insert(message);
                self.abort();
                Ended::Panicked(payload)
            }
        }
    }

    fn exit_task(&self, task: TaskId) {
        self.emit_for(task, EventKind::TaskExit);
        let mut table = self.0.table.lock();
        table.task(task).exited = true;
        self.idle(&mut table);
    }

    /// Runs `body` as task 0 on this thread. `None` says that the world was aborted or that a task
    /// panicked ([`Sched::panic_message`] says which).
    pub fn run_main<T>(&self, body: impl FnOnce() -> T) -> Option<T> {
        let task = self.add_task("main", TaskKind::Task, None);
        assert_eq!(task, TaskId(0), "a world has one main task");
        let ended = self.run_task(task, body);
        self.exit_task(task);
        match ended {
            Ended::Value(value) => Some(value),
            Ended::Aborted | Ended::Panicked(_) => None,
        }
    }

    /// What the first task that panicked said.
    #[must_use]
    pub fn panic_message(&self) -> Option<String> {
        self.0.table.lock().panic.clone()
    }

    /// Makes this OS thread, which the world did not start, a task of it until the guard drops.
    ///
    /// Native worlds only: a thread that a library started to call our code.
    pub fn adopt(&self, name: &str) -> Adopted {
        let task = self.add_task(name, TaskKind::Server, None);
        let current = Current { sched: self.clone(), task };
        Adopted { sched: self.clone(), task, _installed: Installed::new(Some(current), Context::default()) }
    }

    /// Registers a task of the real kernel that the harness will speak for with [`Sched::emit_for`].
    #[must_use]
    pub fn foreign_task(&self, name: &str) -> TaskId {
        self.add_task(name, TaskKind::Foreign, None)
    }

    // --- parking ------------------------------------------------------------------------------

    /// Waits until woken, timed out at `deadline`, or broken. A wake that came first is not lost.
    pub(super) fn park(&self, deadline: Option<Ticks>) -> Wake {
        let me = self.current();
        self.react();
        {
            let mut table = self.0.table.lock();
            let aborted = table.aborted;
            let task = table.task(me);
            if aborted {
                drop(table);
                unwind();
            }
            if !task.token {
                task.parked = true;
                task.deadline = deadline;
                self.idle(&mut table);
            }
        }
        self.react_quietly();
        loop {
            {
                let mut table = self.0.table.lock();
                if table.aborted {
                    table.task(me).parked = false;
                    drop(table);
                    unwind();
                }
                let now = table.clock;
                let task = table.task(me);
                if task.token {
                    task.token = false;
                    task.parked = false;
                    task.deadline = None;
                    return match (task.broken.take(), std::mem::take(&mut task.timed_out)) {
                        (Some(errno), _) => Wake::Broken(errno),
                        (None, true) => Wake::TimedOut,
                        (None, false) => Wake::Woken,
                    };
                }
                if !self.is_controlled() && deadline.is_some_and(|at| now.max(self.now()) >= at) {
                    task.parked = false;
                    return Wake::TimedOut;
                }
            }
            match &self.0.engine {
                Engine::Controlled(controlled) => controlled.park(),
                Engine::Native(native) => {
                    let now = self.now();
                    native.park(me, deadline.map(|at| Ticks(at.0.saturating_sub(now.0).max(1))));
                }
            }
        }
    }

    /// Lets a parked task go on, or its next park return at once.
    pub(super) fn wake(&self, task: TaskId) {
        self.wake_in(&mut self.0.table.lock(), task);
    }

    fn wake_in(&self, table: &mut Table, task: TaskId) {
        let state = table.task(task);
        state.token = true;
        if std::mem::take(&mut state.parked) {
            match &self.0.engine {
                Engine::Controlled(controlled) => controlled.unpark(task),
                Engine::Native(native) => native.unpark(task),
            }
        }
    }

    /// A wait is over by other means: a break that comes too late must not hit the next one.
    pub(super) fn forget_break(&self) {
        let me = self.current();
        self.0.table.lock().task(me).broken = None;
    }

    /// In a controlled world with nobody runnable: moves the clock, or reports the stall.
    fn idle(&self, table: &mut Table) {
        if !self.is_controlled() || table.aborted || table.any_runnable() {
            return;
        }
        if table.tasks.iter().all(|task| task.exited) {
            return;
        }
        if let Some((when, index)) = table.next_timer() {
            table.clock = table.clock.max(when);
            table.tasks[index].timed_out = true;
            let task = TaskId(u32::try_from(index).expect("fewer than 2^32 tasks"));
            self.wake_in(table, task);
            return;
        }
        let time = table.clock.nanos();
        let mut hub = self.0.hub.lock();
        let hub = &mut *hub;
        let event =
            Event { seq: hub.seq, time, task: TaskId(0), kind: EventKind::Stall { step_budget: false } };
        hub.seq += 1;
        let _ = hub.observer.observe(&event, &hub.names);
        self.abort_in(table);
    }

    // --- reactions --------------------------------------------------------------------------------

    /// Carries out what the world asked for; unwinds if that was the end.
    fn react(&self) {
        self.react_quietly();
        if !std::thread::panicking() && self.0.table.lock().aborted {
            unwind();
        }
    }

    fn react_quietly(&self) {
        if !self.0.reacting.swap(false, Ordering::AcqRel) {
            return;
        }
        let reactions = std::mem::take(&mut *self.0.reactions.lock());
        for reaction in reactions {
            match reaction {
                Reaction::Go => {}
                Reaction::Break(task) => {
                    let mut table = self.0.table.lock();
                    table.task(task).broken = Some(Errno::EDEADLK);
                    self.wake_in(&mut table, task);
                }
                Reaction::Abort => self.abort(),
            }
        }
    }

    /// Ends the world: every task unwinds at its next scheduling point, parked ones now.
    pub fn abort(&self) {
        self.abort_in(&mut self.0.table.lock());
    }

    fn abort_in(&self, table: &mut Table) {
        table.aborted = true;
        for index in 0..table.tasks.len() {
            if table.tasks[index].parked {
                self.wake_in(table, TaskId(u32::try_from(index).expect("fewer than 2^32 tasks")));
            }
        }
    }

    /// Whether the world is being unwound.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.0.table.lock().aborted
    }
}

fn unwind() -> ! {
    resume_unwind(Box::new(Aborted))
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// An OS thread that is a task of a world; dropping it ends that.
#[must_use = "the thread is a task only while this lives"]
pub struct Adopted {
    sched: Sched,
    task: TaskId,
    _installed: Installed,
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.sched.exit_task(self.task);
    }
}

/// A task that was started.
#[must_use = "a task that nobody joins is joined at the end of the world"]
pub struct JoinHandle<T> {
    task: TaskId,
    done: Completion,
    slot: Arc<SpinLock<Option<Ended<T>>>>,
}

impl<T> JoinHandle<T> {
    /// The task's number.
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.task
    }

    /// Happens when the task has ended.
    pub(crate) fn done(&self) -> Completion {
        self.done.clone()
    }

    /// Waits until the task has ended; returns what it returned.
    ///
    /// # Panics
    /// With the task's panic, if it panicked.
    #[track_caller]
    pub fn join(self) -> T {
        self.done.wait_at("task exit", Site::here());
        match self.slot.lock().take() {
            Some(Ended::Value(value)) => value,
            Some(Ended::Panicked(payload)) => panic_any(payload_again(payload)),
            Some(Ended::Aborted) | None => unwind(),
        }
    }
}

/// The payload as text: the original stays with the world, which reports it.
fn payload_again(payload: Box<dyn Any + Send>) -> String {
    panic_message(&*payload)
}
