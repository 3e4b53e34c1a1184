//! Lines of kprobes: `name: (function+0x0/0x50 [module]) gfp=0xcc0 nr=128`, and of their returns:
//! `name: (caller+0x141/0x2e0 <- function) ret=0x80`.
//!
//! The person who set the probe chose its name; what counts is the function, and it is looked up in
//! the tables. Arguments are known by the names that people give them.

use super::history::History;
use super::masks::{mask, number};
use super::symbols::{Means, layer_of, means};
use super::trace::{Trace, field, need};
use super::trace_line::TraceLine;
use super::{reclaim, work};
use crate::event::{EventKind, Layer, Op, TaskId};
use crate::units::Sectors;

/// Functions of dm-bufio's that submit a buffer.
const SUBMITS: &[&str] = &["submit_io", "use_bio", "use_dmio", "use_inline_bio"];
/// Functions that are work items.
const WORKS: &[&str] = &["shrink_work", "work_fn", "do_global_cleanup"];
/// `SHRINK_STOP`.
const STOP: u64 = u64::MAX;

/// The function that a line says was left.
pub(super) fn returned(fields: &str) -> Option<&str> {
    let (place, _) = fields.strip_prefix('(')?.split_once(')')?;
    let (_, function) = place.split_once(" <- ")?;
    function.split(['+', ' ']).next()
}

/// The function that a line says was entered, and its module.
fn entered(fields: &str) -> Option<(&str, Option<&str>)> {
    let (place, _) = fields.strip_prefix('(')?.split_once(')')?;
    let (symbol, rest) = place.split_once('+')?;
    let module = rest.split_once('[').and_then(|(_, module)| module.split([']', ' ']).next());
    Some((symbol, module))
}

fn argument<T>(fields: &str, names: &[&str], read: impl Fn(&str) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| field(fields, name)).and_then(read)
}

/// Reads a line of a probe; whether the function is one of those that mean something.
pub(super) fn read(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    to: &mut History,
) -> Result<bool, String> {
    let fields = line.fields;
    if !fields.contains(')') {
        return Err("a line of a probe is cut off".to_owned());
    }
    if let Some(function) = returned(fields) {
        if means(function, None) != Some(Means::Scan) {
            return Ok(false);
        }
        let freed =
            need(line.event, "returned value", argument(fields, &["ret", "retval"], number))?;
        if !reclaim::scanned(
            trace,
            (task, line.pid),
            function,
            Some(freed).filter(|n| *n != STOP),
            to,
        ) {
            trace.unpaired += 1;
        }
        return Ok(true);
    }
    let Some((function, module)) = entered(fields) else {
        return Ok(false);
    };
    let bufio = matches!(layer_of(module), Some((Layer::BUFIO, _)));
    match means(function, module) {
        Some(Means::Scan) => scan(trace, task, line, function, to)?,
        _ if bufio && SUBMITS.contains(&function) => submit(task, line, to)?,
        _ if bufio && WORKS.contains(&function) => {
            work::begin(trace, (task, line.pid), function, function, to);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn scan(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    function: &str,
    to: &mut History,
) -> Result<(), String> {
    let mask =
        need(line.event, "mask", argument(line.fields, &["gfp", "gfp_flags", "gfp_mask"], mask))?;
    let nr =
        need(line.event, "number to scan", argument(line.fields, &["nr", "nr_to_scan"], number))?;
    let shrinker = to.shrinker(function, function);
    reclaim::scan(trace, (task, line), (shrinker, function), (mask, nr), to);
    Ok(())
}

/// Which device is below is not in the line.
fn submit(task: TaskId, line: &TraceLine<'_>, to: &mut History) -> Result<(), String> {
    let op =
        match need(line.event, "operation", argument(line.fields, &["op", "rw"], number))? & 0xff {
            0 => Op::Read,
            1 => Op::Write,
            2 => Op::Flush,
            3 => Op::Discard,
            _ => return Ok(()),
        };
    let (request, queue, site) = (to.request(), to.queue("below dm-bufio"), to.site());
    let (sector, sectors) = (Sectors(0), Sectors(0));
    to.on(
        task,
        EventKind::RequestSubmit { request, queue, op, sector, sectors, origin: None, site },
    );
    Ok(())
}
