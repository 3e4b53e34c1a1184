//! What cuts a finding: the same run, in worlds that differ in one thing.
//!
//! Key function: [`find`]. Each other era, each knob turned to what the newest kernel does, each
//! other policy, and a scope around each allocation that the findings name is tried for
//! [`SCHEDULES`] schedules. What stays quiet is evidence and no proof, so each line says in how
//! many. A world in which reclaim never ran would be quiet for nothing and is left out.

use std::sync::Arc;

use super::builder::Builder;
use super::execution::{Execution, Setup};
use super::model;
use crate::era::{Era, Flip};
use crate::explore::{Budget, Mixed};
use crate::inject::{AddedScope, ScopeChoice};
use crate::mm::policy::PolicyKind;
use crate::report::{Report, StepKind};
use crate::sched::SpinLock;

/// Schedules of each world that is tried.
pub(super) const SCHEDULES: u64 = 50;

/// Of the lines that findings name, these many are tried.
const MAX_LINES: usize = 8;

/// What the schedules of one world showed.
#[derive(Default)]
struct Seen {
    noisy: bool,
    reclaimed: bool,
}

/// Fills in the cuts of a report that found something.
pub(super) fn find(builder: &Builder, setup: &Setup, report: &mut Report) {
    let needs_reclaim = report
        .findings
        .iter()
        .flat_map(|finding| &finding.chain)
        .any(|step| step.kind == StepKind::Reclaim);
    let cuts = |what: &str, other: &Setup| {
        let seen = try_out(builder, other);
        let cut = !seen.noisy && (seen.reclaimed || !needs_reclaim);
        cut.then(|| format!("quiet in {SCHEDULES} schedules under {what}"))
    };
    let others = others(setup);
    report.cuts.extend(others.iter().filter_map(|(what, other)| cuts(what, other)));
    let lines = may_allocate(report);
    for line in &lines {
        // The milder scope is enough where it cuts.
        let added = ScopeChoice::ALL.iter().find_map(|scope| {
            let added = AddedScope { scope: *scope, at: line.clone() };
            let what =
                format!("scope {} around the allocation at {}", added.scope.name(), added.at);
            let mut other = setup.clone();
            other.plan.scopes.push(added);
            cuts(&what, &other)
        });
        report.cuts.extend(added);
    }
    if report.cuts.is_empty() {
        let (count, lines) = (others.len(), lines.len());
        report.notes.push(format!(
            "nothing was found that cuts it: {count} other eras, knobs and policies, and scopes at {lines} lines, \
             {SCHEDULES} schedules each"
        ));
    }
}

/// The lines of the findings at which something is allocated or taken; a scope changes the former
/// alone.
fn may_allocate(report: &Report) -> Vec<String> {
    let chains = report.findings.iter().flat_map(|finding| &finding.chain);
    let steps = chains.filter(|step| matches!(step.kind, StepKind::Alloc | StepKind::Ordered));
    let mut lines: Vec<String> = Vec::new();
    for line in steps.filter_map(|step| step.site.as_ref()) {
        if lines.len() < MAX_LINES && !lines.contains(line) {
            lines.push(line.clone());
        }
    }
    lines
}

/// The worlds to try, by what is different in each.
fn others(setup: &Setup) -> Vec<(String, Setup)> {
    let eras = Era::ALL.iter().filter(|era| **era != setup.era).map(|era| {
        let other = Setup { era: *era, knobs: era.knobs(), ..setup.clone() };
        (format!("era {era}"), other)
    });
    let knobs = setup.knobs.flips().into_iter().map(|Flip { what, knobs }| {
        let other = Setup { knobs, ..setup.clone() };
        (format!("knob {what}"), other)
    });
    let policies = PolicyKind::ALL
        .iter()
        .filter(|kind| setup.policy.is_some() || **kind != setup.stack.memory.policy);
    let policies = policies.map(|kind| {
        let mut other = setup.clone();
        other.stack.memory.policy = *kind;
        other.policy = None;
        (format!("policy {kind}"), other)
    });
    eras.chain(knobs).chain(policies).collect()
}

fn try_out(builder: &Builder, setup: &Setup) -> Seen {
    let strategy = Budget::new(Mixed::new(builder.seed), SCHEDULES);
    let stop = strategy.stop();
    let seen = Arc::new(SpinLock::new(Seen::default()));
    let shared = Arc::clone(&seen);
    let suppressions = builder.suppressions.clone();
    let look = move |execution: &Execution| {
        let mut seen = shared.lock();
        seen.reclaimed |= execution.reclaimed;
        seen.noisy |= !execution.codes(&suppressions).is_empty()
            || execution.panic.is_some()
            || execution.trouble.is_some();
        if seen.noisy {
            stop.stop();
        }
    };
    let theirs = setup.clone();
    model::execute(builder, setup, strategy, move || theirs.hub(), look);
    std::mem::take(&mut *seen.lock())
}
