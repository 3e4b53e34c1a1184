//! The pseudo-locks: masks, scopes, exemptions; claims.

use super::check;
use crate::event::{
    AllocOutcome, EventKind, Gfp, LockMode, Prime, ReclaimKind, ScopeKind, Site, TaskFlags, TaskId,
};
use crate::units::Pages;
use crate::witness::script::Script;

fn claim(s: &mut Script, task: TaskId, inside: impl FnOnce(&mut Script)) {
    s.on(task, EventKind::Prime { step: Prime::Enter(Gfp::KERNEL) });
    inside(s);
    s.on(task, EventKind::Prime { step: Prime::Leave });
}

fn alloc(s: &mut Script, task: TaskId, requested: Gfp, effective: Gfp) {
    s.alloc(task, requested, effective);
    s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(100) });
}

/// The pseudo-lock is held, as by the kernel's self-tests, and something is allocated.
#[track_caller]
fn check_held(expect: &[&str], requested: Gfp, effective: Gfp) {
    check(expect, |s| {
        let task = s.task("t");
        claim(s, task, |s| alloc(s, task, requested, effective));
    });
}

#[test]
fn an_allocation_under_the_pseudo_lock_must_not_need_it() {
    check_held(&[], Gfp::NOFS, Gfp::NOFS);
    check_held(&["fs_reclaim"], Gfp::KERNEL, Gfp::KERNEL);
    // In a nofs scope.
    check_held(&[], Gfp::KERNEL, Gfp::NOFS);
    check_held(&[], Gfp::NOWAIT, Gfp::NOWAIT);
    check_held(&[], Gfp::KERNEL | Gfp::NOLOCKDEP, Gfp::KERNEL | Gfp::NOLOCKDEP);
}

/// Something is allocated under a lock that reclaim with `reclaim` takes.
#[track_caller]
fn check_mask(expect: &[&str], reclaim: Gfp, mask: Gfp) {
    check(expect, |s| {
        let lock = s.lock("lock", "l");
        let (user, reclaimer) = (s.task("user"), s.task("reclaimer"));
        s.take(user, lock, LockMode::Exclusive);
        alloc(s, user, mask, mask);
        s.give_up(user, lock);
        alloc(s, user, Gfp::KERNEL, Gfp::KERNEL);
        s.reclaim(reclaimer, reclaim);
        s.take(reclaimer, lock, LockMode::Exclusive);
    });
}

#[test]
fn a_lock_of_reclaim_is_not_held_by_an_allocation_that_may_reclaim() {
    check_mask(&["l > fs_reclaim"], Gfp::KERNEL, Gfp::KERNEL);
    check_mask(&["l > io_reclaim"], Gfp::NOFS, Gfp::KERNEL);
    check_mask(&["l > io_reclaim"], Gfp::NOFS, Gfp::NOFS);
    check_mask(&["l > any_reclaim"], Gfp::NOIO, Gfp::NOIO);
    // Levels are not ordered among themselves: an allocation with FS elsewhere changes nothing.
    check_mask(&[], Gfp::KERNEL, Gfp::NOFS);
    check_mask(&[], Gfp::NOFS, Gfp::NOIO);
    check_mask(&[], Gfp::KERNEL, Gfp::NOWAIT);
}

/// Something is allocated with one mask and then with a wider one, under a lock that reclaim with
/// the latter takes.
#[track_caller]
fn check_wider(expect: &[&str], narrow: Gfp, mask: Gfp) {
    check(expect, |s| {
        let lock = s.lock("lock", "l");
        let (user, reclaimer) = (s.task("user"), s.task("reclaimer"));
        s.take(user, lock, LockMode::Exclusive);
        alloc(s, user, narrow, narrow);
        alloc(s, user, mask, mask);
        s.give_up(user, lock);
        s.reclaim(reclaimer, mask);
        s.take(reclaimer, lock, LockMode::Exclusive);
    });
}

#[test]
fn a_wider_mask_under_the_same_locks_is_another() {
    check_wider(&["l > any_reclaim"], Gfp::NOWAIT, Gfp::NOIO);
    check_wider(&["l > io_reclaim"], Gfp::NOIO, Gfp::NOFS);
    check_wider(&["l > fs_reclaim"], Gfp::NOFS, Gfp::KERNEL);
}

#[test]
fn kswapd_holds_all_that_reclaim_can_be() {
    check(&["fs_reclaim > l"], |s| {
        let lock = s.lock("lock", "l");
        let (user, kswapd) = (s.task("user"), s.task("kswapd"));
        s.on(kswapd, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::NOIO });
        s.take(kswapd, lock, LockMode::Exclusive);
        s.give_up(kswapd, lock);
        s.on(kswapd, EventKind::ReclaimExit { freed: 0, priority: 0 });
        // What it takes now, it takes outside.
        let other = s.lock("other", "o");
        s.take(kswapd, other, LockMode::Exclusive);
        s.take(user, other, LockMode::Exclusive);
        alloc(s, user, Gfp::KERNEL, Gfp::KERNEL);
        s.give_up(user, other);
        s.take(user, lock, LockMode::Exclusive);
        alloc(s, user, Gfp::KERNEL, Gfp::KERNEL);
    });
}

#[test]
fn the_reclaimer_itself_is_exempt() {
    let story = |flags: TaskFlags, scope: Option<ScopeKind>| {
        move |s: &mut Script| {
            let task = s.task("t");
            if let Some(kind) = scope {
                s.scope(task, kind, 1);
            }
            claim(s, task, |s| {
                let (order, site) = (0, Site { file: "any.rs", line: 1 });
                let (requested, effective) = (Gfp::KERNEL, Gfp::KERNEL);
                s.on(task, EventKind::AllocBegin { order, requested, effective, flags, site });
            });
        }
    };
    check(&["fs_reclaim"], story(TaskFlags::EMPTY, None));
    check(&[], story(TaskFlags::MEMALLOC, None));
    check(&[], story(TaskFlags::EMPTY, Some(ScopeKind::Noreclaim)));
    check(&["fs_reclaim"], story(TaskFlags::EMPTY, Some(ScopeKind::Pin)));
}

/// A driver claims that reclaim takes its lock, or the wrong way round; then it allocates under the
/// lock, or reclaim takes the lock.
#[track_caller]
fn check_claim(expect: &[&str], primed: usize, backwards: bool, then_reclaims: bool) {
    let s = check(expect, |s| {
        let lock = s.lock("lock", "l");
        let task = s.task("driver");
        s.on(task, EventKind::Prime { step: Prime::Begin });
        if backwards {
            s.take(task, lock, LockMode::Exclusive);
            claim(s, task, |_| {});
            s.give_up(task, lock);
        } else {
            claim(s, task, |s| {
                s.take(task, lock, LockMode::Exclusive);
                s.give_up(task, lock);
            });
        }
        s.on(task, EventKind::Prime { step: Prime::End });
        if then_reclaims {
            s.reclaim(task, Gfp::KERNEL);
            s.take(task, lock, LockMode::Exclusive);
            s.give_up(task, lock);
            s.end_reclaim(task);
        } else {
            s.take(task, lock, LockMode::Exclusive);
            alloc(s, task, Gfp::KERNEL, Gfp::KERNEL);
        }
    });
    let edges =
        s.witness.findings().iter().flat_map(|finding| &finding.order.as_ref().unwrap().edges);
    assert_eq!(edges.filter(|edge| edge.primed).count(), primed);
}

#[test]
fn a_claim_teaches_and_is_marked_and_a_wrong_claim_is_too() {
    check_claim(&["fs_reclaim > l"], 1, false, false);
    check_claim(&[], 0, false, true);
    check_claim(&["l > fs_reclaim"], 1, true, true);
    check_claim(&[], 0, true, false);
}

#[test]
fn what_was_claimed_and_then_happened_is_no_claim() {
    let s = check(&["l > fs_reclaim"], |s| {
        let lock = s.lock("lock", "l");
        let (driver, reclaimer) = (s.task("driver"), s.task("reclaimer"));
        s.on(driver, EventKind::Prime { step: Prime::Begin });
        s.take(driver, lock, LockMode::Exclusive);
        claim(s, driver, |_| {});
        s.give_up(driver, lock);
        s.on(driver, EventKind::Prime { step: Prime::End });
        s.take(driver, lock, LockMode::Exclusive);
        alloc(s, driver, Gfp::KERNEL, Gfp::KERNEL);
        s.give_up(driver, lock);
        s.reclaim(reclaimer, Gfp::KERNEL);
        s.take(reclaimer, lock, LockMode::Exclusive);
    });
    assert!(s.last().order.as_ref().unwrap().edges.iter().all(|edge| !edge.primed));
}
