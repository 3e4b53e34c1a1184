//! RD08: masks against requests and scopes.

use super::*;
use crate::event::Misuse;
use crate::units::Pages;
use crate::witness::script::{Script, breaches};

/// The breaches that are named, in order, in a world.
#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.on(task, EventKind::Watermarks { min: Pages(1000), low: Pages(1250), high: Pages(1500) });
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

fn in_scope(kind: ScopeKind, requested: Gfp, effective: Gfp) -> impl FnOnce(&mut Script, TaskId) {
    move |s, task| {
        s.scope(task, kind, 1);
        s.alloc(task, requested, effective);
    }
}

/// An allocation of a task that may not wait.
fn nowait(s: &mut Script, task: TaskId, requested: Gfp, effective: Gfp) {
    let (flags, site) = (TaskFlags::MEMALLOC_NOWAIT, Site { file: "x.rs", line: 1 });
    s.on(task, EventKind::AllocBegin { order: 0, requested, effective, flags, site });
}

#[test]
fn a_mask_gains_nothing() {
    check(&[Breach::MaskGrew], |s, task| s.alloc(task, Gfp::NOFS, Gfp::KERNEL));
    check(&[], |s, task| s.alloc(task, Gfp::NOFS, Gfp::NOFS));
}

#[test]
fn a_mask_makes_sense() {
    check(&[Breach::MalformedMask], |s, task| s.alloc(task, Gfp::KERNEL, Gfp::NOIO | Gfp::FS));
    check(&[Breach::MalformedMask], |s, task| {
        let nofail = Gfp::KERNEL | Gfp::NOFAIL;
        nowait(s, task, nofail, nofail - Gfp::DIRECT_RECLAIM);
    });
    check(&[Breach::MalformedMask], |s, task| {
        s.scope(task, ScopeKind::Nowait, 1);
        nowait(s, task, Gfp::KERNEL, Gfp::KERNEL - Gfp::DIRECT_RECLAIM - Gfp::IO);
    });
}

#[test]
fn a_scope_is_applied_and_no_more_than_it() {
    let ignored = &[Breach::ScopeIgnored][..];
    check(ignored, in_scope(ScopeKind::Nofs, Gfp::KERNEL, Gfp::KERNEL));
    check(ignored, in_scope(ScopeKind::Nofs, Gfp::KERNEL, Gfp::NOIO));
    check(ignored, in_scope(ScopeKind::Noio, Gfp::KERNEL, Gfp::NOFS));
    check(ignored, |s, task| s.alloc(task, Gfp::KERNEL, Gfp::NOFS));
    check(&[], in_scope(ScopeKind::Nofs, Gfp::KERNEL, Gfp::NOFS));
    check(&[], in_scope(ScopeKind::Noio, Gfp::KERNEL, Gfp::NOIO));
    check(&[], in_scope(ScopeKind::Pin, Gfp::HIGHUSER_MOVABLE, Gfp::HIGHUSER));
    check(&[], |s, task| {
        s.scope(task, ScopeKind::Nowait, 1);
        nowait(s, task, Gfp::KERNEL, Gfp::KERNEL - Gfp::DIRECT_RECLAIM);
    });
    check(&[], in_scope(ScopeKind::Noreclaim, Gfp::KERNEL, Gfp::KERNEL));
}

#[test]
fn a_constraint_narrows_one_allocation_before_its_scopes() {
    check(&[Breach::ScopeIgnored], |s, task| {
        s.on(task, EventKind::AllocConstrained { mask: Gfp::NOIO });
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
    });
}

#[test]
fn a_policy_may_join_the_scopes() {
    let joined = |effective| {
        move |s: &mut Script, task| {
            s.on(task, EventKind::ScopesJoined);
            in_scope(ScopeKind::Nofs, Gfp::KERNEL, effective)(s, task);
        }
    };
    check(&[], joined(Gfp::NOIO));
    check(&[Breach::ScopeIgnored], joined(Gfp::NOFS));
}

#[test]
fn a_task_whose_scopes_were_misused_is_judged_by_that_alone() {
    check(&[], |s, task| {
        let (what, kind, site) =
            (Misuse::ZeroToken, ScopeKind::Nofs, Site { file: "x.rs", line: 1 });
        s.scope(task, kind, 1);
        s.on(task, EventKind::ScopeMisuse { what, kind, owner: task, scope: 1, site });
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
    });
}

#[test]
fn a_recording_says_too_little_for_the_rule() {
    let mut s = Script::default();
    let task = s.task("cp");
    s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
    assert_eq!(breaches(&s), []);
}
