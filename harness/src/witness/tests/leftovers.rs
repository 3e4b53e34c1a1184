//! RD12 and RD13: what is left behind, what is gone.

use super::{breaches, broke};
use crate::event::{EventKind, LockMode, PoolId, Resource, Site, TaskId, WaitId};
use crate::witness::Breach;
use crate::witness::finding::Subject;
use crate::witness::script::Script;

const POOL: PoolId = PoolId(0);

fn take(s: &mut Script, task: TaskId) {
    s.on(task, EventKind::PoolTake { pool: POOL });
}

fn give(s: &mut Script, task: TaskId) {
    s.on(task, EventKind::PoolGive { pool: POOL });
}

#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    story(&mut s, task);
    s.on(task, EventKind::WorldEnd);
    assert_eq!(breaches(&s), expect);
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
fn an_element_that_nobody_took_leaves_no_debt() {
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

/// What was lost of an item, acknowledged in these versions on lines 1, 2 and so on: the line that
/// is told.
#[track_caller]
fn check_lost(expect: Option<u32>, acknowledged: &[u64], recovered: u64) {
    let mut s = Script::default();
    let task = s.task("db");
    let item = s.names.add_item("block 7");
    for (version, line) in acknowledged.iter().zip(1..) {
        s.on(
            task,
            EventKind::Acknowledged { item, version: *version, site: Site { file: "x.rs", line } },
        );
    }
    s.on(task, EventKind::Recovered { item, version: recovered });
    let told = broke(&s);
    assert_eq!(told.first().and_then(|(.., step)| step.site).map(|site| site.line), expect);
    assert!(told.iter().all(|(_, subject, _)| *subject == Some(Subject::Item(item))));
}

#[test]
fn a_loss_is_told_where_the_newest_version_was_last_acknowledged() {
    check_lost(Some(2), &[1, 2], 0);
    check_lost(Some(1), &[2, 1], 0);
    check_lost(Some(2), &[2, 2], 0);
}

#[test]
fn a_loss_is_told_once() {
    let mut s = Script::default();
    let (task, item) = (s.task("db"), s.names.add_item("block 7"));
    s.on(task, EventKind::Acknowledged { item, version: 3, site: Site { file: "x.rs", line: 1 } });
    for version in [2, 1] {
        s.on(task, EventKind::Recovered { item, version });
    }
    assert_eq!(breaches(&s), [Breach::LostData]);
}
