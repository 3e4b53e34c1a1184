//! RD06: whose misuse it is.

use crate::event::{Entered, EventKind, Misuse, ScopeKind, ScopeRef, Site};
use crate::witness::script::Script;

const NOFS: ScopeKind = ScopeKind::Nofs;

#[test]
fn a_scope_that_outlives_its_origin_is_told_of_the_task_that_still_has_it() {
    let mut s = Script::default();
    let (requester, worker) = (s.task("requester"), s.task("worker"));
    s.scope(requester, NOFS, 1);
    s.scope_as(worker, NOFS, 2, Entered::OnBehalf(ScopeRef { task: requester.0, seq: 1 }));
    s.end_scope(requester, NOFS, 1);
    assert_eq!(s.codes(), ["RD06"]);
    assert_eq!(s.last().tasks, [worker]);
}

#[test]
fn a_scope_of_another_task_is_misused_by_who_touches_it() {
    let mut s = Script::default();
    let (owner, thief) = (s.task("owner"), s.task("thief"));
    let site = Site { file: "x.rs", line: 1 };
    s.on(thief, EventKind::ScopeMisuse { what: Misuse::Stale, kind: NOFS, owner, scope: 1, site });
    assert_eq!(s.codes(), ["RD06"]);
    assert_eq!(s.last().tasks, [thief]);
}
