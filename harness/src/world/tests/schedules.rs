//! What one schedule of many shows is in the report, whatever the others show and the test expects.

use std::sync::Arc;

use crate::error::Result;
use crate::event::Gfp;
use crate::report::{Outcome, Report};
use crate::sched::{Mutex, SpinLock};
use crate::witness::Code;
use crate::world::{Builder, World};

/// The order in which three tasks ran, as their names.
fn order(world: &World) -> String {
    let ran = Arc::new(SpinLock::new(String::new()));
    let tasks = ["a", "b", "c"].map(|name| {
        let ran = Arc::clone(&ran);
        world.spawn(name, move || ran.lock().push_str(name))
    });
    for task in tasks {
        task.join();
    }
    let ran = ran.lock();
    ran.clone()
}

/// What is wrong when the tasks ran in this order.
#[derive(Clone, Copy)]
enum Wrong {
    Deadlock,
    Hang,
    Panic,
    /// A scope that does not end, and then a panic that has another reason.
    MisuseAndPanic,
    /// Both orders of the locks that the deadlock is about, one after the other.
    Predicted,
    /// A possible recursion through another lock.
    Elsewhere,
}

fn does(world: &World, wrong: Wrong) {
    let lock = |name| Mutex::new(world.sched(), name, "", ());
    let predicted = |table: &Mutex<()>| {
        world.prime(|claim| claim.reclaim(Gfp::KERNEL, || drop(table.lock())));
        let _held = table.lock();
        world.mm().alloc(0, Gfp::KERNEL);
    };
    match wrong {
        Wrong::Deadlock => {
            let (table, index) = (lock("table"), lock("index"));
            let _held = (index.lock(), table.lock());
            drop(table.lock());
        }
        Wrong::Hang => world.condition("never").wait_until("never", || false),
        Wrong::Panic => panic!("wrong order"),
        Wrong::MisuseAndPanic => {
            std::mem::forget(crate::scope::nofs());
            panic!("wrong order");
        }
        Wrong::Predicted => {
            let (table, index) = (lock("table"), lock("index"));
            drop((index.lock(), table.lock()));
            drop((table.lock(), index.lock()));
        }
        Wrong::Elsewhere => predicted(&lock("other")),
    }
}

/// Runs 60 schedules, of which those in these orders go wrong.
fn run(builder: Builder, wrong: &'static [(&'static str, Wrong)]) -> Result<Report> {
    builder.schedules(60).run(move |world| {
        let order = order(world);
        for (_, wrong) in wrong.iter().filter(|(when, _)| *when == order) {
            does(world, *wrong);
        }
    })
}

/// What `matches` says of a run that expects `expect`; empty where it matches.
#[track_caller]
fn check(expect: &[Code], wrong: &'static [(&'static str, Wrong)], says: &[&str]) -> Report {
    let report = run(World::builder().name("t").expect(expect), wrong).unwrap();
    let said = report.matches(expect).err().unwrap_or_default();
    assert_eq!(said.is_empty(), says.is_empty(), "{said}\n{report}");
    assert!(says.iter().all(|part| said.contains(part)), "{said}\n{report}");
    report
}

#[test]
fn a_finding_that_is_not_expected_is_reported_though_later_schedules_are_quiet() {
    let report = check(
        &[Code::RD04],
        &[("cab", Wrong::Hang)],
        &["expected RD04 was not found in 60 schedules", "found RD05 in schedule", "not expected"],
    );
    assert!(!report.is_quiet() && report.codes() == [Code::RD05], "{report}");
    assert_eq!((report.schedules, &report.outcome), (60, &Outcome::Found));
    let schedule = report.reported.expect("it is not the last one");
    assert!(
        report.to_text().contains(&format!("schedules 60, reported is {schedule}")),
        "{report}"
    );
    let trace = report.trace.expect("it is the trace of that schedule");
    let again = run(World::builder().name("t").replay(trace), &[("cab", Wrong::Hang)]).unwrap();
    assert_eq!(again.findings, report.findings);
}

#[test]
fn a_finding_that_is_not_expected_is_reported_beside_the_expected_one() {
    let wrong: &[_] = &[("cba", Wrong::Deadlock), ("abc", Wrong::Hang)];
    let says: &[_] = &["expected RD04; found RD05 in schedule", "which is not expected"];
    let report = check(&[Code::RD04], wrong, says);
    let hang = report.findings.iter().find(|finding| finding.code == Code::RD05).unwrap();
    let elsewhere = hang.elsewhere.as_ref().expect("another schedule showed it");
    assert!(elsewhere.schedule < report.schedules);
    let again = World::builder().name("t").replay(elsewhere.trace.clone());
    assert_eq!(run(again, wrong).unwrap().codes(), [Code::RD05]);
    let found_in = format!("schedule {} of {}", elsewhere.schedule, report.schedules);
    for form in [report.to_text(), report.to_html(), report.to_annotations("t.rs:1")] {
        assert!(form.contains(&found_in), "{found_in}: {form}");
    }
    let trace = elsewhere.trace.to_string();
    for form in [report.to_text(), report.to_html(), report.to_json()] {
        assert!(form.contains(&trace), "{trace}: {form}");
    }
    assert_eq!(Report::from_json(&report.to_json()).unwrap().findings.len(), report.findings.len());
}

#[test]
fn what_is_part_of_the_expected_finding_is_accepted_in_any_schedule() {
    check(&[Code::RD04], &[("cba", Wrong::Deadlock), ("abc", Wrong::Predicted)], &[]);
    let says: &[_] = &["expected RD04; found RD03 in schedule"];
    check(&[Code::RD04], &[("cba", Wrong::Deadlock), ("abc", Wrong::Elsewhere)], says);
}

#[test]
fn codes_that_no_schedule_shows_together_do_not_match() {
    let wrong: &[_] = &[("cba", Wrong::Deadlock), ("abc", Wrong::Hang)];
    let report = check(&[Code::RD04, Code::RD05], wrong, &["RD04, RD05 in one schedule", "60"]);
    assert_eq!(report.codes(), [Code::RD04, Code::RD05]);
}

#[test]
fn a_panic_ends_the_exploration_and_hides_no_finding() {
    let report = check(&[Code::RD04], &[("cba", Wrong::Panic)], &["panicked", "wrong order"]);
    assert!(matches!(report.outcome, Outcome::Panicked { .. }) && !report.is_quiet());
    let wrong: &[_] = &[("cba", Wrong::Panic), ("abc", Wrong::Hang), ("acb", Wrong::Hang)];
    check(&[Code::RD04], wrong, &["panicked", "found RD05 in schedule"]);
}

#[test]
fn a_finding_that_changes_nothing_does_not_explain_a_panic() {
    let report =
        check(&[Code::RD06], &[("cba", Wrong::MisuseAndPanic)], &["panicked", "wrong order"]);
    assert!(report.has(Code::RD06), "{report}");
}

#[test]
fn a_suppressed_finding_does_not_hide_a_panic() {
    let builder = World::builder().suppress(Code::RD06, "nofs", "it is known");
    let report = run(builder, &[("cba", Wrong::MisuseAndPanic)]).unwrap();
    assert!(report.matches(&[]).unwrap_err().contains("wrong order"), "{report}");
}

#[test]
fn a_suppression_that_some_schedule_needed_was_needed() {
    let builder = World::builder().suppress(Code::RD05, "no task can run", "it is known");
    let report = run(builder, &[("cab", Wrong::Hang)]).unwrap();
    assert!(report.is_quiet() && report.schedules == 60, "{report}");
    let notes = report.notes.join("\n");
    assert!(notes.contains("passed over RD05") && !notes.contains("not needed"), "{notes}");
}
