//! The native tier: one execution on OS threads, in this process.

use std::sync::Arc;

use super::execution::Run;
use super::finish::finish;
use super::gather::Executions;
use crate::error::Result;
use crate::report::Report;
use crate::sched::Sched;
use crate::stack::InProcess;

/// Runs `run` once.
pub(super) fn run(run: &Arc<Run>) -> Result<Report> {
    let spec = &run.spec;
    let hub = run.hub(spec.recorder()?);
    let sched = Sched::native_with(spec.seed, spec.task_stack, Box::new(hub.clone()));
    finish(spec, Executions::one(run.execute(&sched, &hub, Arc::new(InProcess)), None))
}
