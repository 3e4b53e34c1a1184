//! The loop tier: real loop devices over our filesystem behind FUSE, in a supervised child.
//!
//! The parent starts this executable again so that it comes to the same run, waits with a deadline,
//! and reads the report that the child sends. In the child the run takes place: the stack is real,
//! and the deadlock is broken where its last wait is ours.
//!
//! | module | holds |
//! |---|---|
//! | [`run`] (here) | which side this process is on |
//! | `rerun` | how a process comes back to the same run of the same test |
//! | `backend` | [`backend::Real`]: mounts and devices |
//! | `rejoin` | the hop through the kernel, put back into the events |

mod backend;
mod rejoin;
mod rerun;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::builder::Builder;
use super::execution::Setup;
use crate::error::{Error, Result};
use crate::host::{Child, Job, SupervisedOutcome, ThreadStack, loop_tier, why_not};
use crate::report::Report;
use crate::sched::Sched;

/// What the child sends.
#[derive(Serialize, Deserialize)]
enum Sent {
    Report(Box<Report>),
    Trouble(String),
}

/// Runs what `builder` describes, in a child; in the child, runs it here.
pub(super) fn run(builder: &Builder, setup: &Setup) -> Result<Report> {
    loop_tier().map_err(|missing| Error::environment(why_not(&missing)))?;
    match rerun::role(builder)? {
        rerun::Role::Parent(job) => supervise(builder, &job),
        rerun::Role::Child(child) => serve(builder, setup, &Arc::new(child)),
        rerun::Role::OnTheWay => here(builder, setup, None),
    }
}

/// The child's side; does not return.
fn serve(builder: &Builder, setup: &Setup, child: &Arc<Child>) -> Result<Report> {
    let sent = match here(builder, setup, Some(Arc::clone(child))) {
        Ok(report) => Sent::Report(Box::new(report)),
        Err(error) => Sent::Trouble(error.to_string()),
    };
    let bytes = serde_json::to_vec(&sent)
        .map_err(|error| Error::os("the report cannot be sent").because(error))?;
    child.send(&bytes)?;
    std::process::exit(0)
}

/// The run itself, in this process.
fn here(builder: &Builder, setup: &Setup, child: Option<Arc<Child>>) -> Result<Report> {
    let hub = setup.hub();
    let sched = Sched::native(builder.seed, Box::new(hub.clone()));
    let backend = Arc::new(backend::Real::new(child));
    setup.execute(&sched, &hub, backend).into_report(builder, 1, None)
}

fn supervise(builder: &Builder, job: &Job) -> Result<Report> {
    let name = &builder.name;
    match job.run()? {
        SupervisedOutcome::Finished { bytes } => match serde_json::from_slice(&bytes) {
            Ok(Sent::Report(report)) => Ok(*report),
            Ok(Sent::Trouble(trouble)) => Err(Error::os(trouble)),
            Err(error) => {
                Err(Error::os(format!("`{name}`: the supervised process sent no report"))
                    .because(error))
            }
        },
        SupervisedOutcome::Died { how, stderr, .. } => {
            let last = stderr.trim_end();
            Err(Error::os(format!("`{name}`: the supervised process ended with {how}\n{last}")))
        }
        SupervisedOutcome::Stuck { stacks, gone, .. } => Err(stuck(name, &stacks, gone)),
    }
}

/// A run that the world did not end: the judges saw no cycle, or code blocked outside their sight.
fn stuck(name: &str, stacks: &[ThreadStack], gone: bool) -> Error {
    let mut text =
        format!("`{name}` made no progress before its deadline and was killed; its threads were");
    for ThreadStack { comm, state, wchan, stack } in stacks {
        text += &format!("\n  {comm} ({state}) in {wchan}");
        for frame in stack {
            text += &format!("\n      {frame}");
        }
    }
    let left = if gone {
        "nothing of it is left"
    } else {
        "it is still there: see `losetup -a` and /proc/self/mountinfo"
    };
    Error::os(text).advice(left)
}
