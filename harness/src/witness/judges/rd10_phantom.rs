//! RD10: reclaim claimed progress, and the allocation that it was for failed.
//!
//! A shrinker that hands its work to a queue claims objects that are still there; the allocator
//! believes in progress and gives up. It is a finding only where what was claimed would have been
//! enough, and nobody else got memory meanwhile, for then it went to them. Written from the
//! project's description of reclaim, 4.5 and 7.5 (H4).

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{AllocOutcome, Event, EventKind, Site, TaskId};
use crate::units::Pages;
use crate::witness::{Breach, Chain, Finding, FrameKind, Judge, Moment, Reads, StepKind, View};

/// The judge of RD10.
#[derive(Debug, Default)]
pub(super) struct Phantom {
    /// What reclaim claimed for the allocations that each task is in, outermost first.
    claims: BTreeMap<TaskId, Vec<u64>>,
    min: Pages,
    found: BTreeSet<(TaskId, Option<Site>)>,
}

impl Judge for Phantom {
    fn reads(&self) -> Reads {
        Reads::MEMORY.and(Reads::ALLOCATIONS).and(Reads::SHRINKERS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        match event.kind {
            EventKind::Watermarks { min, .. } => self.min = min,
            EventKind::AllocBegin { .. } => self.claims.entry(event.task).or_default().push(0),
            // What is owed is claimed before it leaves. A cache that frees at once may free what no
            // budget knows.
            EventKind::ShrinkScanEnd { freed: Some(freed), deferred: true, .. } => {
                if let Some(claim) =
                    self.claims.get_mut(&event.task).and_then(|claims| claims.last_mut())
                {
                    *claim = claim.saturating_add(freed);
                }
            }
            EventKind::AllocEnd { outcome, .. } => {
                let claimed = self.claims.get_mut(&event.task).and_then(Vec::pop).unwrap_or(0);
                match outcome {
                    AllocOutcome::Ok => self.went_elsewhere(event.task),
                    AllocOutcome::Failed => self.failed(claimed, event, view, out),
                    AllocOutcome::Elsewhere => {}
                }
            }
            _ => {}
        }
    }
}

impl Phantom {
    /// A task got memory: what others claimed may have gone there.
    fn went_elsewhere(&mut self, task: TaskId) {
        let others = self.claims.iter_mut().filter(|(other, _)| **other != task);
        others.for_each(|(_, claims)| claims.fill(0));
    }

    /// What was claimed would have been enough though nothing at all had been free.
    fn failed(&mut self, claimed: u64, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let Some(frame) = view.closed() else {
            return;
        };
        let FrameKind::Alloc { order, .. } = frame.kind else {
            return;
        };
        let needed = 1_u64.checked_shl(order).unwrap_or(u64::MAX).saturating_add(self.min.0);
        if claimed >= needed && self.found.insert((event.task, frame.site)) {
            let mut chain = Chain::new(view);
            chain.task(event.task, None);
            let what = StepKind::Broke { breach: Breach::PhantomProgress, subject: None };
            chain.ends_with(what, frame.site, event);
            out.push(chain.finish(Breach::PhantomProgress.code(), event));
        }
    }
}

#[cfg(test)]
mod tests;
