//! The native tier: one execution on OS threads, in this process.

use std::sync::Arc;

use super::execution::Run;
use super::finish::finish;
use super::gather::Executions;
use super::hub::Hub;
use super::spec::Spec;
use super::stuck;
use crate::error::Result;
use crate::report::Report;
use crate::sched::{Sched, watch};
use crate::stack::{InProcess, LoopBackend};

/// Runs `run` once.
pub(super) fn run(run: &Arc<Run>) -> Result<Report> {
    execute(run, run.hub(run.spec.recorder()?), Arc::new(InProcess))
}

/// Executes `run` once, under its deadline.
pub(super) fn execute(run: &Arc<Run>, hub: Hub, backend: Arc<dyn LoopBackend>) -> Result<Report> {
    let (inside, observer) = (Arc::clone(run), hub.clone());
    let ended = watch::run(run.spec.deadline, move || {
        let Spec { seed, task_stack, .. } = inside.spec;
        let sched = Sched::native_with(seed, task_stack, Box::new(observer.clone()));
        inside.execute(&sched, &observer, backend)
    });
    let executed = ended.unwrap_or_else(|stuck| stuck::execution(&run.spec, &stuck, Some(&hub)));
    finish(&run.spec, Executions::one(executed, None))
}
