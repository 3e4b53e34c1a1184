//! Guards: what they restrict, and which misuses the record stack reports.

use crate::testing::{Attached, Heard, heard, misuses};
use crate::*;

const LAYERS: &[Layer] = &[Layer::new("raft")];

fn upper(private: u64) -> ReclaimContext {
    ReclaimContext { superblock: Superblock(1), depth: Depth::Known(1), private }
}

#[test]
fn a_scope_restricts_until_its_guard_drops() {
    assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
    {
        let _nofs = nofs();
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
    }
    assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
}

/// Enters `outer`, then `inner`, leaves the inner one first if `inner_first`, and checks the flags.
#[track_caller]
fn check_pair(outer: ScopeKind, inner: ScopeKind, inner_first: bool, expect: &[Misuse]) {
    for attached in [false, true] {
        let _task = attached.then(|| Attached::new(1, TaskFlags::EMPTY));
        let (a, b) = (outer.enter(), inner.enter());
        assert_eq!(context::flags(), outer.bit() | inner.bit());
        let (first, second, left) = if inner_first { (b, a, outer) } else { (a, b, inner) };
        drop(first);
        if attached || outer.bit() != inner.bit() || inner_first {
            assert_eq!(context::flags(), left.bit(), "attached: {attached}");
        }
        drop(second);
        assert_eq!(context::flags(), TaskFlags::EMPTY, "attached: {attached}");
        assert_eq!(misuses(), if attached { expect } else { &[] });
    }
}

#[test]
fn scopes_nest_and_different_flags_interleave() {
    check_pair(ScopeKind::Nofs, ScopeKind::Nofs, true, &[]);
    check_pair(ScopeKind::Nofs, ScopeKind::Noio, true, &[]);
    check_pair(ScopeKind::Nofs, ScopeKind::Noio, false, &[]);
    check_pair(ScopeKind::Pin, ScopeKind::Noreclaim, false, &[]);
    check_pair(ScopeKind::Noio, ScopeKind::Forbid(LAYERS), false, &[]);
}

#[test]
fn leaving_scopes_that_share_a_flag_out_of_order_is_a_misuse() {
    check_pair(ScopeKind::Nofs, ScopeKind::Nofs, false, &[Misuse::OutOfOrder]);
    check_pair(ScopeKind::Nofs, ScopeKind::Context(upper(7)), false, &[Misuse::OutOfOrder]);
    check_pair(ScopeKind::Noreclaim, ScopeKind::Kswapd, true, &[]);
    check_pair(ScopeKind::Forbid(LAYERS), ScopeKind::Forbid(LAYERS), false, &[Misuse::OutOfOrder]);
}

#[test]
fn leaving_the_role_of_kswapd_keeps_the_bits_that_were_set_before() {
    for attached in [false, true] {
        let _task = attached.then(|| Attached::new(1, TaskFlags::KTHREAD));
        let outside = context::flags();
        let reclaimer = noreclaim();
        {
            let _kswapd = become_kswapd();
            assert!(context::flags().contains(TaskFlags::KSWAPD | TaskFlags::MEMALLOC));
        }
        assert_eq!(context::flags(), outside | TaskFlags::MEMALLOC, "attached: {attached}");
        drop(reclaimer);
        assert_eq!(context::flags(), outside, "attached: {attached}");
    }
    assert_eq!(misuses(), []);
}

#[test]
fn a_guard_on_a_task_names_its_scope_and_the_listener_is_told() {
    let _task = Attached::new(5, TaskFlags::EMPTY);
    let outer = nofs();
    let line = line!() - 1;
    drop(noio());
    assert_eq!((outer.kind(), outer.site().line), (ScopeKind::Nofs, line));
    assert_eq!(outer.scope(), Some(ScopeRef { task: 5, seq: 1 }));
    assert_eq!(context::scopes().map(|scope| scope.seq).collect::<Vec<_>>(), [1]);
    drop(outer);
    let (a, b) = (ScopeKind::Nofs, ScopeKind::Noio);
    assert_eq!(
        heard(),
        [Heard::Enter(a, 1), Heard::Enter(b, 2), Heard::Exit(b, 2), Heard::Exit(a, 1)]
    );
}

#[test]
fn outside_a_world_nothing_is_reported_or_recorded() {
    drop(Attached::new(1, TaskFlags::EMPTY));
    let guard = nofs();
    let _raft = enter(Layer::new("raft"), 0);
    assert_eq!((guard.scope(), context::scopes().count(), heard()), (None, 0, Vec::new()));
}

#[test]
fn a_scope_nested_too_deeply_sets_its_flag_and_is_reported() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let outer: Vec<ScopeGuard> = (0..context::MAX_DEPTH).map(|_| nofs()).collect();
    assert_eq!(misuses(), []);
    let inner = noio();
    assert_eq!(misuses(), [Misuse::TooDeep]);
    assert_eq!(effective(Gfp::KERNEL), Gfp::NOIO);
    drop(inner);
    assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
    outer.into_iter().rev().for_each(drop);
    assert_eq!((misuses(), context::flags()), (Vec::new(), TaskFlags::EMPTY));
}

#[test]
fn a_guard_dropped_on_another_task_changes_nothing_on_that_task() {
    let foreign = {
        let _task = Attached::new(1, TaskFlags::EMPTY);
        nofs()
    };
    let _task = Attached::new(2, TaskFlags::EMPTY);
    let _own = nofs();
    drop(foreign);
    assert_eq!((misuses(), context::flags()), (vec![Misuse::OtherTask], TaskFlags::MEMALLOC_NOFS));
}

#[test]
fn a_guard_from_outside_the_world_changes_nothing_in_it() {
    let outside = nofs();
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let _own = nofs();
    drop(outside);
    assert_eq!((misuses(), context::flags()), (vec![Misuse::OtherTask], TaskFlags::MEMALLOC_NOFS));
}

#[test]
fn a_permanent_scope_lasts_as_long_as_the_task() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let outer = nofs();
    enter_permanent(ScopeKind::Nofs);
    drop(outer);
    assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
    assert_eq!(context::scopes().map(|scope| scope.how).collect::<Vec<_>>(), [Entered::Permanent]);
    assert_eq!(misuses(), []);
}

#[test]
fn a_filesystem_finds_its_own_value_and_no_other() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let _outer = reclaim_context(upper(7));
    let _joined = reclaim_context(upper(8));
    let foreign = ReclaimContext { superblock: Superblock(2), ..upper(9) };
    {
        // A fault inside the transaction lands in another filesystem.
        let _fault = enter(Layer::FS, 2);
        assert_eq!(context::reclaim_context_of(Superblock(2)), None);
        let _own = reclaim_context(foreign);
        assert_eq!(context::reclaim_context_of(Superblock(2)), Some(foreign));
        assert_eq!(context::reclaim_contexts().map(|c| c.private).collect::<Vec<_>>(), [9, 8, 7]);
    }
    assert_eq!(context::reclaim_context_of(Superblock(1)).map(|c| c.private), Some(8));
    assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
}

#[test]
fn a_context_follows_its_task_at_any_depth() {
    for depth in [0, 1, 4, 5, 20, context::MAX_DEPTH] {
        let _task = Attached::new(1, TaskFlags::KTHREAD);
        let guards: Vec<ScopeGuard> = (0..depth).map(|_| nofs()).collect();
        let before: Vec<Scope> = context::scopes().collect();
        {
            let _other = Attached::new(2, TaskFlags::EMPTY);
            let others: Vec<ScopeGuard> = (0..context::MAX_DEPTH - depth).map(|_| noio()).collect();
            assert_eq!(context::scopes().count(), others.len());
            others.into_iter().rev().for_each(drop);
        }
        assert_eq!(context::scopes().collect::<Vec<_>>(), before, "depth {depth}");
        guards.into_iter().rev().for_each(drop);
        assert_eq!((misuses(), context::flags()), (Vec::new(), TaskFlags::KTHREAD));
    }
}

#[test]
fn an_interpreter_enters_a_scope_at_a_line_of_its_program() {
    let site = Site { file: "c42.toml", line: 31 };
    for attached in [false, true] {
        let task = attached.then(|| Attached::new(1, TaskFlags::EMPTY));
        let scope = ScopeKind::Nofs.enter_at(site);
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
        assert_eq!(scope.site() == site, attached, "{:?}", scope.site());
        drop(scope);
        let flusher = io_flusher_at(site);
        assert_eq!(context::flags(), TaskFlags::MEMALLOC_NOIO | TaskFlags::LOCAL_THROTTLE);
        let inner = io_flusher_at(site);
        drop(inner);
        assert_eq!(context::flags(), TaskFlags::MEMALLOC_NOIO | TaskFlags::LOCAL_THROTTLE);
        drop(flusher);
        assert_eq!(context::flags(), TaskFlags::EMPTY);
        assert_eq!(misuses(), []);
        drop(task);
    }
}
