//! RD12: what is left at the end of a task or of a world.

use super::*;
use crate::event::{LockMode, Resource, WaitId};
use crate::witness::script::{Script, breaches};

/// What is left after `story`, in order.
#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    story(&mut s, task);
    s.on(task, EventKind::WorldEnd);
    assert_eq!(breaches(&s), expect);
}

const SITE: Site = Site { file: "x.rs", line: 1 };
const ONE: ShrinkerId = ShrinkerId(0);
const POOL: PoolId = PoolId(0);

#[test]
fn what_is_left_behind_is_named() {
    check(&[Breach::LeftLocked], |s, task| {
        let lock = s.lock("a", "");
        s.take(task, lock, LockMode::Exclusive);
    });
    check(&[Breach::LeftRegistered], |s, task| {
        s.on(task, EventKind::ShrinkerRegistered { shrinker: ONE, site: SITE });
    });
    check(&[Breach::LeftInFlight], |s, task| {
        let (queue, _) = s.queue("vda");
        s.submit(task, queue);
    });
    check(&[Breach::LeftInFlight], |s, task| {
        let (queue, _) = s.queue("wq");
        s.queue_work(task, queue);
    });
    check(&[Breach::LeftOut], |s, task| s.on(task, EventKind::PoolTake { pool: POOL, site: None }));
    check(&[Breach::LeftHeld], |s, _| {
        let item = s.names.add_item("block 7");
        s.declare(Fact::LeftHeld { item });
    });
}

#[test]
fn a_lock_that_a_task_took_to_its_end_is_named_there() {
    check(&[Breach::LeftLocked], |s, _| {
        let (lock, other) = (s.lock("a", ""), s.task("other"));
        s.take(other, lock, LockMode::Exclusive);
        s.on(other, EventKind::TaskExit);
    });
}

#[test]
fn what_was_released_is_not_reported() {
    check(&[], |s, task| {
        let (queue, server) = s.queue("vda");
        let lock = s.lock("a", "");
        s.take(task, lock, LockMode::Exclusive);
        s.on(task, EventKind::LockReleased { lock });
        s.on(task, EventKind::ShrinkerRegistered { shrinker: ONE, site: SITE });
        s.on(task, EventKind::ShrinkerUnregistered { shrinker: ONE });
        let request = s.submit(task, queue);
        s.on(server, EventKind::RequestComplete { request, error: None });
        s.on(task, EventKind::PoolTake { pool: POOL, site: None });
        s.on(task, EventKind::PoolGive { pool: POOL });
    });
}

fn take(s: &mut Script, task: TaskId) {
    s.on(task, EventKind::PoolTake { pool: POOL, site: None });
}

fn give(s: &mut Script, task: TaskId) {
    s.on(task, EventKind::PoolGive { pool: POOL });
}

#[test]
fn a_pool_is_whole_when_as_many_elements_came_back_as_were_taken() {
    check(&[Breach::LeftOut], |s, task| {
        take(s, task);
        take(s, task);
        give(s, task);
    });
    check(&[], |s, task| {
        take(s, task);
        take(s, task);
        give(s, task);
        give(s, task);
    });
}

#[test]
fn an_element_that_was_given_but_never_taken_is_not_counted() {
    check(&[Breach::LeftOut], |s, task| {
        give(s, task);
        take(s, task);
    });
}

#[test]
fn a_world_that_hung_is_not_asked_for_what_it_left() {
    let hangs = |stalls: bool| {
        move |s: &mut Script, task| {
            let (lock, other) = (s.lock("a", ""), s.task("other"));
            s.take(other, lock, LockMode::Exclusive);
            if stalls {
                s.wait(task, Resource::Condition(WaitId(0)), "wake-up");
                s.stall(false);
            }
            s.on(other, EventKind::TaskExit);
            take(s, task);
        }
    };
    check(&[Breach::LeftLocked, Breach::LeftOut], hangs(false));
    check(&[], hangs(true));
}

#[test]
fn a_world_that_deadlocked_is_not_asked_for_what_it_left() {
    check(&[], |s, task| {
        let lock = s.lock("a", "");
        s.take(task, lock, LockMode::Exclusive);
        s.want(task, lock, LockMode::Exclusive, true);
    });
}
