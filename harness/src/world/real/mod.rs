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

use serde::{Deserialize, Serialize};

use super::execution::Run;
use super::finish::finish;
use super::gather::Executions;
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::host::{Child, Job, SupervisedOutcome, ThreadStack, loop_tier, why_not};
use crate::report::{Details, Report};
use crate::sched::Sched;

/// The child's result, as it is sent to the parent.
#[derive(Serialize, Deserialize)]
enum ChildResult {
    Report {
        report: Box<Report>,
        /// What the JSON form of a report leaves out.
        details: Vec<Vec<Details>>,
    },
    Trouble(String),
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
        Err(error) => ChildResult::Trouble(error.to_string()),
    };
    let bytes = serde_json::to_vec(&sent)
        .map_err(|error| Error::os("the report cannot be sent").because(error))?;
    child.send(&bytes)?;
    std::process::exit(0)
}

/// The run itself, in this process.
fn here(run: &Arc<Run>, child: Option<Arc<Child>>) -> Result<Report> {
    let hub = run.hub(None);
    let sched = Sched::native_with(run.spec.seed, run.spec.task_stack, Box::new(hub.clone()));
    let backend = Arc::new(backend::Real::new(child));
    finish(&run.spec, Executions::one(run.execute(&sched, &hub, backend), None))
}

fn supervise(spec: &Spec, job: &Job) -> Result<Report> {
    let name = &spec.name;
    match job.run()? {
        SupervisedOutcome::Finished { bytes } => match serde_json::from_slice(&bytes) {
            Ok(ChildResult::Report { report, details }) => Ok(report.with_details(details)),
            Ok(ChildResult::Trouble(trouble)) => Err(Error::os(trouble)),
            Err(error) => {
                Err(Error::os(format!("`{name}`: the supervised process sent no report"))
                    .because(error))
            }
        },
        SupervisedOutcome::Died { how, stderr, .. } => {
            let what = format!("`{name}`: the supervised process ended with {how}");
            Err(stderr.trim_end().lines().fold(Error::os(what), Error::detail))
        }
        SupervisedOutcome::Stuck { stacks, gone, .. } => Err(stuck(name, &stacks, gone)),
    }
}

/// The error for a run that did not end by itself: the judges saw no cycle, or code blocked
/// without an event.
fn stuck(name: &str, stacks: &[ThreadStack], gone: bool) -> Error {
    let mut error = Error::os(format!(
        "`{name}` made no progress before its deadline and was killed; its threads are below"
    ));
    for ThreadStack { comm, state, wchan, stack } in stacks {
        error = error.detail(format!("{comm} ({state}) in {wchan}"));
        for frame in stack {
            error = error.detail(format!("    {frame}"));
        }
    }
    let left = if gone {
        "nothing of it is left"
    } else {
        "it is still there: see `losetup -a` and /proc/self/mountinfo"
    };
    error.advice(left)
}
