//! The loop tier: real loop devices over our filesystem behind FUSE, in a supervised child.
//!
//! The parent starts this executable again with arguments that select the same run, waits with a
//! deadline, and reads the report that the child sends. The run takes place in the child: the stack
//! is real, and a deadlock is broken where its last wait is ours.
//!
//! | module | holds |
//! |---|---|
//! | [`run`] (here) | which side this process is on |
//! | `rerun` | how a process comes back to the same run of the same test |
//! | `backend` | [`backend::Real`]: mounts and devices |
//! | `rejoin` | the hop through the kernel, which the events would otherwise lack |

mod backend;
mod rejoin;
mod rerun;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::execution::Run;
use super::native;
use super::spec::Spec;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Child, Job, SupervisedOutcome, ThreadStack, loop_tier, why_not};
use crate::report::{Details, Finding, Outcome, Report, Step, StepKind};
use crate::units::Nanos;
use crate::witness::Code;

/// The child's result, as it is sent to the parent.
#[derive(Serialize, Deserialize)]
enum ChildResult {
    Report {
        report: Box<Report>,
        /// What the JSON form of a report leaves out.
        details: Vec<Vec<Details>>,
    },
    Trouble {
        kind: ErrorKind,
        what: String,
        advice: Option<String>,
    },
}

/// Runs `run` in a child process. If this is that child, runs it here.
pub(super) fn run(run: &Arc<Run>) -> Result<Report> {
    loop_tier().map_err(|missing| Error::environment(why_not(&missing)))?;
    match rerun::role(&run.spec)? {
        rerun::Role::Parent(job) => supervise(&run.spec, &job),
        rerun::Role::Child(child) => serve(run, &Arc::new(child)),
        rerun::Role::Earlier => here(run, None),
    }
}

/// The child's side; does not return.
fn serve(run: &Arc<Run>, child: &Arc<Child>) -> Result<Report> {
    let sent = match here(run, Some(Arc::clone(child))) {
        Ok(report) => ChildResult::Report { details: report.details(), report: Box::new(report) },
        Err(error) => {
            let (kind, what, advice) = error.into_parts();
            ChildResult::Trouble { kind, what, advice }
        }
    };
    let bytes = serde_json::to_vec(&sent)
        .map_err(|error| Error::os("the report cannot be sent").because(error))?;
    child.send(&bytes)?;
    std::process::exit(0)
}

/// The run itself, in this process.
fn here(run: &Arc<Run>, child: Option<Arc<Child>>) -> Result<Report> {
    native::execute(run, run.hub(None), Arc::new(backend::Real::new(child)))
}

fn supervise(spec: &Spec, job: &Job) -> Result<Report> {
    let name = &spec.name;
    let killed_before = oom_kills();
    match job.run()? {
        SupervisedOutcome::Finished { bytes } => sent(name, &bytes),
        SupervisedOutcome::Died { bytes: Some(bytes), how, .. } => {
            let mut report = sent(name, &bytes)?;
            report.notes.push(format!("after its report the supervised process ended with {how}"));
            Ok(report)
        }
        SupervisedOutcome::Died { how, stderr, .. } => {
            let what = format!("`{name}`: the supervised process ended with {how}");
            let by_oom = how.contains("SIGKILL") && oom_kills() > killed_before;
            let error = Error::os(what).advice(match by_oom {
                true => "the OOM killer ended a process meanwhile: give the machine more memory",
                false => "run it again with a debugger or under `dmesg --follow`",
            });
            Err(stderr.trim_end().lines().fold(error, Error::detail))
        }
        SupervisedOutcome::Stuck { stacks, gone, bytes } => {
            let kept = bytes.and_then(|bytes| sent(name, &bytes).ok());
            Ok(stuck(spec, kept, job.deadline, &stacks, gone))
        }
    }
}

/// What the child sent.
fn sent(name: &str, bytes: &[u8]) -> Result<Report> {
    match serde_json::from_slice(bytes) {
        Ok(ChildResult::Report { report, details }) => Ok(report.with_details(details)),
        Ok(ChildResult::Trouble { kind, what, advice }) => {
            Err(Error::from_parts(kind, what, advice))
        }
        Err(error) => {
            Err(Error::os(format!("`{name}`: the supervised process sent no report"))
                .because(error))
        }
    }
}

/// How many processes the OOM killer has ended on this machine.
fn oom_kills() -> u64 {
    let counts = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = counts.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The report of a run whose process had to be killed: not even its own deadline could end it.
fn stuck(
    spec: &Spec,
    kept: Option<Report>,
    limit: Duration,
    stacks: &[ThreadStack],
    gone: bool,
) -> Report {
    let new = || Report::new(&spec.name, spec.tier.name(), spec.era.name(), Vec::new());
    let mut report = kept.unwrap_or_else(new);
    let mut chain = Vec::new();
    let step = |task: &str, text: String, short: &str| {
        Step::new(task, StepKind::Running, text, short, None, (0, Nanos(0)))
    };
    for ThreadStack { comm, state, wchan, stack } in stacks {
        let frames = stack.iter().rev();
        chain.extend(frames.map(|frame| step(comm, format!("is in {frame}"), "is in")));
        chain.push(step(comm, format!("does not go on: state {state}, {wchan}"), "is stuck"));
    }
    let tasks: Vec<String> = stacks.iter().map(|stack| stack.comm.clone()).collect();
    let headline = format!(
        "the supervised process did not end within {} s of real time and was killed",
        limit.as_secs()
    );
    let summary = "the whole process".to_owned();
    let found = Finding::of_tasks(Code::RD05, headline, summary, tasks, chain, (0, Nanos(0)));
    report.findings.push(found);
    report.outcome = Outcome::Found;
    report.notes.push(match gone {
        true => "nothing of the supervised process is left".to_owned(),
        false => "the supervised process is still there: see `losetup -a` and \
             /proc/self/mountinfo"
            .to_owned(),
    });
    report
}
