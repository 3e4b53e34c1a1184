//! Trace events of the block layer: who submitted what to which device, and when it was done.
//!
//! `8,0 WS 4096 () 1234 + 8 [comm]`, with more or less between the operation and the sector. A bio
//! counts when it is queued; a request only where bios are not recorded. A completion ends
//! everything that was submitted within its sectors, whatever was merged on the way.

use std::collections::BTreeMap;

use super::history::History;
use super::trace::{Trace, need};
use super::trace_line::TraceLine;
use crate::error::Errno;
use crate::event::{EventKind, Op, RequestId, TaskId};
use crate::units::Sectors;

/// Requests in flight beyond these push out the lowest.
const MAX_IN_FLIGHT: usize = 1 << 16;

/// What was submitted and is not done, by device and first sector.
#[derive(Debug, Default)]
pub(super) struct InFlight(BTreeMap<(String, u64), RequestId>);

/// A line's request.
struct Request<'l> {
    device: &'l str,
    op: Option<Op>,
    sector: u64,
    sectors: u64,
    failed: bool,
}

/// Reads an event of the block layer; whether it is one.
pub(super) fn read(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    to: &mut History,
) -> Result<bool, String> {
    let submits = match line.event {
        "block_bio_queue" => true,
        "block_rq_insert" => !trace.ends.contains("block_bio_queue"),
        "block_rq_issue" => {
            !trace.ends.contains("block_bio_queue") && !trace.ends.contains("block_rq_insert")
        }
        "block_bio_complete" => false,
        "block_rq_complete" => false,
        _ => return Ok(false),
    };
    let request = need(line.event, "device, operation and sectors", parse(line.fields))?;
    if submits {
        submit(trace, task, &request, to);
    } else if line.event.ends_with("_complete") {
        complete(trace, task, &request, to);
    }
    Ok(true)
}

fn parse(fields: &str) -> Option<Request<'_>> {
    let words: Vec<&str> = fields.split(' ').filter(|word| !word.is_empty()).collect();
    let plus = words.iter().position(|word| *word == "+")?;
    let sector = words.get(plus.checked_sub(1)?)?.parse().ok()?;
    let sectors = words.get(plus + 1)?.parse().ok()?;
    let (device, kind) = (words.first()?, words.get(1)?);
    let numbered = device
        .split_once(',')
        .is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok());
    let op = match kind {
        kind if kind.contains('W') => Some(Op::Write),
        kind if kind.contains('R') => Some(Op::Read),
        kind if kind.contains('F') => Some(Op::Flush),
        kind if kind.contains('D') => Some(Op::Discard),
        _ => None,
    };
    let failed = words.last().is_some_and(|word| word.starts_with("[-"));
    numbered.then_some(Request { device, op, sector, sectors, failed })
}

fn submit(trace: &mut Trace<'_>, task: TaskId, request: &Request<'_>, to: &mut History) {
    let Some(op) = request.op else {
        return;
    };
    let in_flight = &mut trace.in_flight.0;
    let (id, queue, site) =
        (to.request(), to.queue(&format!("device {}", request.device)), to.site());
    in_flight.insert((request.device.to_owned(), request.sector), id);
    if in_flight.len() > MAX_IN_FLIGHT {
        in_flight.pop_first();
    }
    let (sector, sectors) = (Sectors(request.sector), Sectors(request.sectors));
    to.on(
        task,
        EventKind::RequestSubmit { request: id, queue, op, sector, sectors, origin: None, site },
    );
}

fn complete(trace: &mut Trace<'_>, task: TaskId, request: &Request<'_>, to: &mut History) {
    let end = request.sector.saturating_add(request.sectors.max(1));
    let within = (request.device.to_owned(), request.sector)..(request.device.to_owned(), end);
    let done: Vec<_> =
        trace.in_flight.0.range(within).map(|(key, id)| (key.clone(), *id)).collect();
    for (key, id) in done {
        trace.in_flight.0.remove(&key);
        let error = request.failed.then_some(Errno::EIO);
        to.on(task, EventKind::RequestComplete { request: id, error });
    }
}
