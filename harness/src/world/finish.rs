//! `finish`: the report of a run, from its executions.
//!
//! Key function: [`finish`]. Every tier ends here.

use std::collections::BTreeSet;

use super::execution::Executed;
use super::hub::Observed;
use super::spec::Spec;
use super::{stuck, suppress};
use crate::Tier;
use crate::error::Result;
use crate::event::{Names, Trace};
use crate::report::{Outcome, Report, describe, describe_stalls, order_note};
use crate::witness::Witness;

/// At most this many notes are about cycles that only the class view of the order has.
const MAX_CLASS_VIEW_NOTES: usize = 8;

/// The executions of a run, of which the last one is reported.
pub(super) struct Executions {
    pub(super) count: u64,
    pub(super) last: Executed,
    /// The choices of the last one; the model tier alone has them.
    pub(super) trace: Option<Trace>,
    /// Rules of the plan that never applied in any execution, as sentences.
    pub(super) idle: BTreeSet<String>,
}

impl Executions {
    /// A run of a single execution.
    pub(super) fn one(mut executed: Executed) -> Self {
        let idle = std::mem::take(&mut executed.idle).into_iter().collect();
        Self { count: 1, last: executed, trace: None, idle }
    }
}

/// Makes the report of a run.
///
/// # Errors
/// A recording that could not be written. Trouble in building the stack or taking it down; after a
/// finding, which may well be why the stack does not come down, that is a note instead.
pub(super) fn finish(spec: &Spec, executions: Executions) -> Result<Report> {
    let Executions { count, last, trace, idle } = executions;
    let Executed { observed, names, panic, trouble, stalled_for, stuck, .. } = last;
    let Observed { witness, recorder, latency, .. } = observed;
    recorder.map_or(Ok(()), |recorder| recorder.finish(&names))?;
    let mut report = match &witness {
        Some(witness) => judged(spec, witness, &names),
        None => Report::new(&spec.name, spec.tier.name(), spec.era.name(), Vec::new()),
    };
    let explained = witness.is_some_and(|witness| !witness.findings().is_empty());
    match trouble {
        Some(trouble) if !explained => return Err(trouble),
        Some(trouble) => report.notes.push(format!("taking the stack down: {trouble}")),
        None => {}
    }
    match panic {
        Some(message) if !explained => report.outcome = Outcome::Panicked { message },
        Some(message) => {
            report.notes.push(format!("the code under test panicked after that: {message}"));
        }
        None => {}
    }
    report.notes.extend(stalled_for.map(stuck::stalled));
    if let Some(stuck) = stuck {
        stuck::tell(&mut report, &stuck, &names);
    }
    report.schedules = count;
    // Virtual time would say nothing about how long a break takes.
    report.latency_ns = latency.filter(|_| spec.tier != Tier::Model).map(|latency| latency.0);
    report.trace = trace;
    // What such a rule was to show was not shown: a quiet run proves less than it seems to.
    if report.is_quiet() {
        report.notes.extend(idle);
    }
    Ok(report)
}

/// What the judges of the reported execution say.
fn judged(spec: &Spec, witness: &Witness, names: &Names) -> Report {
    let findings = witness.findings().iter().map(|finding| describe(finding, names)).collect();
    let (findings, suppressed) = suppress::apply(&spec.suppressions, findings);
    let mut report = Report::new(&spec.name, spec.tier.name(), spec.era.name(), findings);
    report.stalls = describe_stalls(&witness.stalls().longest_first(), names);
    report.pairs = witness.pairs();
    report.notes = suppressed;
    report.notes.extend(witness.view().reserves_drawn().map(|(low, min)| {
        format!(
            "allocations used the reserves: free pages fell to {low}, below the min watermark {min}"
        )
    }));
    report.notes.extend(witness.aside().iter().take(MAX_CLASS_VIEW_NOTES).map(order_note));
    if let (Some(orders), Some(graph)) = (&spec.remembered, witness.order()) {
        orders.learn(graph.clone());
    }
    report
}
