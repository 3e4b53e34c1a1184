//! The model tier: exploration, replay, and the check that what was found replays.
//!
//! Key function: [`run`]. Executions differ only in their choices. The one that is reported is
//! replayed from its trace once more, and must give the same report byte for byte: a difference is
//! nondeterminism in the code under test, and an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cuts;
use super::execution::{Executed, Run};
use super::finish::{Executions, finish};
use super::hub::Hub;
use super::stuck;
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::explore::{Budget, Mixed, Replay};
use crate::report::Report;
use crate::sched::controlled::{self, Driver, TASK_STACK};
use crate::sched::{Sched, SpinLock, Strategy, watch};
use crate::stack::InProcess;

/// Explores or replays, as the spec says.
pub(super) fn run(run: &Arc<Run>) -> Result<Report> {
    let spec = &run.spec;
    let (mut report, ended) = match &spec.replay {
        Some(trace) => {
            let replayed = replay(run, trace)?;
            let ended = replayed.last.stuck.is_none();
            (finish(spec, replayed)?, ended)
        }
        None => explore_and_replay(run)?,
    };
    // Of a run that does not end, each try would take as long as the deadline.
    if spec.try_cuts && ended && !report.findings.is_empty() {
        cuts::find(run, &mut report);
    }
    Ok(report)
}

/// Explores; what was found is replayed, and must give the same report. Returns also whether the
/// run ended by itself: one that the deadline ended is not replayed.
fn explore_and_replay(run: &Arc<Run>) -> Result<(Report, bool)> {
    let spec = &run.spec;
    let explored = explore(run);
    let (count, idle) = (explored.count, explored.idle.clone());
    let ended = explored.last.stuck.is_none();
    let report = finish(spec, explored)?;
    if !ended {
        return Ok((report, ended));
    }
    let Some(trace) = report.trace.as_ref().filter(|_| !report.is_quiet() || spec.record.is_some())
    else {
        return Ok((report, ended));
    };
    // Only this second run records: of those before, none was known to be the last.
    let again = finish(spec, Executions { count, idle, ..replay(run, trace)? })?;
    if again.to_json() != report.to_json() {
        let what = "does not replay: the same choices gave another report";
        return Err(Error::misuse(format!("`{}` {what}", spec.name)).advice(
            "the code under test depends on something that the world does not control: \
             time, addresses, a random hasher",
        ));
    }
    Ok((report, ended))
}

fn explore(run: &Arc<Run>) -> Executions {
    let spec = &run.spec;
    let strategy = Budget::new(Mixed::new(spec.seed), spec.schedules);
    let (stop, judged) = (strategy.stop(), Arc::clone(run));
    let enough = move |executed: &Executed| {
        let (codes, expect) = (executed.codes(&judged.spec.suppressions), &judged.spec.expect);
        let shown = if expect.is_empty() {
            !codes.is_empty()
        } else {
            expect.iter().all(|code| codes.contains(code))
        };
        if shown || executed.failed() {
            stop.stop();
        }
    };
    let watched = Arc::clone(run);
    execute(run, strategy, move || watched.hub(None), enough)
}

/// Runs the schedule of `trace`. One execution does not tell which rules of the plan never applied
/// in the others, so its `idle` is empty.
fn replay(run: &Arc<Run>, trace: &Trace) -> Result<Executions> {
    let strategy = Replay::new(trace.clone());
    let mismatch = strategy.mismatch();
    let hub = run.hub(run.spec.recorder()?);
    let executions = execute(run, strategy, move || hub.clone(), |_| {});
    if let Some(position) = mismatch.position().filter(|_| executions.last.stuck.is_none()) {
        let what = if position < trace.0.len() {
            format!("choice {position} (from 0) cannot be taken")
        } else {
            format!("it ends after {position} choices, and the run goes on")
        };
        let what = format!("the trace does not fit `{}`: {what}", run.spec.name);
        return Err(Error::input(what)
            .advice("replay it with the same code, stack, plan and era that printed it"));
    }
    Ok(Executions { trace: Some(trace.clone()), idle: BTreeSet::new(), ..executions })
}

/// Executes `run` until `strategy` has no further schedule. Each execution has a hub of its own,
/// and `look` is shown its result.
///
/// # Panics
/// If `strategy` has no schedule at all.
pub(super) fn execute(
    run: &Arc<Run>,
    strategy: impl Strategy + 'static,
    hub: impl Fn() -> Hub + Send + Sync + 'static,
    look: impl Fn(&Executed) + Send + Sync + 'static,
) -> Executions {
    let driver = Driver::new(Box::new(strategy));
    let executions = Arc::new(SpinLock::new(None));
    let watched = Arc::new(SpinLock::new(None));
    let ended = {
        let (kept, current, driver) =
            (Arc::clone(&executions), Arc::clone(&watched), Arc::clone(&driver));
        let (run, task_stack) = (Arc::clone(run), run.spec.task_stack.unwrap_or(TASK_STACK));
        watch::run(run.spec.deadline, move || {
            let choices = Arc::clone(&driver);
            controlled::run(&driver, task_stack, move || {
                let hub = hub();
                *current.lock() = Some(hub.clone());
                let observer = Box::new(hub.clone());
                let sched = Sched::controlled(Arc::clone(&choices), run.spec.steps, observer);
                let executed = run.execute(&sched, &hub, Arc::new(InProcess));
                let trace = Some(choices.lock().take_trace());
                look(&executed);
                keep(&mut kept.lock(), executed, trace);
            });
        })
    };
    if let Err(stuck) = ended {
        let hub = watched.lock().take();
        let executed = stuck::execution(stuck, hub.as_ref());
        let trace = driver.try_lock().map(|mut driver| driver.take_trace());
        keep(&mut executions.lock(), executed, trace);
    }
    let executions = executions.lock().take();
    executions.expect("every strategy here has a first schedule")
}

/// Adds an execution: the last one is reported.
fn keep(kept: &mut Option<Executions>, executed: Executed, trace: Option<Trace>) {
    *kept = Some(match kept.take() {
        None => Executions { trace, ..Executions::one(executed) },
        Some(Executions { count, mut idle, .. }) => {
            idle.retain(|rule| executed.idle.contains(rule));
            Executions { count: count + 1, last: executed, trace, idle }
        }
    });
}
