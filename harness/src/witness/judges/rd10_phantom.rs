//! RD10: reclaim claimed progress, and the allocation that it was for failed.
//!
//! A shrinker that hands its work to a queue claims objects that are not freed yet. The allocator
//! believes the claim, and gives up when it still finds no memory. It is a finding only if the
//! claimed pages would have been enough, and if no other task got memory meanwhile: the pages may
//! have gone there. Written from docs/kernel/shrinkers.md, "Rules of conduct", and
//! docs/kernel/proposals.md, "Hypotheses" (hypothesis H4, deferred work that counts as progress).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::event::{AllocOutcome, EventKind, Site, TaskId};
use crate::units::Pages;
use crate::witness::{Breach, Finding, FrameKind, Judge, Moment, Reads, broken_rule};

/// The judge of RD10.
#[derive(Debug, Default)]
pub(super) struct Phantom {
    /// What reclaim claimed for the allocations that each task is in, outermost first.
    claims: BTreeMap<TaskId, Vec<u64>>,
    /// The tasks for which reclaim claimed anything.
    claimants: BTreeSet<TaskId>,
    min: Pages,
    found: BTreeSet<(TaskId, Option<Site>)>,
}

impl Judge for Phantom {
    fn reads(&self) -> Reads {
        Reads::MEMORY.and(Reads::ALLOCATIONS).and(Reads::SHRINKERS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let event = moment.event;
        match event.kind {
            EventKind::Watermarks { min, .. } => self.min = min,
            EventKind::AllocBegin { .. } => self.claims.entry(event.task).or_default().push(0),
            // Only a shrinker that defers claims objects before they are freed. One that frees at
            // once may free memory that no budget counts.
            EventKind::ShrinkScanEnd { freed: Some(freed), deferred: true, .. } => {
                if let Some(claim) =
                    self.claims.get_mut(&event.task).and_then(|claims| claims.last_mut())
                {
                    *claim = claim.saturating_add(freed);
                    self.claimants.insert(event.task);
                }
            }
            EventKind::AllocEnd { outcome, .. } => {
                let claimed = self.ended(event.task);
                match outcome {
                    AllocOutcome::Ok => self.went_elsewhere(event.task),
                    AllocOutcome::Failed => self.failed(moment, claimed, out),
                    AllocOutcome::Elsewhere => {}
                }
            }
            _ => {}
        }
    }
}

impl Phantom {
    /// A task got memory: the pages that were claimed for other tasks may have gone to it.
    fn went_elsewhere(&mut self, task: TaskId) {
        let own = self.claimants.take(&task);
        for other in std::mem::replace(&mut self.claimants, own.into_iter().collect()) {
            if let Some(claims) = self.claims.get_mut(&other) {
                claims.fill(0);
            }
        }
    }

    /// The innermost allocation of the task has ended: what was claimed for it.
    fn ended(&mut self, task: TaskId) -> u64 {
        let Entry::Occupied(mut claims) = self.claims.entry(task) else {
            return 0;
        };
        let claimed = claims.get_mut().pop().unwrap_or(0);
        if claims.get().is_empty() {
            claims.remove();
            self.claimants.remove(&task);
        }
        claimed
    }

    /// Reports the allocation if the claimed pages alone would have been enough for it.
    fn failed(&mut self, moment: &Moment<'_>, claimed: u64, out: &mut Vec<Finding>) {
        let task = moment.event.task;
        let Some(frame) = moment.view.closed() else {
            return;
        };
        let FrameKind::Alloc { order, .. } = frame.kind else {
            return;
        };
        let needed = 1_u64.checked_shl(order).unwrap_or(u64::MAX).saturating_add(self.min.0);
        if claimed >= needed && self.found.insert((task, frame.site)) {
            out.push(broken_rule(moment, task, Breach::PhantomProgress, None, frame.site));
        }
    }
}

#[cfg(test)]
mod tests;
