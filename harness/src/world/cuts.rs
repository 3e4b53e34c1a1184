//! Cuts: changes under which a run that found something stays quiet, found by trying.
//!
//! Key function: [`find`]. Each other era, each knob turned to its newest value, each other policy,
//! and a scope around each allocation that the findings name is tried for [`SCHEDULES`] schedules.
//! A quiet trial is evidence and no proof, so each line says how many schedules it had. A trial in
//! which reclaim never ran proves nothing and is left out.

use std::sync::Arc;

use super::execution::{Executed, Run};
use super::model;
use super::spec::Spec;
use crate::era::{Era, Flip};
use crate::explore::{Budget, Mixed};
use crate::inject::{AddedScope, ScopeChoice};
use crate::mm::policy::PolicyKind;
use crate::report::{Report, StepKind};
use crate::sched::SpinLock;

/// Schedules of each trial.
const SCHEDULES: u64 = 50;

/// At most this many source lines are tried.
const MAX_LINES: usize = 8;

/// What the schedules of one trial showed.
#[derive(Default)]
struct Trial {
    /// Something was found, or the code under test failed.
    noisy: bool,
    reclaimed: bool,
}

/// Fills in the cuts of a report that found something.
pub(super) fn find(run: &Arc<Run>, report: &mut Report) {
    let needs_reclaim = report
        .findings
        .iter()
        .flat_map(|finding| &finding.chain)
        .any(|step| step.kind == StepKind::Reclaim);
    let cuts = |what: &str, spec: Spec| {
        let Trial { noisy, reclaimed } = try_out(&Arc::new(run.under(spec)));
        let cut = !noisy && (reclaimed || !needs_reclaim);
        cut.then(|| format!("quiet in {SCHEDULES} schedules under {what}"))
    };
    let others = others(&run.spec);
    let count = others.len();
    report.cuts.extend(others.into_iter().filter_map(|(what, spec)| cuts(&what, spec)));
    let lines = may_allocate(report);
    for line in &lines {
        // The first choice restricts least; a wider scope adds nothing where it cuts.
        let added = ScopeChoice::ALL.iter().find_map(|scope| {
            let added = AddedScope::new(*scope, line.clone());
            let what =
                format!("scope {} around the allocation at {}", added.scope.name(), added.at);
            let mut spec = run.spec.clone();
            spec.plan.scopes.push(added);
            cuts(&what, spec)
        });
        report.cuts.extend(added);
    }
    if report.cuts.is_empty() {
        report.notes.push(format!(
            "nothing was found that cuts it: {count} other eras, knobs and policies, and scopes \
             at {} lines, {SCHEDULES} schedules each",
            lines.len()
        ));
    }
}

/// The source lines of the findings at which something is allocated, or taken; a scope changes
/// nothing at the latter.
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

/// The specs that differ from `spec` in one thing, and what that is.
fn others(spec: &Spec) -> Vec<(String, Spec)> {
    let eras = Era::ALL
        .iter()
        .filter(|era| **era != spec.era)
        .map(|era| (format!("era {era}"), Spec { era: *era, knobs: None, ..spec.clone() }));
    let knobs = spec.knobs().flips().into_iter().map(|Flip { what, knobs }| {
        (format!("knob {what}"), Spec { knobs: Some(knobs), ..spec.clone() })
    });
    let policies = PolicyKind::ALL
        .iter()
        .filter(|kind| spec.policy.is_some() || **kind != spec.stack.memory.policy);
    let policies = policies.map(|kind| {
        let mut other = Spec { policy: None, ..spec.clone() };
        other.stack.memory.policy = *kind;
        (format!("policy {kind}"), other)
    });
    eras.chain(knobs).chain(policies).collect()
}

fn try_out(run: &Arc<Run>) -> Trial {
    let strategy = Budget::new(Mixed::new(run.spec.seed), SCHEDULES);
    let stop = strategy.stop();
    let trial = Arc::new(SpinLock::new(Trial::default()));
    let shared = Arc::clone(&trial);
    let look = move |executed: Executed, _| {
        let mut trial = shared.lock();
        trial.reclaimed |= executed.observed.reclaimed;
        trial.noisy |= !executed.findings.is_empty() || executed.failed();
        if trial.noisy {
            stop.stop();
        }
    };
    let tried = Arc::clone(run);
    model::execute(run, strategy, move || tried.hub(None), look);
    std::mem::take(&mut *trial.lock())
}
