//! RD05: nothing can go on, or the step budget is spent, and no deadlock explains it.
//!
//! Names every task that waits and for what; when the budget ended the run, also those that ran.

use super::chain::Chain;
use super::code::Code;
use super::finding::Finding;
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, Resource, TaskId};

/// The judge of RD05.
#[derive(Debug)]
pub(super) struct Hang;

impl Judge for Hang {
    fn reads(&self) -> Reads {
        Reads::TASKS
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
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
        // Those that matter first: who needs somebody, who waits for a signal or time, who is idle.
        tasks.sort_by_key(|id| match view.task(*id).and_then(|task| task.wait) {
            Some(wait) if wait.needs_a_task() => 0,
            Some(wait) if !matches!(wait.resource, Resource::Idle(_)) => 1,
            None => 2,
            Some(_) => 3,
        });
        let mut chain = Chain::new(view);
        for id in tasks {
            let waits = view.task(id).is_some_and(|task| task.wait.is_some());
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
mod tests {
    use crate::event::{LockMode, Resource, TaskId, WaitId};
    use crate::witness::finding::StepKind;
    use crate::witness::script::Script;

    #[track_caller]
    fn check(expect: &[&str], story: impl FnOnce(&mut Script)) -> Script {
        let mut s = Script::default();
        story(&mut s);
        assert_eq!(s.codes(), expect);
        s
    }

    #[test]
    fn a_stall_names_who_waits_and_puts_the_idle_last() {
        let s = check(&["RD05"], |s| {
            s.queue("loop0");
            let one = s.task("one");
            s.wait(one, Resource::Condition(WaitId(0)), "wake-up");
            s.stall(false);
        });
        assert_eq!(s.last().tasks, [TaskId(1), TaskId(0)]);
    }

    #[test]
    fn who_needs_somebody_comes_first_then_who_waits_for_time_then_who_runs_then_the_idle() {
        let s = check(&["RD05"], |s| {
            s.queue("loop0");
            s.task("running");
            let (sleeper, needy) = (s.task("sleeper"), s.task("needy"));
            s.wait(sleeper, Resource::Timer, "sleep");
            s.wait(needy, Resource::Condition(WaitId(0)), "wake-up");
            s.stall(true);
        });
        assert_eq!(s.last().tasks, [3, 2, 1, 0].map(TaskId));
    }

    #[test]
    fn a_stall_that_a_deadlock_explains_is_not_another_finding() {
        check(&["RD04"], |s| {
            let (a, one) = (s.lock("a", ""), s.task("one"));
            s.take(one, a, LockMode::Exclusive);
            s.want(one, a, LockMode::Exclusive, false);
            s.stall(false);
        });
    }

    #[test]
    fn a_spent_budget_names_who_runs() {
        let s = check(&["RD05"], |s| {
            s.task("spinner");
            s.stall(true);
        });
        assert!(s.last().chain.iter().any(|step| step.what == StepKind::Running));
    }
}
