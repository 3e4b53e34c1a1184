//! The account of stalls: sums, the longest wait, and how many causes are told apart.

use super::*;
use crate::event::{LockMode, WaitOutcome};
use crate::units::Ticks;
use crate::witness::script::Script;

/// What the account says of `story`: thing, waits, longest and total in ticks, open.
#[track_caller]
fn check(expect: &[(StallCause, u64, u64, u64, bool)], story: impl FnOnce(&mut Script)) {
    let mut s = Script::default();
    story(&mut s);
    let ticks = |nanos: Nanos| nanos.0 / Ticks(1).nanos().0;
    let account = s.witness.stalls().longest_first();
    let account: Vec<_> = account
        .iter()
        .map(|(thing, stall)| {
            (*thing, stall.waits, ticks(stall.longest), ticks(stall.total), stall.open)
        })
        .collect();
    assert_eq!(account, expect);
}

#[test]
fn waits_for_one_thing_are_added_up() {
    check(&[(StallCause::Requests(QueueId(0)), 2, 30, 40, false)], |s| {
        let (queue, _) = s.queue("vda");
        let task = s.task("t");
        for ticks in [10, 30] {
            let request = s.submit(task, queue);
            s.wait(task, Resource::Request(request), "buffer WRITING");
            s.pass(Ticks(ticks));
            s.end_wait(task, Resource::Request(request), WaitOutcome::Satisfied);
        }
    });
}

#[test]
fn a_wait_that_never_ends_counts_to_the_last_event() {
    check(&[(StallCause::Lock(LockId(0)), 1, 20, 20, true)], |s| {
        let (lock, holder, waiter) = (s.lock("l", "l"), s.task("holder"), s.task("waiter"));
        s.take(holder, lock, LockMode::Exclusive);
        s.want(waiter, lock, LockMode::Exclusive, false);
        s.pass(Ticks(20));
        s.task("anybody");
    });
}

#[test]
fn the_longest_comes_first() {
    let (short, long) = (StallCause::Exit(TaskId(0)), StallCause::Exit(TaskId(1)));
    check(&[(long, 1, 9, 9, false), (short, 1, 3, 3, false)], |s| {
        let [short, long, task] = ["short", "long", "t"].map(|name| s.task(name));
        for (joined, ticks) in [(short, 3), (long, 9)] {
            s.wait(task, Resource::Task(joined), "task exit");
            s.pass(Ticks(ticks));
            s.end_wait(task, Resource::Task(joined), WaitOutcome::Satisfied);
        }
    });
}

#[test]
fn an_idle_server_and_a_sleeper_do_not_stand() {
    check(&[], |s| {
        let (queue, server) = s.queue("vda");
        let task = s.task("t");
        s.wait(server, Resource::Idle(queue), "work");
        s.wait(task, Resource::Timer, "sleep");
        s.pass(Ticks(50));
        s.end_wait(task, Resource::Timer, WaitOutcome::Satisfied);
    });
}

const SPACE: Resource = Resource::Condition(WaitId(0));

fn stand(s: &mut Script, task: TaskId, resource: Resource, ticks: u64) {
    s.wait(task, resource, "log space");
    s.pass(Ticks(ticks));
    s.end_wait(task, resource, WaitOutcome::Satisfied);
}

/// Two tasks stand for the same, one after the other, for so many ticks; the second may not have
/// ended.
fn two(first: u64, second: u64, open: bool) -> (Stall, [TaskId; 2]) {
    let mut s = Script::default();
    let tasks = ["first", "second"].map(|name| s.task(name));
    s.file = Some("first.rs");
    stand(&mut s, tasks[0], SPACE, first);
    s.file = Some("second.rs");
    if open {
        s.wait(tasks[1], SPACE, "log space");
        s.pass(Ticks(second));
        s.task("anybody");
    } else {
        stand(&mut s, tasks[1], SPACE, second);
    }
    (s.witness.stalls().longest_first()[0].1, tasks)
}

#[test]
fn the_longest_wait_is_reported_with_task_site_and_whether_it_ended() {
    for (ticks, place, file) in [([9, 3], 0, "first.rs"), ([3, 9], 1, "second.rs")] {
        for open in [false, true] {
            let (stall, tasks) = two(ticks[0], ticks[1], open);
            assert_eq!((stall.task, stall.site.file, stall.waits), (tasks[place], file, 2));
            assert_eq!(stall.open, open && place == 1, "{ticks:?}");
        }
    }
}

#[test]
fn of_two_equally_long_waits_the_first_is_reported() {
    let (stall, tasks) = two(5, 5, false);
    assert_eq!(stall.task, tasks[0]);
}

#[test]
fn no_more_causes_are_kept_than_the_bound() {
    let mut s = Script::default();
    let task = s.task("t");
    for number in 0..=u32::try_from(MAX_CAUSES).unwrap() {
        stand(&mut s, task, Resource::Condition(WaitId(number)), 1);
    }
    assert_eq!(s.witness.stalls().longest_first().len(), MAX_CAUSES);
}
