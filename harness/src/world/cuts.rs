//! What cuts a finding: the same run, in worlds that differ in one thing.
//!
//! Key function: [`find`]. Each other era, each knob turned to what the newest kernel does, each other
//! policy is tried for [`SCHEDULES`] schedules. What stays quiet is evidence and no proof, so each line
//! says in how many. A world in which reclaim never ran would be quiet for nothing and is left out.

use std::sync::Arc;

use super::builder::Builder;
use super::execution::{Execution, Setup};
use super::model;
use crate::era::{Era, Flip};
use crate::explore::{Budget, Mixed};
use crate::mm::policy::PolicyKind;
use crate::report::Report;
use crate::sched::SpinLock;

/// Schedules of each world that is tried.
pub(super) const SCHEDULES: u64 = 50;

/// What the schedules of one world showed.
#[derive(Default)]
struct Seen {
    noisy: bool,
    reclaimed: bool,
}

/// Fills in the cuts of a report that found something.
pub(super) fn find(builder: &Builder, setup: &Setup, report: &mut Report) {
    let needs_reclaim =
        report.findings.iter().flat_map(|finding| &finding.chain).any(|step| step.kind == "reclaim");
    let tried = others(setup);
    for (what, other) in &tried {
        let seen = try_out(builder, other);
        if !seen.noisy && (seen.reclaimed || !needs_reclaim) {
            report.cuts.push(format!("quiet in {SCHEDULES} schedules under {what}"));
        }
    }
    if report.cuts.is_empty() {
        let count = tried.len();
        report.notes.push(format!(
            "nothing was found that cuts it: {count} other eras, knobs and policies, {SCHEDULES} schedules each"
        ));
    }
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
    let policies = PolicyKind::ALL.iter().filter(|kind| **kind != setup.stack.memory.policy);
    let policies = policies.map(|kind| {
        let mut other = setup.clone();
        other.stack.memory.policy = *kind;
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
