//! Parking, waking, and aborting a world.
//!
//! Key type: [`Wake`]. Before a task parks, it carries out the observer's reactions (break a wait,
//! abort). In a controlled world the last runnable task to park moves the clock to the next timer;
//! where there is none, it tells the observer that no task can go on.
//!
//! An aborted world unwinds every task with a private payload that each task's entry catches. A
//! destructor may wait meanwhile: a cache joins its thread in `Drop`. A second panic would abort
//! the process, so a task that unwinds already is not unwound again. It *lingers*: its wait is a
//! real one, which ends when the others have unwound far enough.
//!
//! Locking: the task table > the event lock.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;

use super::core::{Engine, Sched};
use super::side::harness_side;
use super::sink::Asked;
use super::table::TaskTable;
use super::task::{begins_to_unwind, unwinds};
use crate::error::Errno;
use crate::event::{EventKind, Reaction, TaskId};
use crate::units::{Nanos, Ticks};

/// Why a parked task goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wake {
    /// Another task woke it.
    Woken,
    /// Its deadline passed.
    TimedOut,
    /// The world breaks the wait with this error.
    Broken(Errno),
}

/// A world whose tasks are unwound more often than this does not end by itself.
const MAX_UNWINDS: u32 = 1 << 16;

/// The payload with which an aborted world unwinds its tasks.
pub(super) struct Aborted;

impl Sched {
    /// Waits until the task is woken, `deadline` passes, or the world breaks the wait that began
    /// with event `wait`. A wake-up that came before the park is not lost, nor is a break that came
    /// while the task was in a wait inside this one. A task that unwinds waits also in an aborted
    /// world.
    pub(super) fn park(&self, wait: u64, deadline: Option<Ticks>) -> Wake {
        let _side = harness_side();
        let me = self.current();
        self.beat();
        self.check_budget();
        self.react();
        let lingers = unwinds();
        {
            let mut table = self.0.table.lock();
            let aborted = table.aborted;
            let task = table.task(me);
            if aborted && !lingers {
                drop(table);
                self.unwind();
            }
            if let Some(errno) = task.take_break(wait) {
                return Wake::Broken(errno);
            }
            let sleeps = !task.token;
            if sleeps {
                task.parked = true;
                task.deadline = deadline;
            }
            table.lingering += u32::from(lingers);
            if sleeps {
                self.idle(&mut table);
            }
        }
        self.carry_out_reactions();
        self.leave_behind();
        loop {
            {
                let mut table = self.0.table.lock();
                if table.aborted && !lingers {
                    table.task(me).parked = false;
                    drop(table);
                    self.unwind();
                }
                let now = table.clock;
                let task = table.task(me);
                if task.token {
                    task.beat.beat();
                    task.token = false;
                    task.parked = false;
                    task.deadline = None;
                    let timed_out = std::mem::take(&mut task.timed_out);
                    let ended = match (task.take_break(wait), timed_out) {
                        (Some(errno), _) => Wake::Broken(errno),
                        (None, true) => Wake::TimedOut,
                        (None, false) => Wake::Woken,
                    };
                    table.lingering -= u32::from(lingers);
                    return ended;
                }
                if !self.is_controlled() && deadline.is_some_and(|at| now.max(self.now()) >= at) {
                    task.parked = false;
                    table.lingering -= u32::from(lingers);
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

    /// Wakes a parked task; if the task is not parked, its next park returns at once.
    pub(super) fn wake(&self, task: TaskId) {
        let _side = harness_side();
        self.wake_in(&mut self.0.table.lock(), task);
    }

    pub(super) fn wake_in(&self, table: &mut TaskTable, task: TaskId) {
        let state = table.task(task);
        state.token = true;
        if std::mem::take(&mut state.parked) {
            match &self.0.engine {
                Engine::Controlled(controlled) => controlled.unpark(task),
                Engine::Native(native) => native.unpark(task),
            }
        }
    }

    /// The wait that began with this event has ended: a break of it is not kept.
    pub(super) fn forget_break(&self, wait: u64) {
        let me = self.current();
        self.0.table.lock().task(me).take_break(wait);
    }

    /// In a controlled world without a runnable task: moves the clock to the next timer, or reports
    /// the stall and aborts.
    pub(super) fn idle(&self, table: &mut TaskTable) {
        // The table of a native world may be long, and there only a task that lingers matters.
        if !self.is_controlled() && table.lingering == 0 {
            return;
        }
        if table.any_runnable() || table.tasks.iter().all(|task| task.exited) {
            return;
        }
        if self.is_controlled()
            && let Some((when, index)) = table.next_timer()
        {
            table.clock = table.clock.max(when);
            table.tasks[index].timed_out = true;
            let task = TaskId(u32::try_from(index).expect("fewer than 2^32 tasks"));
            self.wake_in(table, task);
            return;
        }
        if table.aborted {
            // Only tasks that linger are left, and nothing can end their waits. A native world ends
            // with its main task.
            table.given_up = self.is_controlled() || !table.task(TaskId(0)).exited;
            return;
        }
        if table.lingering > 0 {
            // A task of the user's panicked, and its destructors wait for tasks that would run on.
            // That is no hang: the panic ends the run.
            self.abort_in(table);
            return;
        }
        if !self.is_controlled() {
            return;
        }
        self.stalled(table.clock.nanos());
        self.abort_in(table);
    }

    /// Tells the observer that no task can go on.
    pub(super) fn stalled(&self, time: Nanos) {
        let stall = EventKind::Stall { step_budget: false };
        let _nothing_can_go_on = self.0.sink.lock().show(time, TaskId(0), stall);
    }

    /// Carries out the observer's reactions; unwinds the task if the world is aborted.
    #[inline]
    pub(super) fn react(&self) {
        self.carry_out_reactions();
        if self.0.ended.load(Ordering::Acquire) && !unwinds() {
            self.unwind();
        }
    }

    #[inline]
    pub(super) fn carry_out_reactions(&self) {
        // The load first: a swap takes the cache line from every other thread.
        if self.0.reacting.load(Ordering::Acquire) {
            self.carry_out();
        }
    }

    #[cold]
    fn carry_out(&self) {
        if !self.0.reacting.swap(false, Ordering::AcqRel) {
            return;
        }
        let reactions = std::mem::take(&mut *self.0.reactions.lock());
        for Asked { reaction, wait } in reactions {
            match reaction {
                Reaction::Go => {}
                Reaction::Break(task) => {
                    let mut table = self.0.table.lock();
                    table.task(task).broken.extend(wait.map(|wait| (wait, Errno::EDEADLK)));
                    self.wake_in(&mut table, task);
                }
                Reaction::Abort => self.abort(),
            }
        }
    }

    /// Ends the world: every task unwinds at its next scheduling point, parked ones now.
    pub fn abort(&self) {
        let _side = harness_side();
        self.abort_in(&mut self.0.table.lock());
    }

    pub(super) fn abort_in(&self, table: &mut TaskTable) {
        if !std::mem::replace(&mut table.aborted, true) {
            self.0.sink.lock().observer.aborted();
            if let Engine::Controlled(controlled) = &self.0.engine {
                controlled.aborted();
            }
        }
        self.0.ended.store(true, Ordering::Release);
        for index in 0..table.tasks.len() {
            if table.tasks[index].parked {
                self.wake_in(table, TaskId(u32::try_from(index).expect("fewer than 2^32 tasks")));
            }
        }
    }

    /// Where what is left of the world can never unwind: tells the watcher, which goes on without
    /// this thread. Without a watcher the engine sees what is left.
    pub(super) fn leave_behind(&self) {
        if !self.0.table.lock().given_up {
            return;
        }
        if let Some(pulse) = &self.0.pulse {
            pulse.give_up();
            while self.is_controlled() {
                std::thread::park();
            }
        }
    }

    /// Unwinds the running task. Code that catches that and goes on, again and again, is left
    /// behind: it comes to a scheduling point each time, so the deadline would not see it.
    pub(super) fn unwind(&self) -> ! {
        if self.0.unwound.fetch_add(1, Ordering::Relaxed) >= MAX_UNWINDS
            && let Some(pulse) = &self.0.pulse
        {
            pulse.give_up();
            loop {
                std::thread::park();
            }
        }
        unwind()
    }

    /// The running task unwinds, and what it waits for never comes.
    pub(super) fn linger_for_ever(&self) -> ! {
        loop {
            // No wait has begun, so none of this number is broken.
            self.park(u64::MAX, None);
        }
    }

    /// Whether the world is being unwound.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.0.table.lock().aborted
    }
}

impl Sched {
    /// Whether this payload unwinds the task of an aborted world. Code that catches panics must
    /// resume such an unwind.
    #[must_use]
    pub fn is_abort(payload: &(dyn Any + Send)) -> bool {
        payload.is::<Aborted>()
    }

    /// Keeps the message of a panic that was caught in the middle of a task, unless the world has
    /// one already. `who` says what panicked.
    pub fn note_panic(&self, who: &str, payload: &(dyn Any + Send)) {
        let _side = harness_side();
        let message = format!("{who}: {}", panic_message(payload));
        self.0.table.lock().panic.get_or_insert(message);
    }
}

fn unwind() -> ! {
    begins_to_unwind();
    resume_unwind(Box::new(Aborted))
}

pub(super) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
