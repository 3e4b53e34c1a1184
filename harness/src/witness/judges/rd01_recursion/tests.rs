//! RD01: each way to enter a forbidden layer below reclaim, and the legal twin of each.

use crate::event::{Gfp, Layer, LayerRef, Resource, ScopeKind, TaskId};
use crate::witness::RestrictedBy;
use crate::witness::script::Script;

#[track_caller]
fn check(expect: &[&str], story: impl FnOnce(&mut Script, TaskId, LayerRef)) -> Script {
    let mut s = Script::default();
    let task = s.task("cp");
    let fs = s.names.add_layer(Layer::FS, "upper");
    story(&mut s, task, fs);
    assert_eq!(s.codes(), expect);
    s
}

#[test]
fn the_layer_below_reclaim_inside_the_scope_is_found_once() {
    let s = check(&["RD01"], |s, task, fs| {
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.enter(task, fs);
        s.leave(task, fs);
        s.enter(task, fs);
    });
    let by = s.last().chain.last().and_then(|step| step.forbidden).map(|by| by.by);
    assert_eq!(by, Some(RestrictedBy::Scope { kind: ScopeKind::Nofs, scope: 1 }));
}

#[test]
fn the_layer_inside_the_scope_without_reclaim_is_legal() {
    check(&[], |s, task, fs| {
        s.scope(task, ScopeKind::Nofs, 1);
        s.enter(task, fs);
    });
}

#[test]
fn a_scope_that_a_shrinker_enters_itself_is_legal() {
    check(&[], |s, task, fs| {
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        s.reclaim(task, Gfp::KERNEL);
        s.scope(task, ScopeKind::Nofs, 1);
        s.enter(task, fs);
    });
}

#[test]
fn the_layer_after_reclaim_has_ended_is_legal() {
    check(&[], |s, task, fs| {
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.end_reclaim(task);
        s.enter(task, fs);
    });
}

#[test]
fn an_explicit_mask_without_a_scope_forbids_too() {
    let s = check(&["RD01"], |s, task, fs| {
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.enter(task, fs);
    });
    let by = s.last().chain.last().and_then(|step| step.forbidden).map(|by| by.by);
    assert_eq!(by, Some(RestrictedBy::Mask(Gfp::NOFS)));
}

#[test]
fn a_layer_of_the_users_own_is_forbidden_by_name() {
    const RAFT: Layer = Layer::new("raft");
    const LAYERS: &[Layer] = &[RAFT];
    for (entered, expect) in [(RAFT, &["RD01"][..]), (Layer::FS, &[])] {
        check(expect, |s, task, _| {
            let layer = s.names.add_layer(entered, "0");
            s.scope(task, ScopeKind::Forbid(LAYERS), 1);
            s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
            s.reclaim(task, Gfp::KERNEL);
            s.enter(task, layer);
        });
    }
}

#[test]
fn a_submission_inside_noio_is_an_entry_into_io() {
    check(&["RD01"], |s, task, _| {
        let (queue, _) = s.queue("vda");
        s.scope(task, ScopeKind::Noio, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        s.reclaim(task, Gfp::NOIO);
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "buffer WRITING");
    });
}

#[test]
fn a_submission_that_no_task_waits_for_is_an_entry_too() {
    let s = check(&["RD01"], |s, task, _| {
        let (queue, _) = s.queue("vda");
        s.scope(task, ScopeKind::Noio, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        s.reclaim(task, Gfp::NOIO);
        s.submit(task, queue);
    });
    assert!(s.last().chain.last().is_some_and(|step| step.forbidden.is_some()), "the submission");
}

#[test]
fn a_submission_inside_nofs_is_legal() {
    check(&[], |s, task, _| {
        let (queue, _) = s.queue("vda");
        s.scope(task, ScopeKind::Nofs, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.submit(task, queue);
    });
}

#[test]
fn waiting_inside_noio_for_the_request_of_another_counts_as_io() {
    check(&["RD01"], |s, task, _| {
        let (queue, _) = s.queue("vda");
        let other = s.task("other");
        let request = s.submit(other, queue);
        s.scope(task, ScopeKind::Noio, 1);
        s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        s.reclaim(task, Gfp::NOIO);
        s.wait(task, Resource::Request(request), "buffer WRITING");
    });
}
