//! Trace events of work queues: who queued what, who executes it.

use super::history::History;
use super::symbols::{Means, means};
use super::trace::{Trace, Working, field, need};
use super::trace_line::TraceLine;
use crate::event::{EventKind, TaskId};

/// Reads an event of a work queue; whether it is one.
pub(super) fn read(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    to: &mut History,
) -> Result<bool, String> {
    let (event, fields) = (line.event, line.fields);
    match event {
        "workqueue_queue_work" => {
            let key = need(event, "work struct", field(fields, "struct"))?;
            let function = need(event, "function", field(fields, "function"))?;
            let queue = to.queue(field(fields, "workqueue").unwrap_or("a work queue"));
            let work = to.work(key, function);
            to.on(task, EventKind::WorkQueued { work, queue });
        }
        "workqueue_execute_start" => {
            let key = need(event, "work struct", item(fields))?;
            let function =
                need(event, "function", fields.split_once("function ").map(|(_, name)| name))?;
            begin(trace, (task, line.pid), key, function, to);
        }
        "workqueue_execute_end" => {
            need(event, "work struct", item(fields))?;
            match trace.doing(line.pid).work.take() {
                Some(working) => end(task, working, to),
                None => trace.unpaired += 1,
            }
        }
        "workqueue_activate_work" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// `work struct 00000000f1: function f` without a function, which some kernels leave out.
fn item(fields: &str) -> Option<&str> {
    let key = fields.strip_prefix("work struct ")?.split([':', ' ']).next()?;
    (!key.is_empty()).then_some(key)
}

/// The task executes an item; where it was in one whose end is missing, that one is over.
pub(super) fn begin(
    trace: &mut Trace<'_>,
    (task, pid): (TaskId, u32),
    key: &str,
    function: &str,
    to: &mut History,
) {
    let endless = !trace.ends.contains("workqueue_execute_end");
    if let Some(before) = trace.doing(pid).work.take() {
        trace.unpaired += 1;
        end(task, before, to);
    }
    let (work, site) = (to.work(key, function), to.site());
    to.on(task, EventKind::WorkBegin { work });
    let layer = match means(function, None) {
        Some(Means::Layer(layer, sort)) => Some(to.layer(layer, sort)),
        _ => None,
    };
    if let Some(layer) = layer {
        to.on(task, EventKind::LayerEnter { layer, site });
    }
    trace.doing(pid).work = Some(Working { work, layer, endless });
}

/// The item ends.
pub(super) fn end(task: TaskId, Working { work, layer, .. }: Working, to: &mut History) {
    if let Some(layer) = layer {
        to.on(task, EventKind::LayerExit { layer });
    }
    to.on(task, EventKind::WorkEnd { work });
}
