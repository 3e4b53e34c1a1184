//! RD08: reserves and nested reclaim.

use super::breaches;
use crate::event::{AllocOutcome, EventKind, Gfp, ReclaimKind, ScopeKind, Site, TaskFlags, TaskId};
use crate::units::Pages;
use crate::witness::Breach;
use crate::witness::script::Script;

const NONE: TaskFlags = TaskFlags::EMPTY;

#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.on(task, EventKind::Watermarks { min: Pages(1000), low: Pages(1250), high: Pages(1500) });
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

fn alloc_at(s: &mut Script, task: TaskId, line: u32, mask: Gfp, flags: TaskFlags, left: u64) {
    let site = Site { file: "x.rs", line };
    s.on(task, EventKind::AllocBegin { order: 0, requested: mask, effective: mask, flags, site });
    s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(left) });
}

/// `floor` pages may be left by such a request, and not one fewer.
#[track_caller]
fn check_floor(mask: Gfp, flags: TaskFlags, victim: bool, floor: u64) {
    for (left, expect) in [(Some(floor), &[][..]), (floor.checked_sub(1), &[Breach::ReservesTaken])]
    {
        let Some(left) = left else { continue };
        check(expect, |s, task| {
            let killed = if victim { task } else { TaskId(9) };
            s.on(task, EventKind::OomKill { victim: Some(killed) });
            alloc_at(s, task, 1, mask, flags, left);
        });
    }
}

#[test]
fn who_forbids_itself_the_reserves_gets_none_of_them() {
    let never = Gfp::NOMEMALLOC;
    check_floor(Gfp::ATOMIC | never, NONE, false, 500);
    check_floor(Gfp::KERNEL | never, NONE, true, 1000);
}

#[test]
fn a_victim_gets_half_of_what_it_may_leave_anyway() {
    check_floor(Gfp::KERNEL, NONE, true, 500);
    check_floor(Gfp::KERNEL | Gfp::HIGH, NONE, true, 250);
    check_floor(Gfp::ATOMIC, NONE, true, 188);
}

#[test]
fn the_victim_is_the_task_that_was_killed_and_no_other() {
    check_floor(Gfp::KERNEL, NONE, false, 1000);
}

#[test]
fn nothing_is_said_about_reserves_before_the_marks_are_known() {
    let mut s = Script::default();
    let task = s.task("cp");
    alloc_at(&mut s, task, 1, Gfp::KERNEL, NONE, 0);
    assert_eq!(breaches(&s), []);
}

#[test]
fn an_allocation_within_a_desperate_one_leaves_it_desperate() {
    let mask = Gfp::KERNEL | Gfp::NOFAIL;
    let begin = |line| {
        let site = Site { file: "x.rs", line };
        EventKind::AllocBegin { order: 0, requested: mask, effective: mask, flags: NONE, site }
    };
    let end = |left| EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(left) };
    check(&[], |s, task| {
        s.on(task, begin(1));
        s.on(task, EventKind::OutOfMemory);
        s.on(task, begin(2));
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask });
        s.on(task, EventKind::ReclaimExit { freed: 0, priority: 12 });
        s.on(task, end(2000));
        s.on(task, end(0));
    });
}

#[test]
fn each_place_is_told_once() {
    check(&[Breach::ReservesTaken, Breach::ReservesTaken], |s, task| {
        for line in [1, 1, 2] {
            alloc_at(s, task, line, Gfp::KERNEL, NONE, 0);
        }
    });
}

#[test]
fn a_failure_is_only_one_of_a_request_that_may_wait() {
    let fails = |mask: Gfp| {
        move |s: &mut Script, task| {
            let (flags, site) = (NONE, Site { file: "x.rs", line: 1 });
            s.on(
                task,
                EventKind::AllocBegin { order: 0, requested: mask, effective: mask, flags, site },
            );
            s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Failed, left: Pages(0) });
        }
    };
    check(&[Breach::NofailFailed], fails(Gfp::KERNEL | Gfp::NOFAIL));
    check(&[Breach::MalformedMask], fails(Gfp::NOWAIT | Gfp::NOFAIL));
}

/// A reclaim of this kind begins inside a scope, or inside another reclaim.
#[track_caller]
fn check_nested(expect: &[Breach], kind: ReclaimKind, scope: Option<ScopeKind>) {
    check(expect, |s, task| {
        match scope {
            Some(scope) => s.scope(task, scope, 1),
            None => {
                s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL })
            }
        }
        s.on(task, EventKind::ReclaimEnter { kind, mask: Gfp::KERNEL });
    });
}

#[test]
fn reclaim_for_a_task_or_a_group_must_not_begin_on_a_reclaimer() {
    let nested = &[Breach::NestedReclaim];
    for kind in [ReclaimKind::Direct, ReclaimKind::Memcg] {
        check_nested(nested, kind, None);
        check_nested(nested, kind, Some(ScopeKind::Noreclaim));
        check_nested(nested, kind, Some(ScopeKind::Kswapd));
        check_nested(&[], kind, Some(ScopeKind::Nofs));
    }
}

#[test]
fn kswapd_is_a_reclaimer_before_it_reclaims() {
    check_nested(&[], ReclaimKind::Kswapd, Some(ScopeKind::Kswapd));
}
