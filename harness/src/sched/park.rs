//! Parking, waking, and what the world asks of a task before it parks.
//!
//! Key type: [`Wake`]. A task that is about to park first carries out what the world asked for
//! (break a wait, unwind); in a controlled world the last runnable task to park moves the clock to
//! the next timer, or tells the observer that nothing can go on.
//!
//! Ending early: an aborted world unwinds every task with a private payload that each task's entry
//! catches. Code that waits while it unwinds would wait for ever, so guards never take a sleeping
//! lock in their drop.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;

use super::core::{Engine, Sched};
use super::side::harness_side;
use super::table::Table;
use crate::error::Errno;
use crate::event::{Event, EventKind, Reaction, TaskId};
use crate::units::Ticks;

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
pub(super) struct Aborted;

impl Sched {
    /// Waits until woken, timed out at `deadline`, or broken. A wake that came first is not lost.
    pub(super) fn park(&self, deadline: Option<Ticks>) -> Wake {
        let _side = harness_side();
        let me = self.current();
        self.check_budget();
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
        let _side = harness_side();
        self.wake_in(&mut self.0.table.lock(), task);
    }

    pub(super) fn wake_in(&self, table: &mut Table, task: TaskId) {
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
    pub(super) fn idle(&self, table: &mut Table) {
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
        let event = Event {
            seq: hub.seq,
            time,
            task: TaskId(0),
            kind: EventKind::Stall { step_budget: false },
        };
        hub.seq += 1;
        let _ = hub.observer.observe(&event, &hub.names);
        self.abort_in(table);
    }

    /// Carries out what the world asked for; unwinds if that was the end.
    #[inline]
    pub(super) fn react(&self) {
        self.react_quietly();
        if self.0.ended.load(Ordering::Acquire) && !std::thread::panicking() {
            unwind();
        }
    }

    #[inline]
    pub(super) fn react_quietly(&self) {
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
        let _side = harness_side();
        self.abort_in(&mut self.0.table.lock());
    }

    pub(super) fn abort_in(&self, table: &mut Table) {
        table.aborted = true;
        self.0.ended.store(true, Ordering::Release);
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

impl Sched {
    /// Whether a panic's payload is that of a world being unwound: whoever catches panics lets it
    /// go on.
    #[must_use]
    pub fn is_abort(payload: &(dyn Any + Send)) -> bool {
        payload.is::<Aborted>()
    }

    /// Keeps what a panic said that was caught below a task, unless one was kept before.
    pub fn note_panic(&self, who: &str, payload: &(dyn Any + Send)) {
        let _side = harness_side();
        let message = format!("{who}: {}", panic_message(payload));
        self.0.table.lock().panic.get_or_insert(message);
    }
}

pub(super) fn unwind() -> ! {
    resume_unwind(Box::new(Aborted))
}

pub(super) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
