//! Cuts: changes under which a run that found something stays quiet, found by trying.
//!
//! Key function: [`find`]. Each other era, each knob turned to its newest value, each other policy,
//! and a scope around each allocation that the findings name is tried for [`SCHEDULES`] schedules.
//! Where no single scope is quiet, pairs of scopes around two allocations are tried. A quiet trial
//! is evidence and no proof, so each line says how many schedules it had. A trial in which reclaim
//! never ran, or one of its scopes was never entered, proves nothing and is left out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::execution::{Executed, Run};
use super::model;
use super::spec::Spec;
use crate::era::{Era, Flip};
use crate::explore::{Budget, Mixed};
use crate::inject::{AddedScope, IdleRule, ScopeChoice};
use crate::mm::policy::PolicyKind;
use crate::report::{Finding, OrderEdge, Report, StepKind};
use crate::sched::SpinLock;
use crate::witness::Level;

/// Schedules of each trial.
const SCHEDULES: u64 = 50;

/// At most this many places are tried, and every pair of them.
const MAX_PLACES: usize = 8;

/// The scopes of a pair, the milder ones first.
const PAIRS: [[ScopeChoice; 2]; 4] = {
    const NOFS: ScopeChoice = ScopeChoice::Nofs;
    const NOIO: ScopeChoice = ScopeChoice::Noio;
    [[NOFS, NOFS], [NOFS, NOIO], [NOIO, NOFS], [NOIO, NOIO]]
};

/// What the schedules of one trial showed.
#[derive(Default)]
struct Trial {
    /// Something was found, or the code under test failed.
    noisy: bool,
    reclaimed: bool,
    /// The scopes that were entered in no schedule, by their number in the plan.
    idle: Option<BTreeSet<usize>>,
}

/// Tries changes to a run that found something.
struct Trials<'r> {
    run: &'r Arc<Run>,
    /// A trial in which nothing reclaims proves nothing.
    needs_reclaim: bool,
}

impl Trials<'_> {
    /// Whether the run stays quiet under `spec`, and what that is if it does.
    fn cuts(&self, what: &str, spec: Spec) -> Option<String> {
        let Trial { noisy, reclaimed, idle } = try_out(&Arc::new(self.run.under(spec)));
        // The scopes of the run's own plan come first.
        let own = self.run.spec.plan.scopes.len();
        let applied = idle.iter().flatten().all(|number| *number <= own);
        let cut = !noisy && applied && (reclaimed || !self.needs_reclaim);
        cut.then(|| format!("quiet in {SCHEDULES} schedules under {what}"))
    }

    fn cuts_with(&self, added: &[(ScopeChoice, &Place)]) -> Option<String> {
        let mut spec = self.run.spec.clone();
        let mut said = Vec::new();
        for (scope, place) in added {
            said.push(format!("scope {} around {place}", scope.name()));
            spec.plan.scopes.push(AddedScope::new(*scope, place.line.clone()));
        }
        self.cuts(&said.join(" and "), spec)
    }
}

/// Fills in the cuts of a report that found something.
pub(super) fn find(run: &Arc<Run>, report: &mut Report) {
    let needs_reclaim = report
        .findings
        .iter()
        .flat_map(|finding| &finding.chain)
        .any(|step| step.kind == StepKind::Reclaim);
    let trials = Trials { run, needs_reclaim };
    let others = others(&run.spec);
    let count = others.len();
    report.cuts.extend(others.into_iter().filter_map(|(what, spec)| trials.cuts(&what, spec)));
    let all = allocations(&report.findings);
    let places = &all[..all.len().min(MAX_PLACES)];
    let mut scopes = 0;
    let mut single = Vec::new();
    for place in places {
        // The first choice restricts least; a wider scope adds nothing where it cuts.
        single.extend(ScopeChoice::ALL.iter().find_map(|scope| {
            scopes += 1;
            trials.cuts_with(&[(*scope, place)])
        }));
    }
    let no_single = single.is_empty() && !places.is_empty();
    report.cuts.extend(single);
    let mut pairs = 0;
    if no_single {
        let found = pairs_that_cut(&trials, places, &mut pairs);
        let of = if places.len() == 1 { "allocation" } else { "allocations" };
        let mut note = format!(
            "no single scope was quiet: {scopes} were tried, around {} {of}, {SCHEDULES} \
             schedules each",
            places.len()
        );
        if pairs > 0 && found.is_empty() {
            note = format!("{note}; nor was any of {pairs} pairs of scopes");
        }
        report.cuts.extend(found);
        report.notes.push(note);
    }
    if all.len() > places.len() {
        let (left, all) = (all.len() - places.len(), all.len());
        report.notes.push(format!(
            "cuts: no scope was tried around {left} of the {all} allocations of the chains"
        ));
    }
    if report.cuts.is_empty() {
        report.notes.push(format!(
            "nothing was quiet: {count} other eras, knobs and policies, {scopes} scopes and {pairs} \
             pairs of scopes were tried, {SCHEDULES} schedules each"
        ));
    }
}

/// The pairs of scopes under which the run stays quiet, the mildest of each two places; `tried`
/// counts all.
fn pairs_that_cut(trials: &Trials<'_>, places: &[Place], tried: &mut usize) -> Vec<String> {
    let mut found = Vec::new();
    for (number, one) in places.iter().enumerate() {
        for other in &places[number + 1..] {
            found.extend(PAIRS.iter().find_map(|[first, second]| {
                *tried += 1;
                trials.cuts_with(&[(*first, one), (*second, other)])
            }));
        }
    }
    found
}

/// A line at which tasks of the findings allocate.
struct Place {
    line: String,
    tasks: Vec<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the allocation of {} at {}", self.tasks.join(", "), self.line)
    }
}

/// Whether what is taken is reclaim, which an allocation takes; a scope changes no other edge.
fn allocates(edge: &OrderEdge) -> bool {
    let levels = [Level::Any, Level::Io, Level::Fs].map(Level::name);
    !edge.declared && levels.contains(&edge.takes.as_str())
}

/// The lines at which tasks of the findings allocate.
fn allocations(findings: &[Finding]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut add = |line: &str, task: &str| match places.iter_mut().find(|place| place.line == line)
    {
        Some(place) if place.tasks.iter().any(|known| known == task) => {}
        Some(place) => place.tasks.push(task.to_owned()),
        None => places.push(Place { line: line.to_owned(), tasks: vec![task.to_owned()] }),
    };
    for finding in findings {
        for step in finding.chain.iter().filter(|step| step.kind == StepKind::Alloc) {
            if let Some(line) = &step.site {
                add(line, &step.task);
            }
        }
        for edge in finding.order.iter().flat_map(|order| &order.edges) {
            let line = edge.takes_site.as_ref().filter(|_| allocates(edge));
            if let Some(line) = line {
                add(line, &edge.task);
            }
        }
    }
    places
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
        let idle = executed.idle.iter().filter_map(IdleRule::scope).collect();
        trial.idle = Some(match trial.idle.take() {
            Some(before) => &before & &idle,
            None => idle,
        });
        trial.noisy |= !executed.findings.is_empty() || executed.failed();
        if trial.noisy {
            stop.stop();
        }
    };
    let tried = Arc::clone(run);
    model::execute(run, strategy, move || tried.hub(None), look);
    std::mem::take(&mut *trial.lock())
}
