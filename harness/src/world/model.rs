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
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::explore::{Budget, Mixed, Replay};
use crate::report::Report;
use crate::sched::controlled::{self, Driver, TASK_STACK};
use crate::sched::{Sched, SpinLock, Strategy};
use crate::stack::InProcess;

/// Explores or replays, as the spec says.
pub(super) fn run(run: &Arc<Run>) -> Result<Report> {
    let spec = &run.spec;
    let mut report = match &spec.replay {
        Some(trace) => finish(spec, replay(run, trace)?)?,
        None => explore_and_replay(run)?,
    };
    if spec.try_cuts && !report.findings.is_empty() {
        cuts::find(run, &mut report);
    }
    Ok(report)
}

/// Explores; what was found is replayed, and must give the same report.
fn explore_and_replay(run: &Arc<Run>) -> Result<Report> {
    let spec = &run.spec;
    let explored = explore(run);
    let (count, idle) = (explored.count, explored.idle.clone());
    let report = finish(spec, explored)?;
    let Some(trace) = report.trace.as_ref().filter(|_| !report.is_quiet() || spec.record.is_some())
    else {
        return Ok(report);
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
    Ok(report)
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
    if let Some(position) = mismatch.position() {
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
    let (kept, choices, task_stack) =
        (Arc::clone(&executions), Arc::clone(&driver), run.spec.task_stack.unwrap_or(TASK_STACK));
    let run = Arc::clone(run);
    controlled::run(&driver, task_stack, move || {
        let hub = hub();
        let observer = Box::new(hub.clone());
        let sched = Sched::controlled(Arc::clone(&choices), run.spec.steps, observer);
        let executed = run.execute(&sched, &hub, Arc::new(InProcess));
        let trace = Some(choices.lock().take_trace());
        look(&executed);
        let mut kept = kept.lock();
        *kept = Some(match kept.take() {
            None => Executions { trace, ..Executions::one(executed) },
            Some(Executions { count, mut idle, .. }) => {
                idle.retain(|rule| executed.idle.contains(rule));
                Executions { count: count + 1, last: executed, trace, idle }
            }
        });
    });
    let executions = executions.lock().take();
    executions.expect("every strategy here has a first schedule")
}
