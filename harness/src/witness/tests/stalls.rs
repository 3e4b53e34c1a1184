//! The account of stalls: whose the longest is, and how many things it tells apart.

use crate::event::{Resource, TaskId, WaitId, WaitOutcome};
use crate::units::Ticks;
use crate::witness::script::Script;
use crate::witness::stalls::{MAX_THINGS, Stall};

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
fn the_longest_is_told_with_who_stood_and_where_and_whether_it_ended() {
    for (ticks, place, file) in [([9, 3], 0, "first.rs"), ([3, 9], 1, "second.rs")] {
        for open in [false, true] {
            let (stall, tasks) = two(ticks[0], ticks[1], open);
            assert_eq!((stall.task, stall.site.file, stall.waits), (tasks[place], file, 2));
            assert_eq!(stall.open, open && place == 1, "{ticks:?}");
        }
    }
}

#[test]
fn of_two_that_stood_as_long_the_first_is_told() {
    let (stall, tasks) = two(5, 5, false);
    assert_eq!(stall.task, tasks[0]);
}

#[test]
fn no_more_things_are_told_apart_than_the_bound() {
    let mut s = Script::default();
    let task = s.task("t");
    for number in 0..=u32::try_from(MAX_THINGS).unwrap() {
        stand(&mut s, task, Resource::Condition(WaitId(number)), 1);
    }
    assert_eq!(s.witness.stalls().longest_first().len(), MAX_THINGS);
}
