//! The task table: who is parked, until when, and whether the world is being unwound.
//!
//! Key types: [`Table`], [`TaskState`]. One leaf lock around it ([`super::core`]).

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
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) tasks: Vec<TaskState>,
    pub(super) clock: Ticks,
    pub(super) aborted: bool,
    pub(super) panic: Option<String>,
}

impl Table {
    pub(super) fn task(&mut self, task: TaskId) -> &mut TaskState {
        &mut self.tasks[task.0 as usize]
    }

    /// Whether any task could run now. Foreign tasks never do: the harness only speaks for them.
    pub(super) fn any_runnable(&self) -> bool {
        self.tasks.iter().any(|t| !t.parked && !t.exited && t.kind != Some(TaskKind::Foreign))
    }

    /// The earliest timer, as (when, whose).
    pub(super) fn next_timer(&self) -> Option<(Ticks, usize)> {
        let timers = self.tasks.iter().enumerate().filter(|(_, t)| t.parked);
        timers.filter_map(|(index, t)| Some((t.deadline?, index))).min()
    }
}
