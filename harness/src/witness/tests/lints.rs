//! RD11: scopes and masks.

use super::{breaches, broke};
use crate::event::{EventKind, Gfp, Layer, RequestId, ScopeKind, TaskId, WorkId};
use crate::witness::finding::Subject;
use crate::witness::panel::Witness;
use crate::witness::script::Script;
use crate::witness::{Breach, StepKind};

fn lints(story: impl FnOnce(&mut Script, TaskId)) -> Script {
    let mut s = Script::default();
    s.witness = Witness::new().with_lints();
    let task = s.task("cp");
    story(&mut s, task);
    s
}

#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    assert_eq!(breaches(&lints(story)), expect);
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
fn who_serves_works_or_reclaims_needs_noio() {
    check(&[], noio_in(EventKind::RequestServe { request: RequestId(0) }));
    check(&[], noio_in(EventKind::WorkBegin { work: WorkId(0) }));
    let kind = crate::event::ReclaimKind::Direct;
    check(&[], noio_in(EventKind::ReclaimEnter { kind, mask: Gfp::KERNEL }));
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
        check(expect, |s, task| {
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
        broke(&s).into_iter().map(|(breach, subject, _)| (breach, subject)).collect();
    let expect = [Breach::NoioWhereNofsWouldDo, Breach::ScopeWithoutAllocation]
        .map(|breach| (breach, scope));
    assert_eq!(named, expect);
    let steps = &s.last().chain;
    assert!(steps.iter().any(|step| matches!(step.what, StepKind::Broke { .. })));
}

#[test]
fn a_scope_that_restricts_nothing_may_stay_without_an_allocation() {
    check(&[], |s, task| {
        s.scope(task, ScopeKind::Pin, 1);
        s.end_scope(task, ScopeKind::Pin, 1);
    });
}

#[test]
fn what_another_task_allocates_does_not_fill_a_scope() {
    check(&[Breach::ScopeWithoutAllocation], |s, task| {
        let other = s.task("other");
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(other, Gfp::KERNEL, Gfp::KERNEL);
        s.end_scope(task, ScopeKind::Nofs, 1);
    });
}

#[test]
fn a_mask_below_a_reclaim_is_the_reclaimers_business() {
    check(&[], |s, task| {
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
    });
}

#[test]
fn a_mask_without_a_scope_that_says_the_same_is_no_lint() {
    check(&[], |s, task| {
        s.scope(task, ScopeKind::Pin, 1);
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
    });
}
