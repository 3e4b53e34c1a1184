//! RD08: the contract between allocator and reclaimer is broken.
//!
//! A reclaimer never reclaims below itself; what must not fail does not; and nobody goes deeper
//! into the reserves than the request's mark allows. Invariants 5, 17 and 18 of the project's
//! description of reclaim, section 9; the marks are those of 3.2, and what a request that must not
//! fail may take besides is said in 3.3 and 3.5. The judge keeps its own arithmetic of marks: it
//! must not trust the allocator that it judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{AllocOutcome, EventKind, Gfp, ReclaimKind, Site, TaskFlags, TaskId};
use crate::units::Pages;
use crate::witness::{
    Breach, Chain, Finding, Frame, FrameKind, Judge, Moment, Reads, StepKind, View, is_reclaimer,
};

/// The judge of RD08.
#[derive(Debug, Default)]
pub(super) struct Contract {
    found: BTreeSet<(TaskId, Breach, Option<Site>)>,
    min: Option<Pages>,
    victims: BTreeSet<TaskId>,
    /// The allocation of a task, by its event, that has just come to the OOM killer.
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
                // It goes round again: what it may take without marks, it may take once.
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
            let mut chain = Chain::new(view);
            chain.task(task, None);
            chain.ends_with(StepKind::Broke { breach, subject: None }, site, event);
            out.push(chain.finish(breach.code(), event));
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

/// The innermost allocation of the task that is under way.
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
                    // Every page once the killer was come to; before, what HIGH may take.
                    floor = floor.min(if desperate { Pages(0) } else { Pages(min.0 - min.0 / 2) });
                }
                (left < floor).then_some(Breach::ReservesTaken)
            }
        }
    }
}

/// The mark that a request goes down to.
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
