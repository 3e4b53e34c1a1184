//! `finish`: the report of a run, from its executions.
//!
//! Key function: [`finish`]. Every tier ends here.

use super::execution::Executed;
use super::gather::{Across, Executions};
use super::hub::Observed;
use super::spec::Spec;
use super::{stuck, suppress};
use crate::Tier;
use crate::error::Result;
use crate::event::Names;
use crate::heap;
use crate::report::{Finding, Outcome, Report, describe_stalls, order_note};
use crate::witness::Witness;

/// At most this many notes are about cycles that only the class view of the order has.
const MAX_CLASS_VIEW_NOTES: usize = 8;

/// Makes the report of a run.
///
/// # Errors
/// A recording that could not be written. Trouble in building the stack or taking it down; after a
/// finding, which may well be why the stack does not come down, that is a note instead.
pub(super) fn finish(spec: &Spec, executions: Executions) -> Result<Report> {
    let Executions { reported, trace, across } = executions;
    let Across { all, count, number, elsewhere, unlisted, idle, suppressed } = across;
    let panicked = reported.panicked();
    let Executed { observed, names, panic, trouble, findings, stalled_for, stuck, .. } = reported;
    let Observed { witness, recorder, latency, .. } = observed;
    recorder.map_or(Ok(()), |recorder| recorder.finish(&names))?;
    let findings: Vec<Finding> = findings.into_iter().chain(elsewhere).collect();
    let explained = !findings.is_empty();
    let mut report = Report::new(&spec.name, spec.tier.name(), spec.era.name(), findings);
    report.notes = suppress::notes(&spec.suppressions, &suppressed, all);
    if let Some(witness) = &witness {
        judged(&mut report, spec, witness, &names);
    }
    if unlisted > 0 {
        report.notes.push(format!("{unlisted} more findings of other schedules are not listed"));
    }
    match trouble {
        Some(trouble) if !explained => return Err(trouble),
        Some(trouble) => report.notes.push(format!("taking the stack down: {trouble}")),
        None => {}
    }
    match panic {
        Some(message) if panicked => report.outcome = Outcome::Panicked { message },
        Some(message) => {
            report.notes.push(format!("the code under test panicked after that: {message}"));
        }
        None => {}
    }
    report.notes.extend(stalled_for.map(stuck::stalled));
    report.notes.extend(stuck.and_then(stuck::left_behind));
    report.schedules = count;
    report.reported = (number != count).then_some(number);
    // Virtual time would say nothing about how long a break takes.
    report.latency_ns = latency.filter(|_| spec.tier != Tier::Model).map(|latency| latency.0);
    report.trace = trace;
    for rule in idle {
        let sentence = rule.sentence(count, heap::is_installed());
        if rule.is_optional() {
            report.notes.push(sentence);
        } else {
            report.idle.push(sentence);
        }
    }
    Ok(report)
}

/// What the judges of the reported execution say beside their findings.
fn judged(report: &mut Report, spec: &Spec, witness: &Witness, names: &Names) {
    report.stalls = describe_stalls(&witness.stalls().longest_first(), names);
    report.pairs = witness.pairs();
    report.notes.extend(witness.view().reserves_drawn().map(|(low, min)| {
        format!(
            "allocations used the reserves: free pages fell to {low}, below the min watermark {min}"
        )
    }));
    report.notes.extend(witness.aside().iter().take(MAX_CLASS_VIEW_NOTES).map(order_note));
    if let (Some(orders), Some(graph)) = (&spec.remembered, witness.order()) {
        orders.learn(graph.clone());
    }
}
