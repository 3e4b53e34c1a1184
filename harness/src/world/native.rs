//! The native tier: one execution on OS threads, in this process.

use std::sync::Arc;

use super::builder::Builder;
use super::execution::Setup;
use crate::error::Result;
use crate::report::Report;
use crate::sched::Sched;
use crate::stack::InProcess;

/// Runs what `builder` describes, once.
pub(super) fn run(builder: &Builder, setup: &Setup) -> Result<Report> {
    let hub = setup.hub().recording(builder.recorder()?);
    let sched = Sched::native(builder.seed, Box::new(hub.clone()));
    let mut execution = setup.execute(&sched, &hub, Arc::new(InProcess));
    hub.end_recording(&execution.names)?;
    let idle = std::mem::take(&mut execution.idle);
    let mut report = execution.into_report(builder, 1, None)?;
    if report.is_quiet() {
        report.notes.extend(idle);
    }
    Ok(report)
}
