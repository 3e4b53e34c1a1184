//! RD06: each misuse of a scope, once, and the task that it is reported for.

use super::*;
use crate::witness::script::Script;

const NOFS: ScopeKind = ScopeKind::Nofs;

/// The misuses that the judge names, in order.
#[track_caller]
fn check(expect: &[Misuse], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    story(&mut s, task);
    let said: Vec<Misuse> = s.witness.findings().iter().filter_map(misuse).collect();
    assert_eq!(said, expect);
    assert!(s.codes().iter().all(|code| *code == "RD06"));
}

fn misuse(finding: &Finding) -> Option<Misuse> {
    match finding.chain.last()?.what {
        StepKind::Misused { what, .. } => Some(what),
        _ => None,
    }
}

#[test]
fn what_the_record_stack_says_is_found_once() {
    check(&[Misuse::OutOfOrder], |s, task| {
        let site = Site { file: "x.rs", line: 1 };
        let kind = EventKind::ScopeMisuse {
            what: Misuse::OutOfOrder,
            kind: NOFS,
            owner: task,
            scope: 1,
            site,
        };
        s.on(task, kind);
        s.on(task, kind);
    });
}

/// `what`, told of scope 1 of the task, for each of these sites.
fn told(s: &mut Script, task: TaskId, what: Misuse, lines: &[u32]) {
    for line in lines {
        let site = Site { file: "x.rs", line: *line };
        s.on(task, EventKind::ScopeMisuse { what, kind: NOFS, owner: task, scope: 1, site });
    }
}

#[test]
fn what_a_call_changed_is_found_once_however_many_callers_there_are() {
    check(&[Misuse::ChangedInCall], |s, task| told(s, task, Misuse::ChangedInCall, &[1, 2]));
}

#[test]
fn a_scope_that_leaked_out_of_a_call_leaks_once() {
    check(&[Misuse::LeakedPastCall], |s, task| {
        s.file = Some("x.rs");
        s.scope(task, NOFS, 1);
        // Where the scope was entered: at the script's second event.
        told(s, task, Misuse::LeakedPastCall, &[2]);
        s.on(task, EventKind::TaskExit);
    });
}

#[test]
fn a_scope_that_is_open_at_the_end_of_its_task_leaks() {
    check(&[Misuse::LeakedAtExit], |s, task| {
        s.scope(task, NOFS, 1);
        s.on(task, EventKind::TaskExit);
    });
}

#[test]
fn scopes_that_were_left_or_are_permanent_do_not_leak() {
    check(&[], |s, task| {
        s.scope(task, NOFS, 1);
        s.end_scope(task, NOFS, 1);
        s.scope_as(task, NOFS, 2, Entered::Permanent);
        s.on(task, EventKind::TaskExit);
    });
}

#[test]
fn an_inherited_scope_must_be_disowned_or_declared() {
    check(&[Misuse::Inherited], |s, task| {
        s.scope_as(task, NOFS, 1, Entered::Inherited);
        s.on(task, EventKind::TaskExit);
    });
    check(&[], |s, task| {
        s.scope_as(task, NOFS, 1, Entered::Inherited);
        s.end_scope(task, NOFS, 1);
        s.on(task, EventKind::TaskExit);
    });
}

/// A worker's own scopes, and inside them an item in which `story` happens; then the worker's
/// end.
#[track_caller]
fn check_item(expect: &[Misuse], story: impl FnOnce(&mut Script, TaskId, TaskId)) {
    check(expect, |s, requester| {
        let (queue, worker) = s.queue("wq");
        s.scope_as(worker, NOFS, 1, Entered::Permanent);
        s.scope(worker, ScopeKind::Noio, 9);
        s.scope(requester, NOFS, 1);
        let work = s.queue_work(requester, queue);
        s.begin_work(worker, queue, work);
        story(s, requester, worker);
        s.on(worker, EventKind::WorkEnd { work });
        s.end_scope(worker, ScopeKind::Noio, 9);
        s.on(worker, EventKind::TaskExit);
    });
}

#[test]
fn a_scope_that_is_open_after_its_work_item_leaks_once() {
    check_item(&[Misuse::LeakedPastWork], |s, _, worker| s.scope(worker, NOFS, 2));
}

#[test]
fn a_scope_on_behalf_ends_before_its_origin() {
    let origin = |requester: TaskId| Entered::OnBehalf(ScopeRef { task: requester.0, seq: 1 });
    check_item(&[], |s, requester, worker| {
        s.scope_as(worker, NOFS, 2, origin(requester));
        s.scope(requester, NOFS, 2);
        s.end_scope(requester, NOFS, 2);
        s.end_scope(worker, NOFS, 2);
        s.end_scope(requester, NOFS, 1);
    });
    // The requester did not wait, so the scope protects no task and harms none.
    check_item(&[], |s, requester, worker| {
        s.end_scope(requester, NOFS, 1);
        s.scope_as(worker, NOFS, 2, origin(requester));
        s.end_scope(worker, NOFS, 2);
    });
    check_item(&[Misuse::RestoredAfterSignal], |s, requester, worker| {
        s.scope_as(worker, NOFS, 2, origin(requester));
        s.end_scope(requester, NOFS, 1);
        s.end_scope(worker, NOFS, 2);
    });
}

#[test]
fn a_scope_that_outlives_its_origin_is_reported_for_the_task_that_has_it_open() {
    let mut s = Script::default();
    let (requester, worker) = (s.task("requester"), s.task("worker"));
    s.scope(requester, NOFS, 1);
    s.scope_as(worker, NOFS, 2, Entered::OnBehalf(ScopeRef { task: requester.0, seq: 1 }));
    s.end_scope(requester, NOFS, 1);
    assert_eq!(s.codes(), ["RD06"]);
    assert_eq!(s.last().tasks, [worker]);
}

#[test]
fn misuse_of_the_scope_of_another_task_is_reported_for_the_task_that_did_it() {
    let mut s = Script::default();
    let (owner, thief) = (s.task("owner"), s.task("thief"));
    let site = Site { file: "x.rs", line: 1 };
    s.on(thief, EventKind::ScopeMisuse { what: Misuse::Stale, kind: NOFS, owner, scope: 1, site });
    assert_eq!(s.codes(), ["RD06"]);
    assert_eq!(s.last().tasks, [thief]);
}
