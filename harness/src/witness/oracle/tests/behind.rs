//! Which tasks are stuck behind an allocation, and how long a policy decision stays valid.

use super::*;

/// A task with the journal wants what `rsync` took inside its reclaim, or what a task that waits
/// for `rsync` took.
#[track_caller]
fn check_behind(reclaims_own: bool, expect: &[&str]) {
    check(MayWait::WithIo, expect, |s, stack| {
        let (task, between, other) = (s.task("rsync"), s.task("cp"), s.task("mv"));
        let (outer, inner) = (s.lock("outer", "o"), s.lock("inner", "i"));
        s.take(other, stack.journal, EXCLUSIVE);
        s.take(task, outer, EXCLUSIVE);
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        if reclaims_own {
            s.take(task, inner, EXCLUSIVE);
        } else {
            s.take(between, inner, EXCLUSIVE);
            s.want(between, outer, EXCLUSIVE, false);
        }
        s.want(other, inner, EXCLUSIVE, false);
    });
}

#[test]
fn a_waiter_for_a_lock_of_the_reclaim_is_not_stuck_behind_the_allocation() {
    check_behind(true, &[]);
    check_behind(false, &["io_reclaim > loop0 > fs:lower > i > o"]);
}

#[test]
fn a_word_lasts_while_its_allocation_does() {
    check(MayWait::WithIo, &[], |s, stack| {
        let (task, other) = (s.task("rsync"), s.task("cp"));
        s.take(task, stack.journal, EXCLUSIVE);
        let target = ReclaimTarget::Shrinker(stack.shrinker);
        s.on(task, EventKind::PolicyMask { target, mask: Gfp::NOIO });
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        alloc_as(s, task, Gfp::NOWAIT, TaskFlags::EMPTY);
        s.want(other, stack.journal, EXCLUSIVE, false);
    });
}
