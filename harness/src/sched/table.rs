//! The task table: which tasks are parked, until when, and whether the world is aborted.
//!
//! Key types: [`TaskTable`], [`TaskState`].
//!
//! Locking: one lock around the table > the event lock ([`super::core`]).

use std::sync::Arc;

use super::watch::Beat;
use crate::error::Errno;
use crate::event::{TaskId, TaskKind};
use crate::units::Ticks;

#[derive(Default)]
pub(super) struct TaskState {
    pub(super) kind: Option<TaskKind>,
    pub(super) parked: bool,
    pub(super) token: bool,
    pub(super) exited: bool,
    pub(super) deadline: Option<Ticks>,
    pub(super) timed_out: bool,
    /// The waits that the world breaks, by the events that began them. More than one may be open.
    pub(super) broken: Vec<(u64, Errno)>,
    /// What its watcher looks at.
    pub(super) beat: Arc<Beat>,
}

impl TaskState {
    /// Takes the error with which the world breaks this wait. The break of a wait around this one
    /// stays until that wait looks for it.
    pub(super) fn take_break(&mut self, wait: u64) -> Option<Errno> {
        let place = self.broken.iter().position(|(broken, _)| *broken == wait)?;
        Some(self.broken.swap_remove(place).1)
    }
}

#[derive(Default)]
pub(super) struct TaskTable {
    pub(super) tasks: Vec<TaskState>,
    pub(super) clock: Ticks,
    pub(super) aborted: bool,
    /// What is left can never unwind.
    pub(super) given_up: bool,
    /// How many tasks linger.
    pub(super) lingering: u32,
    /// How often the step budget was spent, not in vain.
    pub(super) budgets: u64,
    /// The world was aborted because it took too many steps.
    pub(super) out_of_steps: bool,
    pub(super) panic: Option<String>,
}

impl TaskTable {
    pub(super) fn task(&mut self, task: TaskId) -> &mut TaskState {
        &mut self.tasks[task.0 as usize]
    }

    /// Whether any task could run now. Foreign tasks never run: the harness only emits their
    /// events.
    pub(super) fn any_runnable(&self) -> bool {
        self.tasks.iter().any(|t| !t.parked && !t.exited && t.kind != Some(TaskKind::Foreign))
    }

    /// Whether every task but `task` has ended, of those that run here.
    pub(super) fn others_ended(&self, task: TaskId) -> bool {
        let mut others = self.tasks.iter().enumerate();
        others.all(|(index, t)| {
            index == task.0 as usize || t.exited || t.kind == Some(TaskKind::Foreign)
        })
    }

    /// The earliest timer: its time, and the index of its task.
    pub(super) fn next_timer(&self) -> Option<(Ticks, usize)> {
        let timers = self.tasks.iter().enumerate().filter(|(_, t)| t.parked);
        timers.filter_map(|(index, t)| Some((t.deadline?, index))).min()
    }
}
