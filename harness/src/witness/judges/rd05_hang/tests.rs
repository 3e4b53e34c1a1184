//! RD05: hangs, and stalls that other findings explain.

use crate::event::{LockMode, Resource, TaskId, WaitId};
use crate::witness::StepKind;
use crate::witness::script::Script;

#[track_caller]
fn check(expect: &[&str], story: impl FnOnce(&mut Script)) -> Script {
    let mut s = Script::default();
    story(&mut s);
    assert_eq!(s.codes(), expect);
    s
}

#[test]
fn a_stall_names_the_waiting_tasks_and_puts_idle_ones_last() {
    let s = check(&["RD05"], |s| {
        s.queue("loop0");
        let one = s.task("one");
        s.wait(one, Resource::Condition(WaitId(0)), "wake-up");
        s.stall(false);
    });
    assert_eq!(s.last().tasks, [TaskId(1), TaskId(0)]);
}

#[test]
fn tasks_that_need_a_task_come_first_then_timers_then_running_then_idle_ones() {
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
fn a_spent_budget_names_the_tasks_that_run() {
    let s = check(&["RD05"], |s| {
        s.task("spinner");
        s.stall(true);
    });
    assert!(s.last().chain.iter().any(|step| step.what == StepKind::Running));
}
