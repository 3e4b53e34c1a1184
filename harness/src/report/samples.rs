//! Reports for tests of their forms: one of each outcome, and one whose names are hostile.

use super::{Elsewhere, Outcome, Report, describe, describe_stalls};
use crate::event::{
    EventKind, Gfp, Layer, LockMode, MayWait, Misuse, Resource, ScopeKind, Site, TaskKind, Trace,
};
use crate::witness::OrderGraph;
use crate::witness::script::Script;

/// The report of the events in `s`.
pub(super) fn report(s: &Script) -> Report {
    let findings = s.witness.findings().iter().map(|finding| describe(finding, &s.names));
    let mut report = Report::new("c01", "model", "v3.10", findings.collect());
    report.stalls = describe_stalls(&s.witness.stalls().longest_first(), &s.names);
    report.replay = Some("RECLAIMDEP_REPLAY=t1*3.t0 cargo test c01".to_owned());
    report
}

/// The dm-bufio deadlock of 2014, with everything that a report can have.
pub(super) fn c01() -> Report {
    let mut report = report(&Script::c01());
    report.trace = Some("t1*3.t0".parse::<Trace>().expect("it is a trace"));
    report.latency_ns = Some(56_575);
    report.cuts = vec!["quiet in 50 schedules under era v3.18".to_owned()];
    report.notes = vec!["taking the stack down: EIO".to_owned()];
    report
}

/// A lock taken twice by a task whose name is `name`.
pub(super) fn hostile(name: &str) -> Report {
    let mut s = Script::default();
    let task = s.spawn(name, TaskKind::Task);
    let lock = s.lock("a", name);
    s.take(task, lock, LockMode::Exclusive);
    s.want(task, lock, LockMode::Exclusive, false);
    Report { name: name.to_owned(), notes: vec![name.to_owned()], ..report(&s) }
}

/// A wait without a known task that must act.
pub(super) fn hang() -> Report {
    let mut s = Script::default();
    let task = s.task("main");
    let condition = s.names.add_condition("drained");
    s.wait(task, Resource::Condition(condition), "wake-up");
    s.stall(false);
    report(&s)
}

/// A task that comes back to its own filesystem.
pub(super) fn recursion() -> Report {
    let mut s = Script::default();
    let (task, fs) = (s.task("cp"), s.names.add_layer(Layer::FS, "upper"));
    s.scope(task, ScopeKind::Nofs, 1);
    s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
    s.reclaim(task, Gfp::NOFS);
    s.enter(task, fs);
    report(&s)
}

/// A lock taken in reclaim, and reclaim under that lock, at different times.
fn order() -> Report {
    let mut s = Script::going_on_from(OrderGraph::default(), false);
    let lock = s.lock("table", "dm");
    let task = s.task("cp");
    s.take(task, lock, LockMode::Exclusive);
    s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
    s.give_up(task, lock);
    let other = s.task("kswapd0");
    s.reclaim(other, Gfp::KERNEL);
    s.take(other, lock, LockMode::Exclusive);
    report(&s)
}

/// An allocation in a transaction that could come back to it, with the count of pairs.
pub(super) fn declared() -> Report {
    let mut s = Script::oracle();
    let stack = s.bufio_on_loop(MayWait::WithIo);
    let rsync = s.task("rsync");
    s.take(rsync, stack.journal, LockMode::Exclusive);
    s.alloc(rsync, Gfp::KERNEL, Gfp::NOFS);
    Report { pairs: s.witness.pairs(), ..report(&s) }
}

/// A hang of the third schedule beside a recursion of the fifth.
pub(super) fn elsewhere() -> Report {
    let mut report = Report { schedules: 5, ..recursion() };
    let mut hang = hang().findings.remove(0);
    hang.elsewhere = Some(Elsewhere::new(3, "t1*2.t0".parse().expect("it is a trace")));
    report.findings.push(hang);
    report.idle = vec!["failpoint bufio::read was never reached".to_owned()];
    report.trace = Some("t1*3.t0".parse().expect("it is a trace"));
    report.set_replay(|trace| format!("RECLAIMDEP_REPLAY={trace} cargo test c01"));
    report
}

fn misuse() -> Report {
    let mut s = Script::default();
    let task = s.task("cp");
    let site = Site { file: "stack.rs", line: 7 };
    let (what, kind) = (Misuse::Stale, ScopeKind::Nofs);
    s.on(task, EventKind::ScopeMisuse { what, kind, owner: task, scope: 1, site });
    report(&s)
}

/// One report of each kind.
pub(super) fn all() -> Vec<Report> {
    let plain = Report::new("quiet", "native", "v5.9", Vec::new());
    let skipped = Outcome::Skipped { reason: "no /dev/fuse".to_owned() };
    let panicked = Outcome::Panicked { message: "a\nb".to_owned() };
    vec![
        c01(),
        hang(),
        recursion(),
        misuse(),
        order(),
        declared(),
        elsewhere(),
        hostile("<script>alert('&\"')</script>\u{1b}[31m\u{202e}"),
        plain.clone().with_outcome(skipped),
        plain.clone().with_outcome(panicked),
        plain,
    ]
}
