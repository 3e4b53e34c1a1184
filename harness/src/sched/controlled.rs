//! The controlled engine: coroutines on one thread, every choice made by a strategy.
//!
//! Key types: [`Controlled`], [`Driver`]. shuttle runs the coroutines. The [`Driver`] implements
//! its scheduler trait: it asks the [`Strategy`] and writes the [`Trace`]. A parked task is a
//! future that is polled again after its waker was called. Unlike shuttle's `unpark`, a waker is no
//! scheduling point, so it may be called with leaf locks held. shuttle never sees a deadlock: a
//! world that cannot go on notices that before its last task parks (see [`super::park`]), and
//! unwinds.
//!
//! Locking: the driver and the list of wakers are leaf locks.

use std::future::poll_fn;
use std::sync::{Arc, Once};
use std::task::{Poll, Waker};

use shuttle::future::block_on;
use shuttle::scheduler::{Schedule, Scheduler, Task};

use super::SpinLock;
use super::strategy::Strategy;
use super::task::{begins_to_unwind, off_thread};
use super::watch;
use crate::event::TaskId;
use crate::event::{Choice, Trace};

/// Bytes of stack of a coroutine unless a run says otherwise. The engine maps stacks lazily, so a
/// larger one costs no more for each schedule.
pub(crate) const TASK_STACK: usize = 1 << 20;

/// Answers every choice of a controlled run and records it.
pub(crate) struct Driver {
    strategy: Box<dyn Strategy>,
    trace: Trace,
    steps: u64,
    /// The task that runs, and how often another took its place.
    runs: Option<TaskId>,
    switches: u64,
    /// The world was aborted, or the trace was taken. Tasks may still unwind; they take turns, and
    /// their order is not recorded.
    over: bool,
    /// Bytes of stack of each coroutine.
    task_stack: usize,
}

impl Driver {
    /// A driver that asks `strategy`.
    #[must_use]
    pub(crate) fn new(strategy: Box<dyn Strategy>) -> Arc<SpinLock<Self>> {
        Arc::new(SpinLock::new(Self {
            strategy,
            trace: Trace::default(),
            steps: 0,
            runs: None,
            switches: 0,
            over: false,
            task_stack: TASK_STACK,
        }))
    }

    /// The choices of the execution that has ended. Choices from here until the next execution are
    /// not recorded.
    #[must_use]
    pub(crate) fn take_trace(&mut self) -> Trace {
        self.over = true;
        std::mem::take(&mut self.trace)
    }

    fn begin(&mut self) -> bool {
        self.trace.0.clear();
        self.steps = 0;
        self.over = false;
        self.strategy.begin()
    }

    fn next(&mut self, runnable: &[TaskId], current: Option<TaskId>) -> TaskId {
        let task = self.task(runnable, current);
        self.switches += u64::from(self.runs.replace(task) != Some(task));
        task
    }

    fn task(&mut self, runnable: &[TaskId], current: Option<TaskId>) -> TaskId {
        if let [only] = runnable {
            return *only;
        }
        if self.over {
            let next = runnable.iter().find(|task| current.is_some_and(|current| **task > current));
            return *next.unwrap_or(&runnable[0]);
        }
        let task = self.strategy.task(runnable, current);
        self.trace.0.push(Choice::Task(task));
        task
    }

    fn number(&mut self, bound: u32) -> u32 {
        if bound < 2 || self.over {
            return 0;
        }
        let number = self.strategy.number(bound);
        self.trace.0.push(Choice::Number(number));
        number
    }
}

/// shuttle's view of the driver.
struct Adapter {
    driver: Arc<SpinLock<Driver>>,
    runnable: Vec<TaskId>,
}

fn task_id(task: shuttle::scheduler::TaskId) -> TaskId {
    TaskId(u32::try_from(usize::from(task)).expect("fewer than 2^32 tasks"))
}

impl Scheduler for Adapter {
    fn new_execution(&mut self) -> Option<Schedule> {
        if watch::pulse().is_some_and(|pulse| pulse.is_abandoned()) {
            return None;
        }
        self.driver.lock().begin().then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<shuttle::scheduler::TaskId>,
        _is_yielding: bool,
    ) -> Option<shuttle::scheduler::TaskId> {
        self.runnable.clear();
        self.runnable.extend(runnable.iter().map(|task| task_id(task.id())));
        let chosen = self.driver.lock().next(&self.runnable, current.map(task_id));
        Some(shuttle::scheduler::TaskId::from(chosen.0 as usize))
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.driver.lock().number(u32::MAX))
    }
}

/// The engine behind one controlled execution.
pub(super) struct Controlled {
    driver: Arc<SpinLock<Driver>>,
    step_budget: u64,
    wakers: SpinLock<Vec<Option<Waker>>>,
}

impl Controlled {
    pub(super) fn new(driver: Arc<SpinLock<Driver>>, step_budget: u64) -> Self {
        Self { driver, step_budget, wakers: SpinLock::new(vec![Some(waker())]) }
    }

    /// Starts a coroutine; it must call [`Self::started`] before anything else.
    pub(super) fn spawn(&self, body: Box<dyn FnOnce() + Send>) {
        off_thread(|| drop(shuttle::thread::spawn(body)));
    }

    /// The coroutine of `task` runs: from now on it can be unparked.
    pub(super) fn started(&self, task: TaskId) {
        let waker = waker();
        let mut wakers = self.wakers.lock();
        let index = task.0 as usize;
        if wakers.len() <= index {
            wakers.resize(index + 1, None);
        }
        wakers[index] = Some(waker);
    }

    /// The task that runs, where the driver can be asked: the caller is another thread.
    pub(super) fn running(&self) -> Option<TaskId> {
        self.driver.try_lock()?.runs
    }

    /// Runs `body`, which is the whole of a coroutine: where it overflows its stack, the watcher
    /// learns that.
    pub(super) fn on_stack<R>(&self, body: impl FnOnce() -> R) -> R {
        let first_frame = 0_u8;
        let bytes = self.driver.lock().task_stack;
        let before = watch::on_coroutine((&raw const first_frame as usize, bytes));
        let result = body();
        watch::on_coroutine(before);
        result
    }

    pub(super) fn park(&self) {
        let mut slept = false;
        let once = poll_fn(|_| {
            if std::mem::replace(&mut slept, true) { Poll::Ready(()) } else { Poll::Pending }
        });
        off_thread(|| block_on(once));
    }

    pub(super) fn unpark(&self, task: TaskId) {
        if let Some(Some(waker)) = self.wakers.lock().get(task.0 as usize) {
            waker.wake_by_ref();
        }
    }

    /// The world was aborted: what follows is no part of the trace.
    pub(super) fn aborted(&self) {
        self.driver.lock().over = true;
    }

    pub(super) fn point(&self) {
        off_thread(shuttle::thread::yield_now);
    }

    pub(super) fn choose(&self, bound: u32) -> u32 {
        self.driver.lock().number(bound)
    }

    /// The number of choices so far, and the number of switches between tasks.
    pub(super) fn turns(&self) -> (usize, u64) {
        let driver = self.driver.lock();
        (driver.trace.0.len(), driver.switches)
    }

    /// Counts a step; returns whether the budget is exceeded, and begins another one. A task that
    /// waits for time alone may run on without a switch, so shuttle's own count is not enough.
    pub(super) fn spend_step(&self) -> bool {
        let mut driver = self.driver.lock();
        driver.steps += 1;
        let spent = driver.steps > self.step_budget;
        if spent {
            driver.steps = 0;
        }
        spent
    }
}

/// The waker of the running coroutine.
fn waker() -> Waker {
    block_on(poll_fn(|context| Poll::Ready(context.waker().clone())))
}

/// Runs `execution` once for every execution that the driver's strategy begins, on this thread, in
/// coroutines with `task_stack` bytes of stack each.
///
/// # Panics
/// If `execution` panics. A world catches the panics of its tasks, so that is a bug of the harness.
pub(crate) fn run(
    driver: &Arc<SpinLock<Driver>>,
    task_stack: usize,
    execution: impl Fn() + Send + Sync + 'static,
) {
    keep_panic_hook();
    driver.lock().task_stack = task_stack;
    let adapter = Adapter { driver: Arc::clone(driver), runnable: Vec::new() };
    shuttle::Runner::new(adapter, config(task_stack)).run(execution);
}

fn config(task_stack: usize) -> shuttle::Config {
    let mut config = shuttle::Config::new();
    config.stack_size = task_stack;
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.max_steps = shuttle::MaxSteps::None;
    config.silence_warnings = true;
    config
}

/// shuttle's first run replaces the process's panic hook by one that prints schedules. Reports are
/// values here, so we make that first run an empty one and put the hook back after it. Ours only
/// notes which task panics.
fn keep_panic_hook() {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        let hook = std::panic::take_hook();
        let once = Driver::new(Box::new(FirstTask(false)));
        let adapter = Adapter { driver: once, runnable: Vec::new() };
        shuttle::Runner::new(adapter, config(TASK_STACK)).run(|| {});
        std::panic::set_hook(Box::new(move |info| {
            begins_to_unwind();
            hook(info);
        }));
    });
}

/// One execution in which the first runnable task always runs.
struct FirstTask(bool);

impl Strategy for FirstTask {
    fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    fn task(&mut self, runnable: &[TaskId], _current: Option<TaskId>) -> TaskId {
        runnable[0]
    }

    fn number(&mut self, _bound: u32) -> u32 {
        0
    }
}
