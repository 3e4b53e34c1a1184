//! RD05: no task can run, or the step budget is spent, and no deadlock explains it.
//!
//! The finding names every task that waits, and for what. If the budget ended the run, it also
//! names the tasks that could run.

use crate::event::{EventKind, Resource, TaskId};
use crate::witness::{Chain, Code, Finding, Judge, Moment, Reads};

/// The judge of RD05.
#[derive(Debug, Default)]
pub(super) struct Hang;

impl Judge for Hang {
    fn reads(&self) -> Reads {
        Reads::TASKS
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let EventKind::Stall { step_budget } = event.kind else {
            return;
        };
        let still =
            |task: TaskId, resource| view.wait(task).is_some_and(|wait| wait.resource == resource);
        let deadlocks = out.iter().filter(|finding| finding.code == Code::RD04);
        if deadlocks
            .flat_map(|finding| &finding.cycle)
            .any(|(task, resource)| still(*task, *resource))
        {
            return;
        }
        let mut tasks: Vec<TaskId> = view.tasks().map(|(id, _)| id).collect();
        // Most important first: tasks that need another task, tasks that wait for a signal or
        // for time, idle tasks.
        tasks.sort_by_key(|id| match view.task(*id).and_then(|task| task.wait()) {
            Some(wait) if wait.needs_a_task() => 0,
            Some(wait) if !matches!(wait.resource, Resource::Idle(_)) => 1,
            None => 2,
            Some(_) => 3,
        });
        let mut chain = Chain::new(view);
        for id in tasks {
            let waits = view.task(id).is_some_and(|task| task.wait().is_some());
            if waits {
                chain.task(id, None);
            } else if step_budget {
                chain.task(id, None);
                chain.running(event);
            }
        }
        out.push(chain.finish(Code::RD05, event));
    }
}

#[cfg(test)]
mod tests;
