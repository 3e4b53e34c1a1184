//! Which findings are folded under another, and which stay what they are though they look alike.

use crate::event::{Gfp, Layer, LayerRef, LockId, LockMode, Resource, ScopeKind, TaskId};
use crate::report::samples::report;
use crate::units::Ticks;
use crate::witness::script::Script;
use crate::witness::{Code, OrderGraph};

/// The code of each finding in the order of the report, with that of the one it is part of, and
/// that no form of the report loses one.
#[track_caller]
fn check(s: &Script, expect: &[&str]) {
    let report = report(s);
    let shown = report.findings.iter().enumerate().map(|(index, finding)| {
        let of = report.covered_by(index).map(|of| report.findings[of].code.name());
        format!("{}{}", finding.code, of.map_or_else(String::new, |of| format!(" in {of}")))
    });
    assert_eq!(shown.collect::<Vec<_>>(), expect, "{report}");
    assert_eq!(report.findings.len(), s.witness.findings().len(), "nothing is lost");
    let (text, html) = (report.to_text().replace(['\n', ' '], ""), report.to_html());
    let annotations = report.to_annotations("t.rs:1");
    for finding in &report.findings {
        assert!(report.has(finding.code) && annotations.contains(finding.code.name()));
        assert!(text.contains(&finding.headline.replace(' ', "")), "{report}");
        assert!(html.contains(finding.headline.as_str()), "{}", finding.headline);
    }
    let wholes = expect.iter().filter(|shown| !shown.contains(" in ")).count();
    assert_eq!(annotations.lines().count(), wholes, "{annotations}");
}

/// With the judge of order, where a cycle of classes alone is no finding.
fn ordered() -> Script {
    Script::going_on_from(OrderGraph::default(), false)
}

/// A task in NOFS that holds `lock` and comes back to its filesystem below its own reclaim.
fn recurses(s: &mut Script, name: &str, lock: LockId) -> (TaskId, LayerRef) {
    let (task, fs) = (s.task(name), s.names.add_layer(Layer::FS, name));
    s.take(task, lock, LockMode::Exclusive);
    s.scope(task, ScopeKind::Nofs, 1);
    s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
    s.reclaim(task, Gfp::NOFS);
    s.enter(task, fs);
    (task, fs)
}

/// `one` and `two` wait for each other's lock.
fn deadlock(s: &mut Script, one: &str, two: &str) {
    let (a, b) = (s.lock("inode", one), s.lock("inode", two));
    let (one, two) = (s.task(one), s.task(two));
    s.take(one, a, LockMode::Exclusive);
    s.take(two, b, LockMode::Exclusive);
    s.want(one, b, LockMode::Exclusive, false);
    s.want(two, a, LockMode::Exclusive, false);
}

#[test]
fn a_recursion_that_ends_in_a_deadlock_is_part_of_it() {
    let mut s = ordered();
    let lock = s.lock("journal", "fs:cp");
    let (task, _) = recurses(&mut s, "cp", lock);
    s.want(task, lock, LockMode::Exclusive, false);
    check(&s, &["RD04", "RD01 in RD04", "RD03 in RD04"]);
}

#[test]
fn a_recursion_is_not_part_of_a_deadlock_that_the_same_task_meets_later() {
    let mut s = Script::default();
    let lock = s.lock("journal", "fs:cp");
    let (task, fs) = recurses(&mut s, "cp", lock);
    s.leave(task, fs);
    s.end_reclaim(task);
    s.want(task, lock, LockMode::Exclusive, false);
    check(&s, &["RD04", "RD01"]);
}

#[test]
fn a_carried_recursion_is_part_of_its_own_deadlock_alone() {
    check(&Script::c01(), &["RD04", "RD02 in RD04"]);
    let mut s = Script::default();
    deadlock(&mut s, "one", "two");
    s.c01_story();
    check(&s, &["RD04", "RD02 in RD04", "RD04"]);
}

#[test]
fn an_order_is_part_of_the_deadlock_in_which_it_was_not_kept() {
    let mut s = ordered();
    s.c01_story();
    check(&s, &["RD04", "RD02 in RD04", "RD03 in RD04"]);
    let mut s = ordered();
    deadlock(&mut s, "one", "two");
    check(&s, &["RD04", "RD03 in RD04"]);
}

/// The deadlock does not go through reclaim, which the order does.
#[test]
fn an_order_through_reclaim_is_no_part_of_a_deadlock_over_the_same_locks() {
    let mut s = ordered();
    let (a, b) = (s.lock("inode", "a"), s.lock("inode", "b"));
    let (cp, kswapd) = (s.task("cp"), s.task("kswapd0"));
    s.take(cp, a, LockMode::Exclusive);
    s.alloc(cp, Gfp::KERNEL, Gfp::KERNEL);
    s.give_up(cp, a);
    s.reclaim(kswapd, Gfp::KERNEL);
    s.take(kswapd, a, LockMode::Exclusive);
    s.give_up(kswapd, a);
    s.end_reclaim(kswapd);
    let (one, two) = (s.task("one"), s.task("two"));
    s.take(one, a, LockMode::Exclusive);
    s.take(two, b, LockMode::Exclusive);
    s.want(one, b, LockMode::Exclusive, false);
    s.want(two, a, LockMode::Exclusive, false);
    check(&s, &["RD04", "RD03 in RD04", "RD03"]);
    let codes = report(&s).codes();
    assert_eq!(codes, [Code::RD03, Code::RD04], "the order that did not happen counts");
}

/// Both pairs of locks have the same names; only their numbers tell them apart.
#[test]
fn two_deadlocks_over_locks_of_one_name_are_two() {
    let mut s = ordered();
    deadlock(&mut s, "one", "two");
    deadlock(&mut s, "one", "two");
    check(&s, &["RD04", "RD03 in RD04", "RD04", "RD03 in RD04"]);
    let report = report(&s);
    assert_eq!(report.codes(), [Code::RD04]);
    assert_eq!([1, 3].map(|part| report.covered_by(part)), [Some(0), Some(2)]);
}

/// A holder that waits for I/O with two tasks behind its lock, longer than the bound.
fn convoy(s: &mut Script, closes: bool) {
    let (lock, holder) = (s.lock("client", "bufio:loop0"), s.task("kswapd0"));
    let (queue, worker) = s.queue("loop0");
    s.take(holder, lock, LockMode::Exclusive);
    let request = s.submit(holder, queue);
    s.wait(holder, Resource::Request(request), "buffer WRITING");
    for name in ["cp", "rsync"] {
        let waiter = s.task(name);
        s.want(waiter, lock, LockMode::Exclusive, false);
    }
    s.pass(Ticks(100));
    s.serve(worker, queue, request);
    if closes {
        s.want(worker, lock, LockMode::Exclusive, false);
    }
}

#[test]
fn a_convoy_behind_a_task_of_the_deadlock_is_part_of_it() {
    let mut s = Script::default();
    convoy(&mut s, true);
    check(&s, &["RD04", "RD09 in RD04"]);
    let text = report(&s).to_text();
    assert!(text.contains("cp waits for lock client of bufio:loop0"), "its own steps:\n{text}");
}

#[test]
fn a_convoy_beside_a_deadlock_is_not_part_of_it() {
    let mut s = Script::default();
    convoy(&mut s, false);
    deadlock(&mut s, "one", "two");
    check(&s, &["RD04", "RD09"]);
}

#[test]
fn what_is_part_of_another_may_be_what_a_test_did_not_name() {
    let mut s = ordered();
    let lock = s.lock("journal", "fs:cp");
    let (task, _) = recurses(&mut s, "cp", lock);
    s.want(task, lock, LockMode::Exclusive, false);
    let report = report(&s);
    for expect in [&[Code::RD04][..], &[Code::RD01, Code::RD04], &[Code::RD03, Code::RD04]] {
        assert_eq!(report.matches(expect), Ok(()), "{report}");
    }
    assert!(report.matches(&[Code::RD01]).is_err(), "the deadlock is no part of the recursion");
}

#[test]
fn a_report_that_was_read_has_the_same_parts() {
    let mut s = ordered();
    s.c01_story();
    let report = report(&s);
    let read = crate::report::Report::from_json(&report.to_json()).unwrap();
    assert_eq!(read, report);
    assert_eq!(read.to_text(), report.to_text());
    for of in [1_u64, 7] {
        let mut json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        json["findings"][1]["part_of"] = of.into();
        let error = crate::report::Report::from_json(&json.to_string()).unwrap_err();
        assert!(error.to_string().contains("finding 2 of the report is part of one"), "{error}");
    }
}
