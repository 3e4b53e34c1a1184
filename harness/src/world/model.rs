//! The model tier: exploration, replay, and the check that what was found replays.
//!
//! Key function: [`run`]. Executions differ only in their choices. The one that is reported is
//! replayed from its trace once more, and must give the same report byte for byte: a difference is
//! nondeterminism in the code under test, and an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::builder::Builder;
use super::cuts;
use super::execution::{Execution, Setup};
use super::hub::Hub;
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::explore::{Budget, Mixed, Replay};
use crate::report::Report;
use crate::sched::controlled::{self, Driver};
use crate::sched::{Sched, SpinLock, Strategy};
use crate::stack::InProcess;

/// What an exploration keeps.
pub(super) struct Kept {
    executions: u64,
    /// The execution that ended it, or the last one.
    last: Option<(Execution, Trace)>,
    /// Rules of the plan that came to nothing in every execution.
    idle: Option<BTreeSet<String>>,
}

/// Runs what `builder` describes.
pub(super) fn run(builder: &Builder, setup: &Setup) -> Result<Report> {
    let mut report = match &builder.replay {
        Some(trace) => replay(builder, setup, trace)?,
        None => found_again(builder, setup)?,
    };
    if builder.try_cuts && !report.findings.is_empty() {
        cuts::find(builder, setup, &mut report);
    }
    Ok(report)
}

/// Explores; what was found is replayed, and must be the same.
fn found_again(builder: &Builder, setup: &Setup) -> Result<Report> {
    let (mut report, idle) = explore(builder, setup)?;
    // Recording waits for this second run: of the first ones, only the last is reported.
    if let (Some(trace), true) = (&report.trace, !report.is_quiet() || builder.record.is_some()) {
        let again = Report { schedules: report.schedules, ..replay(builder, setup, trace)? };
        if again.to_json() != report.to_json() {
            return Err(Error::misuse(format!("`{}` does not replay: the same choices gave another report", builder.name))
                .advice("the code under test depends on something that the world does not control: time, addresses, a random hasher"));
        }
    }
    // One execution does not know what the others came to, so a replay has nothing to say here.
    if report.is_quiet() {
        report.notes.extend(idle);
    }
    Ok(report)
}

fn explore(builder: &Builder, setup: &Setup) -> Result<(Report, BTreeSet<String>)> {
    let strategy = Budget::new(Mixed::new(builder.seed), builder.schedules);
    let stop = strategy.stop();
    let (expect, suppressions) = (builder.expect.clone(), builder.suppressions.clone());
    let enough = move |execution: &Execution| {
        let codes = execution.codes(&suppressions);
        let shown = if expect.is_empty() {
            !codes.is_empty()
        } else {
            expect.iter().all(|code| codes.contains(code))
        };
        if shown || execution.panic.is_some() || execution.trouble.is_some() {
            stop.stop();
        }
    };
    let theirs = setup.clone();
    let kept = execute(builder, setup, strategy, move || theirs.hub(), enough);
    let (execution, trace) = kept.last.ok_or_else(|| {
        Error::input(format!("`{}` explores no schedule at all", builder.name))
            .advice("give it at least one")
    })?;
    let idle = kept.idle.unwrap_or_default();
    Ok((execution.into_report(builder, kept.executions, Some(trace))?, idle))
}

fn replay(builder: &Builder, setup: &Setup, trace: &Trace) -> Result<Report> {
    let strategy = Replay::new(trace.clone());
    let mismatch = strategy.mismatch();
    let hub = setup.hub().recording(builder.recorder()?);
    let theirs = hub.clone();
    let kept = execute(builder, setup, strategy, move || theirs.clone(), |_| {});
    if let Some(position) = mismatch.position() {
        let what = if position < trace.0.len() {
            format!("choice {position} (from 0) cannot be taken")
        } else {
            format!("it ends after {position} choices, and the run goes on")
        };
        return Err(Error::input(format!("the trace does not fit `{}`: {what}", builder.name))
            .advice("replay it with the same code, stack, plan and era that printed it"));
    }
    let (execution, _) = kept.last.expect("a replay runs once");
    hub.end_recording(&execution.names)?;
    execution.into_report(builder, 1, Some(trace.clone()))
}

pub(super) fn execute(
    builder: &Builder,
    setup: &Setup,
    strategy: impl Strategy + 'static,
    hub: impl Fn() -> Hub + Send + Sync + 'static,
    look: impl Fn(&Execution) + Send + Sync + 'static,
) -> Kept {
    let driver = Driver::new(Box::new(strategy));
    let kept = Arc::new(SpinLock::new(Kept { executions: 0, last: None, idle: None }));
    let (theirs, choices, setup) = (Arc::clone(&kept), Arc::clone(&driver), setup.clone());
    let steps = builder.steps;
    controlled::run(&driver, move || {
        let hub = hub();
        let sched = Sched::controlled(Arc::clone(&choices), steps, Box::new(hub.clone()));
        let execution = setup.execute(&sched, &hub, Arc::new(InProcess));
        let trace = choices.lock().take_trace();
        look(&execution);
        let mut kept = theirs.lock();
        kept.executions += 1;
        match &mut kept.idle {
            Some(idle) => idle.retain(|rule| execution.idle.contains(rule)),
            idle => *idle = Some(execution.idle.iter().cloned().collect()),
        }
        kept.last = Some((execution, trace));
    });
    let mut kept = kept.lock();
    Kept { executions: kept.executions, last: kept.last.take(), idle: kept.idle.take() }
}
