//! RD09: which waits are a convoy, and when one is reported.

use crate::event::{LockMode, Resource, TaskId, WaitOutcome};
use crate::units::Ticks;
use crate::witness::script::{Script, breaches};
use crate::witness::{Breach, JudgeOptions, Witness};

/// A holder that waits for I/O with `waiters` behind its lock, for `ticks`.
#[track_caller]
fn check(expect: &[&str], waiters: usize, ticks: u64, for_io: bool) {
    check_bound(expect, JudgeOptions::default().convoy_bound, waiters, ticks, for_io);
}

#[track_caller]
fn check_bound(expect: &[&str], bound: Ticks, waiters: usize, ticks: u64, for_io: bool) {
    let mut s = Script::default();
    s.witness = Witness::new(JudgeOptions { convoy_bound: bound, ..JudgeOptions::default() });
    let (lock, holder) = (s.lock("client", ""), s.task("holder"));
    let (queue, _) = s.queue("vda");
    s.take(holder, lock, LockMode::Exclusive);
    let request = s.submit(holder, queue);
    if for_io {
        s.wait(holder, Resource::Request(request), "buffer WRITING");
    }
    for number in 0..waiters {
        let waiter = s.task(&format!("waiter {number}"));
        s.want(waiter, lock, LockMode::Exclusive, false);
    }
    s.pass(Ticks(ticks));
    if for_io {
        s.end_wait(holder, Resource::Request(request), WaitOutcome::Satisfied);
    }
    s.pass(Ticks(1000));
    s.task("anybody");
    assert_eq!(s.codes(), expect);
}

#[test]
fn several_behind_a_lock_that_is_held_over_io_are_a_convoy() {
    check(&["RD09"], 2, 100, true);
    check(&["RD09"], 5, 500, true);
}

#[test]
fn a_short_stand_one_waiter_or_a_busy_holder_are_none() {
    check(&[], 2, 99, true);
    check(&[], 1, 500, true);
    check(&[], 2, 500, false);
}

#[test]
fn the_bound_is_the_test_s_own() {
    check_bound(&["RD09"], Ticks(7), 2, 7, true);
    check_bound(&[], Ticks(7), 2, 6, true);
    check_bound(&[], Ticks(1000), 2, 999, true);
}

#[track_caller]
fn check_story(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

#[test]
fn a_convoy_is_that_of_the_lock_that_is_waited_for() {
    let story = |held_over_io: bool| {
        move |s: &mut Script, holder| {
            let (a, b) = (s.lock("a", ""), s.lock("b", ""));
            let (queue, _) = s.queue("vda");
            s.take(holder, a, LockMode::Exclusive);
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            for waiter in ["one", "two"].map(|name| s.task(name)) {
                s.want(waiter, if held_over_io { a } else { b }, LockMode::Exclusive, false);
            }
            s.pass(Ticks(500));
            s.task("anybody");
        }
    };
    check_story(&[Breach::Convoy], story(true));
    check_story(&[], story(false));
}

#[test]
fn a_convoy_names_those_that_stand_and_then_the_holder() {
    let mut s = Script::default();
    let (lock, holder) = (s.lock("a", ""), s.task("holder"));
    let (queue, _) = s.queue("vda");
    s.take(holder, lock, LockMode::Exclusive);
    let request = s.submit(holder, queue);
    s.wait(holder, Resource::Request(request), "buffer WRITING");
    let waiters = ["one", "two"].map(|name| s.task(name));
    for waiter in waiters {
        s.want(waiter, lock, LockMode::Exclusive, false);
    }
    s.pass(Ticks(500));
    s.task("anybody");
    assert_eq!(s.last().tasks, [waiters[0], waiters[1], holder]);
}

#[test]
fn a_stand_begins_anew_when_the_holder_goes_on() {
    check_story(&[], |s, holder| {
        let lock = s.lock("a", "");
        let (queue, _) = s.queue("vda");
        s.take(holder, lock, LockMode::Exclusive);
        for waiter in ["one", "two"].map(|name| s.task(name)) {
            s.want(waiter, lock, LockMode::Exclusive, false);
        }
        for _ in 0..3 {
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            s.pass(Ticks(60));
            s.end_wait(holder, Resource::Request(request), WaitOutcome::Satisfied);
        }
        s.task("anybody");
    });
}

#[test]
fn a_stand_goes_on_while_others_come() {
    check_story(&[Breach::Convoy], |s, holder| {
        let lock = s.lock("a", "");
        let (queue, _) = s.queue("vda");
        s.take(holder, lock, LockMode::Exclusive);
        let request = s.submit(holder, queue);
        s.wait(holder, Resource::Request(request), "buffer WRITING");
        for waiter in ["one", "two", "three"].map(|name| s.task(name)) {
            s.pass(Ticks(60));
            s.want(waiter, lock, LockMode::Exclusive, false);
        }
        s.pass(Ticks(60));
        s.task("anybody");
    });
}

#[test]
fn a_lock_is_reported_once_however_often_it_is_jammed() {
    check_story(&[Breach::Convoy], |s, holder| {
        let lock = s.lock("a", "");
        let (queue, _) = s.queue("vda");
        s.take(holder, lock, LockMode::Exclusive);
        for waiter in ["one", "two"].map(|name| s.task(name)) {
            s.want(waiter, lock, LockMode::Exclusive, false);
        }
        for _ in 0..2 {
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            s.pass(Ticks(500));
            s.end_wait(holder, Resource::Request(request), WaitOutcome::Satisfied);
        }
    });
}
