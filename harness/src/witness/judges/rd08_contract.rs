//! RD08: the contract between allocator and reclaimer is broken.
//!
//! A reclaimer never reclaims below itself, a NOFAIL request does not fail, and no request takes
//! pages below the watermark that it may go down to. Invariants 5, 17 and 18 of
//! docs/kernel/rules.md, "Invariants"; the watermarks are those of docs/kernel/allocation.md,
//! "Watermarks", "The slow path" and "The OOM step" say what a NOFAIL request may take besides. The
//! judge computes the watermarks itself, because it must not trust the allocator that it judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{AllocOutcome, EventKind, Gfp, ReclaimKind, Site, TaskFlags, TaskId};
use crate::units::Pages;
use crate::witness::{
    Breach, Finding, Frame, FrameKind, Judge, Moment, Reads, View, broken_rule, is_reclaimer,
};

/// The judge of RD08.
#[derive(Debug, Default)]
pub(super) struct Contract {
    found: BTreeSet<(TaskId, Breach, Option<Site>)>,
    min: Option<Pages>,
    victims: BTreeSet<TaskId>,
    /// The allocation of each task, by its event, that has just called the OOM killer.
    desperate: BTreeMap<TaskId, u64>,
}

impl Judge for Contract {
    fn reads(&self) -> Reads {
        Reads::MEMORY.and(Reads::ALLOCATIONS).and(Reads::RECLAIM)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let task = event.task;
        let (breach, site) = match event.kind {
            EventKind::Watermarks { min, .. } => {
                self.min = Some(min);
                return;
            }
            EventKind::OomKill { victim } => {
                self.victims.extend(victim);
                return;
            }
            EventKind::OutOfMemory => {
                self.desperate.extend(allocating(view, task).map(|alloc| (task, alloc.seq)));
                return;
            }
            EventKind::ReclaimEnter { kind, .. } => {
                // It retries: after the OOM killer it may ignore the watermarks for one attempt
                // only.
                let alloc = allocating(view, task).map(|alloc| alloc.seq);
                if alloc.is_some() && self.desperate.get(&task).copied() == alloc {
                    self.desperate.remove(&task);
                }
                (nested(view, task, kind), None)
            }
            EventKind::AllocEnd { outcome, left } => {
                let Some(frame) = view.closed() else {
                    return;
                };
                (self.outcome(task, frame, outcome, left), frame.site)
            }
            _ => return,
        };
        let Some(breach) = breach else {
            return;
        };
        if self.found.insert((task, breach, site)) {
            out.push(broken_rule(moment, task, breach, None, site));
        }
    }
}

/// A reclaim that begins while the task is the reclaimer already.
fn nested(view: &View, task: TaskId, kind: ReclaimKind) -> Option<Breach> {
    if !matches!(kind, ReclaimKind::Direct | ReclaimKind::Memcg) {
        return None;
    }
    let frames = view.frames(task);
    // The last frame is the reclaim that begins.
    let outer = frames.split_last().map_or(&[][..], |(_, outer)| outer);
    outer.iter().any(|frame| is_reclaimer(frame.kind)).then_some(Breach::NestedReclaim)
}

/// The innermost open allocation of the task.
fn allocating(view: &View, task: TaskId) -> Option<&Frame> {
    view.frames(task).iter().rev().find(|frame| matches!(frame.kind, FrameKind::Alloc { .. }))
}

impl Contract {
    fn outcome(
        &mut self,
        task: TaskId,
        frame: &Frame,
        outcome: AllocOutcome,
        left: Pages,
    ) -> Option<Breach> {
        let FrameKind::Alloc { effective, flags, .. } = frame.kind else {
            return None;
        };
        let desperate = self.desperate.get(&task) == Some(&frame.seq);
        if desperate {
            self.desperate.remove(&task);
        }
        match outcome {
            AllocOutcome::Failed => {
                let must = effective.contains(Gfp::NOFAIL) && effective.allow_blocking();
                must.then_some(Breach::NofailFailed)
            }
            AllocOutcome::Elsewhere => None,
            AllocOutcome::Ok => {
                let min = self.min?;
                let mut floor = floor(min, effective, flags, self.victims.contains(&task));
                if effective.contains(Gfp::NOFAIL) && effective.allow_blocking() {
                    // After the OOM killer every page; before it, as many as HIGH may take.
                    floor = floor.min(if desperate { Pages(0) } else { Pages(min.0 - min.0 / 2) });
                }
                (left < floor).then_some(Breach::ReservesTaken)
            }
        }
    }
}

/// The number of free pages that a request may go down to.
fn floor(min: Pages, mask: Gfp, flags: TaskFlags, victim: bool) -> Pages {
    let reclaimer = flags.contains(TaskFlags::MEMALLOC) || mask.contains(Gfp::MEMALLOC);
    let reserves = !mask.contains(Gfp::NOMEMALLOC);
    if reclaimer && reserves {
        return Pages(0);
    }
    let mut floor = min.0;
    if mask.contains(Gfp::HIGH) {
        floor -= floor / 2;
        if !mask.allow_blocking() && reserves {
            floor -= floor / 4;
        }
    }
    if victim && reserves {
        floor -= floor / 2;
    }
    Pages(floor)
}

#[cfg(test)]
mod tests;
