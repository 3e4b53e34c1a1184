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
    let hub = setup.hub();
    let sched = Sched::native(builder.seed, Box::new(hub.clone()));
    setup.execute(&sched, &hub, Arc::new(InProcess)).into_report(builder, 1, None)
}
