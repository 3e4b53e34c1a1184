//! Scripts in worlds: each story is found before its fix, and quiet after it.

use super::super::*;
use crate::event::{Gfp, Op};
use crate::inject::Pressure;
use crate::tier::Tier;
use crate::{Code, Era, PlanSpec, StackSpec};

fn part(name: &str, what: What) -> Part {
    Part { name: name.to_owned(), line: 1, what }
}

fn steps(acts: &[Act]) -> Program {
    (10..).zip(acts).map(|(line, act)| Step { line, act: act.clone() }).collect()
}

fn task(name: &str, acts: &[Act]) -> Task {
    Task { name: name.to_owned(), copies: 1, steps: steps(acts), line: 2 }
}

fn alloc(mask: Gfp) -> Act {
    Act::Alloc { mask, order: 0, times: 1, keep: false, vmalloc: false }
}

fn case(parts: Vec<Part>, tasks: Vec<Task>, rule: Pressure, findings: &[Code]) -> Case {
    let script = Script {
        variant: "reported".to_owned(),
        stack: StackSpec::default(),
        plan: PlanSpec::default().pressure(rule),
        parts,
        tasks,
        settle: Vec::new(),
    };
    let row = Row {
        variants: vec!["reported".to_owned()],
        eras: Era::ALL.to_vec(),
        tiers: vec![Tier::Model, Tier::Native],
        findings: findings.to_vec(),
        may: Vec::new(),
        predicted: false,
        class_view: false,
        why: None,
        line: 3,
    };
    Case {
        path: "own.toml",
        id: "own".to_owned(),
        title: String::new(),
        citation: Vec::new(),
        shape: String::new(),
        origin: Origin::Constructed,
        reported: None,
        evidence: None,
        year: None,
        reclaims: true,
        scripts: vec![script],
        rows: vec![row],
    }
}

#[track_caller]
fn check(case: &Case, tier: Tier) {
    let options = Options { schedules: Some(200), ..Options::default() };
    let report = case.run("reported", tier, Era::V6_12, &options).expect("it runs");
    if let Err(why) = report.matches(&case.rows[0].findings) {
        panic!("{why}\n{report}");
    }
}

const FLAG: PartRef = PartRef(0);

/// A manager that clears a flag of recovery allocates before it does; eviction waits for the flag.
fn recovery(mask: Gfp, findings: &[Code]) -> Case {
    let evict = steps(&[Act::WaitFlag { flag: FLAG, until: false }]);
    let parts = vec![
        part("recovering", What::Flag { set: true }),
        part("nfs", What::Superblock { on: None, inodes: 64, evict }),
    ];
    let manager = task("manager", &[alloc(mask), Act::Set { flag: FLAG, to: false }]);
    case(parts, vec![manager], Pressure::every_allocation(), findings)
}

#[test]
fn a_task_that_will_clear_a_flag_must_act_for_those_that_wait_for_it() {
    check(&recovery(Gfp::KERNEL, &[Code::RD04]), Tier::Model);
    check(&recovery(Gfp::NOFS, &[]), Tier::Model);
    check(&recovery(Gfp::KERNEL, &[Code::RD04]), Tier::Native);
    check(&recovery(Gfp::NOFS, &[]), Tier::Native);
}

/// The server of a device allocates; eviction writes to the device.
fn server(mask: Gfp, findings: &[Code]) -> Case {
    let device = PartRef(0);
    let write = Act::Request { device, op: Op::Write, waits: true };
    let parts = vec![
        part(
            "meta",
            What::Device {
                served_by: Some("meta_server".to_owned()),
                user: false,
                threads: 1,
                serve: steps(&[alloc(mask)]),
                head: Vec::new(),
                done: Vec::new(),
                on: None,
                takes: crate::units::Ticks(0),
                suspended: false,
            },
        ),
        part(
            "fs",
            What::Superblock { on: None, inodes: 64, evict: steps(std::slice::from_ref(&write)) },
        ),
    ];
    let rule = Pressure { task: Some("meta_server".to_owned()), ..Pressure::every_allocation() };
    case(parts, vec![task("writer", &[write])], rule, findings)
}

#[test]
fn a_server_that_allocates_waits_for_its_own_queue() {
    check(&server(Gfp::KERNEL, &[Code::RD04]), Tier::Model);
    check(&server(Gfp::NOFS, &[]), Tier::Model);
}

/// kswapd has the mutex of a cache and waits for a commit, which waits for a handle whose
/// allocation wants the mutex.
fn commit(mask: Gfp, findings: &[Code]) -> Case {
    let [guard, handles, journal] = [0, 1, 2].map(PartRef);
    let stop = vec![Step { line: 20, act: Act::Stop }];
    let scan = steps(&[
        Act::If { test: Test::MaskLacks(Gfp::FS), then: stop, or_else: Vec::new() },
        Act::Lock { lock: guard, shared: false },
        Act::Reserve { space: journal, n: 2 },
        Act::Release { space: journal },
        Act::Unlock { lock: guard },
    ]);
    let parts = vec![
        part(
            "lu_sites_guard",
            What::Lock { kind: LockKind::Mutex, class: "lu_sites_guard".to_owned(), subclass: 0 },
        ),
        part("handles", What::Count { from: 0 }),
        part(
            "journal",
            What::Space {
                size: 8,
                used: 4,
                push: Some(steps(&[Act::WaitZero { count: handles }])),
                by: Some("jbd2".to_owned()),
                nested: Nested::Joins,
            },
        ),
        part("lu_site", What::Cache { objects: 64, count: Vec::new(), scan, memcg_aware: false }),
    ];
    let ost = task(
        "ll_ost",
        &[
            Act::Reserve { space: journal, n: 4 },
            Act::Inc { count: handles },
            alloc(mask),
            Act::Dec { count: handles },
            Act::Release { space: journal },
        ],
    );
    case(parts, vec![ost], Pressure::every_allocation().by_both(), findings)
}

#[test]
fn kswapd_waits_for_a_commit_that_waits_for_a_handle_that_waits_for_kswapd() {
    check(&commit(Gfp::KERNEL, &[Code::RD04]), Tier::Model);
    check(&commit(Gfp::NOFS, &[]), Tier::Model);
}

#[test]
fn a_run_without_pressure_predicts_the_order_of_handle_reclaim_and_mutex() {
    #[track_caller]
    fn check(mask: Gfp, expected: &[Code]) {
        let case = commit(mask, &[]);
        let report = case.predict("reported", Era::V6_12, &Options::default()).expect("it runs");
        assert_eq!(report.codes(), expected, "{report}");
    }
    check(Gfp::KERNEL, &[Code::RD03]);
    check(Gfp::NOFS, &[]);
}

#[test]
fn a_task_whose_try_lock_fails_takes_the_steps_of_else_and_goes_on() {
    let [lock, other] = [0, 1].map(PartRef);
    let mutex = |name: &str| {
        let what = What::Lock { kind: LockKind::Mutex, class: name.to_owned(), subclass: 0 };
        part(name, what)
    };
    // Taking the other lock lets the other task run while the first one is held.
    let between = [Act::Lock { lock: other, shared: false }, Act::Unlock { lock: other }];
    let or_else = steps(&[Act::Lock { lock, shared: false }]);
    let mut tries = vec![Act::TryLock { lock, shared: false, or_else }];
    tries.extend(between);
    tries.push(Act::Unlock { lock });
    let tasks = vec![task("a", &tries), task("b", &tries)];
    let rule = Pressure::every_allocation().optional();
    check(&case(vec![mutex("guard"), mutex("other")], tasks, rule, &[]), Tier::Model);
}
