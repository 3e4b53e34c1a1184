//! RD08: reserves, nested reclaim and requests that must not fail.

use super::*;
use crate::event::ScopeKind;
use crate::witness::script::{Script, breaches};

/// The breaches that are named, in order.
#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.on(task, EventKind::Watermarks { min: Pages(1000), low: Pages(1250), high: Pages(1500) });
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

fn alloc(s: &mut Script, task: TaskId, requested: Gfp, effective: Gfp, flags: TaskFlags) {
    let site = Site { file: "x.rs", line: 1 };
    s.on(task, EventKind::AllocBegin { order: 0, requested, effective, flags, site });
}

/// An allocation with `mask` on a task with `flags`, which leaves `left` pages or fails.
#[track_caller]
fn check_end(mask: Gfp, flags: TaskFlags, left: Option<u64>, expect: &[Breach]) {
    check(expect, |s, task| {
        alloc(s, task, mask, mask, flags);
        let outcome = if left.is_some() { AllocOutcome::Ok } else { AllocOutcome::Failed };
        s.on(task, EventKind::AllocEnd { outcome, left: Pages(left.unwrap_or(0)) });
    });
}

const NONE: TaskFlags = TaskFlags::EMPTY;

#[test]
fn reserves_are_for_those_with_a_right_to_them() {
    let taken = &[Breach::ReservesTaken][..];
    for (mask, flags, floor) in [
        (Gfp::KERNEL, NONE, 1000),
        (Gfp::NOWAIT, NONE, 1000),
        (Gfp::KERNEL | Gfp::HIGH, NONE, 500),
        (Gfp::ATOMIC, NONE, 375),
        (Gfp::KERNEL | Gfp::NOMEMALLOC, TaskFlags::MEMALLOC, 1000),
    ] {
        check_end(mask, flags, Some(floor), &[]);
        check_end(mask, flags, Some(floor - 1), taken);
    }
    check_end(Gfp::KERNEL, TaskFlags::MEMALLOC, Some(0), &[]);
    check_end(Gfp::KERNEL | Gfp::MEMALLOC, NONE, Some(0), &[]);
}

#[test]
fn memory_that_is_not_the_worlds_draws_on_no_reserve() {
    check(&[], |s, task| {
        alloc(s, task, Gfp::KERNEL, Gfp::KERNEL, NONE);
        s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Elsewhere, left: Pages(0) });
    });
}

#[test]
fn a_victim_of_the_killer_gets_half() {
    let story = |left| {
        move |s: &mut Script, task| {
            s.on(task, EventKind::OomKill { victim: Some(task) });
            alloc(s, task, Gfp::KERNEL, Gfp::KERNEL, NONE);
            s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(left) });
        }
    };
    check(&[], story(500));
    check(&[Breach::ReservesTaken], story(499));
}

#[test]
fn a_request_that_must_not_fail_does_not_fail() {
    check_end(Gfp::KERNEL | Gfp::NOFAIL, NONE, None, &[Breach::NofailFailed]);
    check_end(Gfp::KERNEL, NONE, None, &[]);
}

#[test]
fn a_request_that_must_not_fail_has_half_of_the_mark_before_the_killer_and_all_of_it_then() {
    let nofail = Gfp::KERNEL | Gfp::NOFAIL;
    check_end(nofail, NONE, Some(500), &[]);
    check_end(nofail, NONE, Some(499), &[Breach::ReservesTaken]);
    let killer = |mask: Gfp, again: bool| {
        move |s: &mut Script, task| {
            alloc(s, task, mask, mask, NONE);
            s.on(task, EventKind::OutOfMemory);
            if again {
                s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask });
                s.on(task, EventKind::ReclaimExit { freed: 0, priority: 0 });
            }
            s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(0) });
        }
    };
    check(&[], killer(nofail, false));
    check(&[Breach::ReservesTaken], killer(nofail, true));
    check(&[Breach::ReservesTaken], killer(Gfp::KERNEL, false));
}

#[test]
fn a_reclaimer_that_reclaims_is_found() {
    let direct = EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL };
    check(&[Breach::NestedReclaim], |s, task| {
        s.on(task, direct);
        s.on(task, direct);
    });
    check(&[Breach::NestedReclaim], |s, task| {
        s.scope(task, ScopeKind::Noreclaim, 1);
        s.on(task, direct);
    });
    check(&[], |s, task| {
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        s.reclaim(task, Gfp::KERNEL);
        s.end_reclaim(task);
        s.on(task, direct);
    });
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
fn a_request_with_nomemalloc_gets_no_extra_reserves() {
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
fn each_place_is_reported_once() {
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
                s.on(
                    task,
                    EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL },
                );
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
