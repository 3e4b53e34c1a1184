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
    pub(super) broken: Option<Errno>,
    /// What its watcher looks at.
    pub(super) beat: Arc<Beat>,
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
