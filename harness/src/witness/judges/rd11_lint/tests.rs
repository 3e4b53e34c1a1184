//! RD11: each lint and its healthy twin.

use super::*;
use crate::event::{LockMode, ReclaimKind, RequestId, WorkId};
use crate::witness::script::{Script, breaches, broken_rules};
use crate::witness::{JudgeOptions, StepKind, Witness};

/// The lints of `story`, in order; without asking for them there are none.
#[track_caller]
fn check(expect: &[Breach], story: impl Fn(&mut Script, TaskId)) {
    for lints in [true, false] {
        let mut s = Script::default();
        if lints {
            s.witness = Witness::new(JudgeOptions { lints: true, ..JudgeOptions::default() });
        }
        let task = s.task("cp");
        story(&mut s, task);
        assert_eq!(breaches(&s), if lints { expect } else { &[] });
    }
}

#[test]
fn a_scope_in_which_nothing_is_allocated() {
    check(&[Breach::ScopeWithoutAllocation], |s, task| {
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        s.scope(task, ScopeKind::Nofs, 1);
        s.end_scope(task, ScopeKind::Nofs, 1);
    });
    check(&[], |s, task| scope_around(s, task, 2, false));
}

/// A NOFS scope with so many allocations, and perhaps a lock, in it.
fn scope_around(s: &mut Script, task: TaskId, allocations: u32, locks: bool) {
    s.scope(task, ScopeKind::Nofs, 1);
    if locks {
        let lock = s.lock("inode", "");
        s.take(task, lock, LockMode::Exclusive);
    }
    for _ in 0..allocations {
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.end_reclaim(task);
    }
    s.end_scope(task, ScopeKind::Nofs, 1);
}

#[test]
fn a_scope_around_a_single_allocation() {
    check(&[Breach::ScopeAroundOne], |s, task| scope_around(s, task, 1, false));
    check(&[], |s, task| scope_around(s, task, 1, true));
    check(&[], |s, task| scope_around(s, task, 2, false));
}

/// An allocation with `mask` under a lock, and reclaim with `taken` that takes another of
/// `class`.
fn both(
    mask: Gfp,
    taken: Gfp,
    class: &'static str,
    scoped: bool,
    reclaim_first: bool,
) -> impl Fn(&mut Script, TaskId) {
    move |s, task| {
        let (mine, theirs) = (s.lock("inode", "one"), s.lock(class, "two"));
        let kswapd = s.task("kswapd0");
        let reclaims = |s: &mut Script| {
            s.reclaim(kswapd, taken);
            s.take(kswapd, theirs, LockMode::Exclusive);
            s.give_up(kswapd, theirs);
            s.end_reclaim(kswapd);
        };
        if reclaim_first {
            reclaims(s);
        }
        if scoped {
            s.scope(task, ScopeKind::Nofs, 1);
        }
        s.take(task, mine, LockMode::Exclusive);
        s.alloc(task, mask, mask);
        if !reclaim_first {
            reclaims(s);
        }
    }
}

#[test]
fn an_allocation_under_a_lock_that_reclaim_takes() {
    for reclaim_first in [true, false] {
        let found = &[Breach::UnscopedUnderLock];
        check(found, both(Gfp::KERNEL, Gfp::KERNEL, "inode", false, reclaim_first));
        check(found, both(Gfp::KERNEL, Gfp::NOFS, "inode", false, reclaim_first));
        check(found, both(Gfp::NOFS, Gfp::NOFS | Gfp::NOWARN, "inode", false, reclaim_first));
        check(&[], both(Gfp::KERNEL, Gfp::KERNEL, "inode", true, reclaim_first));
        check(&[], both(Gfp::KERNEL, Gfp::KERNEL, "dentry", false, reclaim_first));
        check(&[], both(Gfp::NOFS, Gfp::KERNEL, "inode", false, reclaim_first));
        check(&[], both(Gfp::NOWAIT, Gfp::NOIO, "inode", false, reclaim_first));
        check(&[], both(Gfp::KERNEL | Gfp::NOLOCKDEP, Gfp::KERNEL, "inode", false, reclaim_first));
    }
}

#[test]
fn what_is_kept_of_a_class_and_of_how_many_is_bounded() {
    let mut map = BTreeMap::new();
    (0..=MAX_KEPT).for_each(|value| keep(&mut map, "inode", value));
    assert_eq!(map["inode"].len(), MAX_KEPT);
    for number in 0..=MAX_KEPT {
        keep(&mut map, Box::leak(number.to_string().into_boxed_str()), 0);
    }
    assert_eq!(map.len(), MAX_KEPT);
}

#[test]
fn a_mask_that_says_what_the_scope_says() {
    let in_scope = |kind, mask| {
        move |s: &mut Script, task| {
            s.layer_of_blocks(task);
            s.scope(task, kind, 1);
            s.alloc(task, mask, mask);
        }
    };
    check(&[Breach::RedundantMask], in_scope(ScopeKind::Nofs, Gfp::NOFS));
    check(&[Breach::RedundantMask], in_scope(ScopeKind::Noio, Gfp::NOIO));
    check(&[], in_scope(ScopeKind::Nofs, Gfp::NOIO));
    check(&[], in_scope(ScopeKind::Nofs, Gfp::NOWAIT));
    check(&[], in_scope(ScopeKind::Nofs, Gfp::KERNEL));
}

#[test]
fn a_noio_scope_outside_the_block_layer() {
    check(&[Breach::NoioWhereNofsWouldDo], |s, task| {
        s.scope(task, ScopeKind::Noio, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
    });
    check(&[], |s, task| {
        s.layer_of_blocks(task);
        s.scope(task, ScopeKind::Noio, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
    });
}

fn lints(story: impl FnOnce(&mut Script, TaskId)) -> Script {
    let mut s = Script::default();
    s.witness = Witness::new(JudgeOptions { lints: true, ..JudgeOptions::default() });
    let task = s.task("cp");
    story(&mut s, task);
    s
}

/// A NOIO scope in the middle of `what`, with an allocation in it.
fn noio_in(what: EventKind) -> impl FnOnce(&mut Script, TaskId) {
    move |s, task| {
        s.on(task, what);
        s.scope(task, ScopeKind::Noio, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
    }
}

#[test]
fn a_task_that_serves_works_or_reclaims_needs_noio() {
    check_lints(&[], noio_in(EventKind::RequestServe { request: RequestId(0) }));
    check_lints(&[], noio_in(EventKind::WorkBegin { work: WorkId(0) }));
    let kind = ReclaimKind::Direct;
    check_lints(&[], noio_in(EventKind::ReclaimEnter { kind, mask: Gfp::KERNEL }));
}

#[test]
fn layers_of_blocks_need_noio_and_filesystems_do_not() {
    for (layer, expect) in [
        (Layer::IO, &[][..]),
        (Layer::LOOP, &[]),
        (Layer::BUFIO, &[]),
        (Layer::SWAP, &[]),
        (Layer::FS, &[Breach::NoioWhereNofsWouldDo]),
    ] {
        check_lints(expect, |s, task| {
            let layer = s.names.add_layer(layer, "x");
            s.enter(task, layer);
            s.scope(task, ScopeKind::Noio, 1);
            s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        });
    }
}

#[test]
fn the_scope_is_named() {
    let s = lints(|s, task| {
        s.scope(task, ScopeKind::Noio, 4);
        s.end_scope(task, ScopeKind::Noio, 4);
    });
    let scope = Some(Subject::Scope { kind: ScopeKind::Noio, scope: 4 });
    let named: Vec<_> =
        broken_rules(&s).into_iter().map(|(breach, subject, _)| (breach, subject)).collect();
    let expect = [Breach::NoioWhereNofsWouldDo, Breach::ScopeWithoutAllocation]
        .map(|breach| (breach, scope));
    assert_eq!(named, expect);
    let steps = &s.last().chain;
    assert!(steps.iter().any(|step| matches!(step.what, StepKind::Broke { .. })));
}

#[test]
fn a_scope_that_restricts_nothing_may_stay_without_an_allocation() {
    check_lints(&[], |s, task| {
        s.scope(task, ScopeKind::Pin, 1);
        s.end_scope(task, ScopeKind::Pin, 1);
    });
}

#[test]
fn what_another_task_allocates_does_not_fill_a_scope() {
    check_lints(&[Breach::ScopeWithoutAllocation], |s, task| {
        let other = s.task("other");
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(other, Gfp::KERNEL, Gfp::KERNEL);
        s.end_scope(task, ScopeKind::Nofs, 1);
    });
}

#[test]
fn a_mask_below_a_reclaim_is_the_reclaimers_business() {
    check_lints(&[], |s, task| {
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
    });
}

#[test]
fn a_mask_without_a_scope_that_says_the_same_is_no_lint() {
    check_lints(&[], |s, task| {
        s.scope(task, ScopeKind::Pin, 1);
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
    });
}

#[track_caller]
fn check_lints(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    assert_eq!(breaches(&lints(story)), expect);
}
