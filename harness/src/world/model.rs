//! The model tier: exploration, replay, and the check that what was found replays.
//!
//! Key function: [`run`]. Executions differ only in their choices. The one that is reported is
//! replayed from its trace once more, and must give the same report byte for byte: a difference is
//! nondeterminism in the code under test, and an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cuts;
use super::execution::{Executed, Run};
use super::finish::finish;
use super::gather::{Executions, Gathered};
use super::hub::Hub;
use super::spec::Spec;
use super::stuck;
use crate::error::{Error, Result};
use crate::event::Trace;
use crate::explore::{Budget, Mixed, Replay};
use crate::recording::Recorder;
use crate::report::{Finding, Report};
use crate::sched::controlled::{self, Driver, TASK_STACK};
use crate::sched::{Sched, SpinLock, Strategy, watch};
use crate::stack::InProcess;

/// Explores or replays, as the spec says.
pub(super) fn run(run: &Arc<Run>) -> Result<Report> {
    let spec = &run.spec;
    let (mut report, ended) = match &spec.replay {
        Some(trace) => {
            let replayed = replay(run, trace, spec.recorder()?)?;
            let ended = replayed.reported.stuck.is_none();
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
    let across = explored.across.clone();
    let ended = explored.reported.stuck.is_none();
    let report = finish(spec, explored)?;
    if !ended {
        return Ok((report, ended));
    }
    let Some(trace) = report.trace.as_ref().filter(|_| !report.is_quiet() || spec.record.is_some())
    else {
        return Ok((report, ended));
    };
    found_again(run, &across.elsewhere)?;
    // Only this second run records: of those before, none was known to be the reported one.
    let again = Executions { across, ..replay(run, trace, spec.recorder()?)? };
    if finish(spec, again)?.to_json() != report.to_json() {
        return Err(does_not_replay(spec));
    }
    Ok((report, ended))
}

/// Replays each other execution of which the report lists a finding; it must find the same.
fn found_again(run: &Arc<Run>, listed: &[Finding]) -> Result<()> {
    let mut traces = BTreeMap::new();
    for elsewhere in listed.iter().filter_map(|finding| finding.elsewhere.as_ref()) {
        traces.entry(elsewhere.schedule).or_insert(&elsewhere.trace);
    }
    let mut again = Vec::new();
    for trace in traces.into_values() {
        again.extend(replay(run, trace, None)?.reported.findings);
    }
    let same = |finding: &Finding| again.contains(&finding.of_reported());
    if listed.iter().all(same) { Ok(()) } else { Err(does_not_replay(&run.spec)) }
}

fn does_not_replay(spec: &Spec) -> Error {
    let what = "does not replay: the same choices gave another report";
    Error::misuse(format!("`{}` {what}", spec.name)).advice(
        "the code under test depends on something that the world does not control: \
         time, addresses, a random hasher",
    )
}

/// Explores until an execution shows all that is expected, or fails. One that shows something else
/// does not end it.
fn explore(run: &Arc<Run>) -> Executions {
    let spec = &run.spec;
    let strategy = Budget::new(Mixed::new(spec.seed), spec.schedules);
    let stop = strategy.stop();
    let gathered = Arc::new(SpinLock::new(Some(Gathered::new(&spec.expect))));
    let (all, watched) = (Arc::clone(&gathered), Arc::clone(run));
    let take = move |executed, trace| {
        if all.lock().as_mut().is_some_and(|gathered| gathered.add(executed, trace)) {
            stop.stop();
        }
    };
    execute(run, strategy, move || watched.hub(None), take);
    let gathered = gathered.lock().take().and_then(Gathered::finish);
    gathered.expect("every strategy here has a first schedule")
}

/// Runs the schedule of `trace`. One execution does not tell which rules of the plan never applied
/// in the others, nor which suppressions they needed.
fn replay(run: &Arc<Run>, trace: &Trace, recorder: Option<Recorder>) -> Result<Executions> {
    let strategy = Replay::new(trace.clone());
    let mismatch = strategy.mismatch();
    let hub = run.hub(recorder);
    let replayed = Arc::new(SpinLock::new(None));
    let kept = Arc::clone(&replayed);
    execute(
        run,
        strategy,
        move || hub.clone(),
        move |executed, _| {
            *kept.lock() = Some(executed);
        },
    );
    let executed = replayed.lock().take().expect("a replay has one schedule");
    if let Some(position) = mismatch.position().filter(|_| executed.stuck.is_none()) {
        let what = if position < trace.0.len() {
            format!("choice {position} (from 0) cannot be taken")
        } else {
            format!("it ends after {position} choices, and the run goes on")
        };
        let what = format!("the trace does not fit `{}`: {what}", run.spec.name);
        return Err(Error::input(what)
            .advice("replay it with the same code, stack, plan and era that printed it"));
    }
    let mut replayed = Executions::one(executed, Some(trace.clone()));
    replayed.across.all = false;
    replayed.across.idle.clear();
    Ok(replayed)
}

/// Executes `run` until `strategy` has no further schedule. Each execution has a hub of its own,
/// and `take` gets its result and its choices.
pub(super) fn execute(
    run: &Arc<Run>,
    strategy: impl Strategy + 'static,
    hub: impl Fn() -> Hub + Send + Sync + 'static,
    take: impl Fn(Executed, Option<Trace>) + Send + Sync + 'static,
) {
    let driver = Driver::new(Box::new(strategy));
    let (take, watched) = (Arc::new(take), Arc::new(SpinLock::new(None)));
    let ended = {
        let (taken, current, driver) =
            (Arc::clone(&take), Arc::clone(&watched), Arc::clone(&driver));
        let (run, task_stack) = (Arc::clone(run), run.spec.task_stack.unwrap_or(TASK_STACK));
        watch::run(run.spec.deadline, move || {
            let choices = Arc::clone(&driver);
            controlled::run(&driver, task_stack, move || {
                let hub = hub();
                *current.lock() = Some(hub.clone());
                let observer = Box::new(hub.clone());
                let sched = Sched::controlled(Arc::clone(&choices), run.spec.steps, observer);
                let executed = run.execute(&sched, &hub, Arc::new(InProcess));
                let trace = choices.lock().take_trace();
                taken(executed, Some(trace));
            });
        })
    };
    if let Err(stuck) = ended {
        let hub = watched.lock().take();
        let trace = driver.try_lock().map(|mut driver| driver.take_trace());
        take(stuck::execution(&run.spec, &stuck, hub.as_ref()), trace);
    }
}
