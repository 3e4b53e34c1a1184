//! All judges together: what is kept, what is told.

use crate::event::{Event, EventKind, LockMode, Misuse, Names, ScopeKind, Site, TaskId};
use crate::units::Nanos;
use crate::witness::panel::{MAX_FINDINGS, Witness};
use crate::witness::script::Script;
use crate::witness::{Breach, Code, OrderGraph, StepKind};

/// One finding of RD06 each.
fn misuses(s: &mut Script, task: TaskId, count: usize) {
    for line in 1..=u32::try_from(count).unwrap() {
        let site = Site { file: "x.rs", line };
        let (what, kind) = (Misuse::OutOfOrder, ScopeKind::Nofs);
        s.on(task, EventKind::ScopeMisuse { what, kind, owner: task, scope: 1, site });
    }
}

#[test]
fn a_run_with_too_many_findings_keeps_the_first() {
    for (made, kept) in [(MAX_FINDINGS, MAX_FINDINGS), (MAX_FINDINGS + 3, MAX_FINDINGS)] {
        let mut s = Script::default();
        let task = s.task("t");
        misuses(&mut s, task, made);
        assert_eq!(s.witness.findings().len(), kept);
        assert_eq!(s.last().chain.last().unwrap().site.unwrap().line as usize, kept);
    }
}

#[test]
fn of_several_findings_at_one_event_the_first_are_kept() {
    let mut s = Script::default();
    let task = s.task("t");
    misuses(&mut s, task, MAX_FINDINGS - 1);
    for scope in [4, 5, 6] {
        s.scope(task, ScopeKind::Nofs, scope);
    }
    s.on(task, EventKind::TaskExit);
    assert_eq!(s.witness.findings().len(), MAX_FINDINGS);
    let last = s.last().chain.last().unwrap().what;
    assert!(
        matches!(last, StepKind::Misused { what: Misuse::LeakedAtExit, scope: 4, .. }),
        "{last:?}"
    );
}

#[test]
fn a_deadlock_is_kept_whatever_was_found_before() {
    let mut s = Script::default();
    let (lock, task) = (s.lock("a", ""), s.task("t"));
    misuses(&mut s, task, MAX_FINDINGS + 1);
    s.take(task, lock, LockMode::Exclusive);
    s.want(task, lock, LockMode::Exclusive, true);
    assert_eq!(s.last().code, Code::RD04);
    assert_eq!(s.witness.findings().len(), MAX_FINDINGS + 1);
}

#[test]
fn what_is_found_at_an_event_is_told_with_it() {
    let mut witness = Witness::new();
    let site = Site { file: "x.rs", line: 1 };
    let kind = EventKind::ScopeMisuse {
        what: Misuse::Stale,
        kind: ScopeKind::Nofs,
        owner: TaskId(0),
        scope: 1,
        site,
    };
    let mut told = |seq| {
        let event = Event { seq, time: Nanos(seq), task: TaskId(0), kind };
        witness
            .observe(&event, &Names::default())
            .iter()
            .map(|finding| finding.seq)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(3), [3]);
    assert_eq!(told(4), [0; 0], "nothing new");
    assert_eq!(witness.into_findings().len(), 1);
}

#[test]
fn order_is_learned_only_where_it_is_asked_for() {
    let mut s = Script::default();
    assert!(s.witness.order().is_none() && s.witness.aside().is_empty());
    s.witness = Witness::ordered(OrderGraph::default(), false);
    let (a, b, task) = (s.lock("a", "A"), s.lock("b", "B"), s.task("t"));
    s.take(task, a, LockMode::Exclusive);
    s.take(task, b, LockMode::Exclusive);
    assert!(s.witness.order().is_some_and(|graph| !graph.is_empty()));
}

#[test]
fn a_rule_is_told_with_its_name_and_its_sentence() {
    for breach in Breach::ALL {
        let text = breach.to_string();
        assert!(text.starts_with(breach.name()) && text.ends_with(breach.sentence()), "{text}");
    }
}

#[test]
fn a_code_is_told_by_its_name_as_wide_as_asked_for() {
    assert_eq!(format!("{:<6}|", Code::RD04), "RD04  |");
}
