//! Trace events of memory management: reclaim, shrinkers, pages.
//!
//! `mm_shrink_slab_start` comes after count, and does not say that scan ran: only `total_scan`
//! above 0 does. What count answered is not made an event: nodes and cgroups have counts of their
//! own, which one number for each shrinker would not tell apart. `mm_page_alloc` has the mask after
//! the task's scopes.

use super::history::History;
use super::masks::mask;
use super::trace::{Doing, Reclaiming, Trace, field, need};
use super::trace_line::TraceLine;
use crate::event::{AllocOutcome, EventKind, Gfp, ReclaimKind, ShrinkerId, TaskFlags, TaskId};
use crate::units::Pages;

/// A recording does not say how far reclaim came down: no further than this.
pub(super) const PRIORITY: u32 = 12;

/// Begin event, end event, and the kind of reclaim.
const RECLAIMS: &[(&str, &str, ReclaimKind)] = &[
    ("mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end", ReclaimKind::Direct),
    ("mm_vmscan_memcg_reclaim_begin", "mm_vmscan_memcg_reclaim_end", ReclaimKind::Memcg),
    (
        "mm_vmscan_memcg_softlimit_reclaim_begin",
        "mm_vmscan_memcg_softlimit_reclaim_end",
        ReclaimKind::Memcg,
    ),
    ("mm_vmscan_kswapd_wake", "mm_vmscan_kswapd_sleep", ReclaimKind::Kswapd),
];

/// Whether an event belongs to the reclaim that the task is in.
pub(super) fn is_part(event: &str) -> bool {
    event.starts_with("mm_shrink_slab_")
}

/// Reads an event of memory management; whether it is one.
pub(super) fn read(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    to: &mut History,
) -> Result<bool, String> {
    let (event, fields) = (line.event, line.fields);
    if let Some((_, end, kind)) = RECLAIMS.iter().find(|(begin, ..)| *begin == event) {
        let mask = match kind {
            ReclaimKind::Kswapd => Gfp::KERNEL,
            _ => need(event, "gfp_flags", field(fields, "gfp_flags").and_then(mask))?,
        };
        begin(trace, task, line.pid, *kind, mask, end, to);
    } else if let Some((_, _, kind)) = RECLAIMS.iter().find(|(_, end, _)| *end == event) {
        let freed = match kind {
            ReclaimKind::Kswapd => 0,
            _ => need(
                event,
                "nr_reclaimed",
                field(fields, "nr_reclaimed").and_then(|n| n.parse().ok()),
            )?,
        };
        let doing = trace.doing(line.pid);
        let (reclaim, lost) = (doing.reclaim.take(), abandon(doing, task, None, to));
        trace.unpaired += lost;
        match reclaim {
            Some(_) => to.on(task, EventKind::ReclaimExit { freed, priority: PRIORITY }),
            None => trace.unpaired += 1,
        }
    } else {
        match event {
            "mm_shrink_slab_start" => slab_start(trace, task, line, to)?,
            "mm_shrink_slab_end" => slab_end(trace, task, line, to)?,
            "mm_page_alloc" => page(task, line, to)?,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn begin(
    trace: &mut Trace<'_>,
    task: TaskId,
    pid: u32,
    kind: ReclaimKind,
    mask: Gfp,
    end: &str,
    to: &mut History,
) {
    let how = if trace.ends.contains(end) { Reclaiming::Recorded } else { Reclaiming::Endless };
    // No task reclaims inside reclaim: its end was lost, or is not recorded at all.
    let doing = trace.doing(pid);
    if let Some(before) = doing.reclaim.replace(how) {
        let lost = abandon(doing, task, None, to) + u64::from(before == Reclaiming::Recorded);
        trace.unpaired += lost;
        to.on(task, EventKind::ReclaimExit { freed: 0, priority: PRIORITY });
    }
    to.on(task, EventKind::ReclaimEnter { kind, mask });
}

/// A shrinker's scan begins; `ended_by` is what its end will be called.
pub(super) fn scan(
    trace: &mut Trace<'_>,
    (task, line): (TaskId, &TraceLine<'_>),
    (shrinker, ended_by): (ShrinkerId, &str),
    (mask, nr_to_scan): (Gfp, u64),
    to: &mut History,
) {
    let doing = trace.doing(line.pid);
    let lost = abandon(doing, task, Some(shrinker), to);
    if doing.reclaim.is_none() {
        doing.reclaim = Some(Reclaiming::Implied);
        let kind =
            if line.comm.starts_with("kswapd") { ReclaimKind::Kswapd } else { ReclaimKind::Direct };
        to.on(task, EventKind::ReclaimEnter { kind, mask });
    }
    doing.scans.push((ended_by.to_owned(), shrinker));
    to.on(task, EventKind::ShrinkScanBegin { shrinker, mask, nr_to_scan });
    trace.unpaired += lost;
}

/// Ends scans whose end was lost: no scan outlives its reclaim, and none is entered inside itself.
/// Otherwise a lost line would read as a scan that never returned. Says how many.
fn abandon(doing: &mut Doing, task: TaskId, of: Option<ShrinkerId>, to: &mut History) -> u64 {
    let before = doing.scans.len();
    doing.scans.retain(|(_, shrinker)| {
        let lost = of.is_none_or(|of| of == *shrinker);
        if lost {
            let (shrinker, freed) = (*shrinker, None);
            to.on(task, EventKind::ShrinkScanEnd { shrinker, freed, scanned: 0, deferred: true });
        }
        !lost
    });
    (before - doing.scans.len()) as u64
}

/// The scan that `by` ends, ends. What really left the cache cannot be seen from outside, so
/// nothing is claimed: the scan counts as one that leaves the freeing to somebody else.
pub(super) fn scanned(
    trace: &mut Trace<'_>,
    (task, pid): (TaskId, u32),
    by: &str,
    freed: Option<u64>,
    to: &mut History,
) -> bool {
    let doing = trace.doing(pid);
    let Some(place) = doing.scans.iter().rposition(|(ended_by, _)| ended_by == by) else {
        return false;
    };
    let (_, shrinker) = doing.scans.remove(place);
    let scanned = freed.unwrap_or(0);
    to.on(task, EventKind::ShrinkScanEnd { shrinker, freed, scanned, deferred: true });
    if doing.scans.is_empty() && doing.reclaim == Some(Reclaiming::Implied) {
        doing.reclaim = None;
        to.on(task, EventKind::ReclaimExit { freed: scanned, priority: PRIORITY });
    }
    true
}

/// `super_cache_scan+0x0/0x210 000000001bb07c86`: what tells shrinkers apart, and the function.
fn identity(fields: &str) -> Option<(&str, &str)> {
    let (key, _) = fields.split_once(':')?;
    let (symbol, _) = key.split_once('+')?;
    Some((key, symbol))
}

/// The word after `key ` in a text that has no `=`.
fn after<'l>(fields: &'l str, key: &str) -> Option<&'l str> {
    fields.split_once(key)?.1.trim_start().split(' ').next()
}

fn slab_start(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    to: &mut History,
) -> Result<(), String> {
    let (event, fields) = (line.event, line.fields);
    let (key, symbol) = need(event, "shrinker", identity(fields))?;
    let mask = need(event, "gfp_flags", after(fields, "gfp_flags ").and_then(mask))?;
    let total: i64 =
        need(event, "total_scan", after(fields, "total_scan ").and_then(|n| n.parse().ok()))?;
    if let Ok(total) = u64::try_from(total)
        && total > 0
    {
        let shrinker = to.shrinker(key, symbol);
        scan(trace, (task, line), (shrinker, key), (mask, total), to);
    }
    Ok(())
}

fn slab_end(
    trace: &mut Trace<'_>,
    task: TaskId,
    line: &TraceLine<'_>,
    to: &mut History,
) -> Result<(), String> {
    let (event, fields) = (line.event, line.fields);
    let (key, _) = need(event, "shrinker", identity(fields))?;
    let freed: i64 =
        need(event, "return val", after(fields, "return val ").and_then(|n| n.parse().ok()))?;
    // One of a pass that scanned nothing has no counterpart, and needs none.
    scanned(trace, (task, line.pid), key, u64::try_from(freed).ok(), to);
    Ok(())
}

fn page(task: TaskId, line: &TraceLine<'_>, to: &mut History) -> Result<(), String> {
    let (event, fields) = (line.event, line.fields);
    let effective = need(event, "gfp_flags", field(fields, "gfp_flags").and_then(mask))?;
    let order = need(event, "order", field(fields, "order").and_then(|n| n.parse().ok()))?;
    let failed = field(fields, "page").is_some_and(|page| page.contains("null"));
    let site = to.site();
    let flags = TaskFlags::EMPTY;
    to.on(task, EventKind::AllocBegin { order, requested: effective, effective, flags, site });
    let outcome = if failed { AllocOutcome::Failed } else { AllocOutcome::Ok };
    to.on(task, EventKind::AllocEnd { outcome, left: Pages(0) });
    Ok(())
}
