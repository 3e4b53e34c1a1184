//! RD07: a shrinker breaks the rules of count and scan.
//!
//! A count must not wait, allocate or depend on the mask: work that the mask forbids is deferred,
//! which needs an honest number. A count must not change the cache: it begins no work, and a second
//! count directly after it gives the same number. A scan must not claim more than it freed, unless
//! the shrinker declares that it defers. Invariants 12 and 13 of docs/kernel/rules.md,
//! "Invariants".
//!
//! Whether a cache really shrank can only be judged while no other task touches it. So claims and
//! counts are compared within one uninterrupted run of events of one task, and only with what was
//! counted before: a scan may make other objects freeable (a dentry releases its inode).

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, Gfp, ShrinkerId, TaskId};
use crate::witness::{
    Breach, Finding, FrameKind, Judge, Moment, Reads, Subject, View, broken_rule, is_reclaimer,
};

/// The judge of RD07.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    found: BTreeSet<(ShrinkerId, Breach)>,
    /// The task of the last event; an event of another task ends all comparisons.
    task: Option<TaskId>,
    /// Counts since anything happened that could change a cache.
    counts: BTreeMap<ShrinkerId, (Gfp, u64)>,
    /// Counts that were followed by nothing but counts, outside of reclaim.
    probed: BTreeMap<ShrinkerId, (Gfp, u64)>,
    /// The pass under way: its shrinker, the count, and what it claimed so far. None before the
    /// first count.
    pass: Option<(ShrinkerId, u64, u64)>,
}

impl Judge for Conduct {
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let another = self.task.replace(event.task) != Some(event.task);
        // Otherwise nothing was counted since.
        if self.pass.is_some() {
            if another {
                self.counts.clear();
                self.pass = None;
            }
            if another || !is_part_of_a_count(event.kind) {
                self.probed.clear();
            }
        }
        let Some((shrinker, breach)) = self.breach(event, view) else {
            return;
        };
        if self.found.insert((shrinker, breach)) {
            out.push(broken_rule(
                moment,
                event.task,
                breach,
                Some(Subject::Shrinker(shrinker)),
                None,
            ));
        }
    }
}

impl Conduct {
    fn breach(&mut self, event: &Event, view: &View) -> Option<(ShrinkerId, Breach)> {
        let task = event.task;
        match event.kind {
            EventKind::ShrinkCountEnd { shrinker, count } => {
                self.counted(task, shrinker, count, view)
            }
            EventKind::ShrinkScanBegin { .. } => {
                self.counts.clear();
                None
            }
            EventKind::ShrinkScanEnd { shrinker, freed, scanned, deferred } => {
                let claimed = freed.filter(|_| !deferred)?;
                self.claims(shrinker, claimed, scanned).then_some((shrinker, Breach::Overclaimed))
            }
            EventKind::ShrinkerPanicked { shrinker } => Some((shrinker, Breach::Panicked)),
            EventKind::AllocBegin { .. } => {
                self.counts.clear();
                Some((counting(view, task)?, Breach::CountAllocates))
            }
            EventKind::WaitBegin { .. } => Some((counting(view, task)?, Breach::CountWaits)),
            EventKind::RequestSubmit { .. } | EventKind::WorkQueued { .. } => {
                Some((counting(view, task)?, Breach::CountChanges))
            }
            _ => None,
        }
    }

    fn counted(
        &mut self,
        task: TaskId,
        shrinker: ShrinkerId,
        count: u64,
        view: &View,
    ) -> Option<(ShrinkerId, Breach)> {
        self.pass = Some((shrinker, count, 0));
        let Some(FrameKind::Count { mask, .. }) = view.closed().map(|frame| frame.kind) else {
            return None;
        };
        // During reclaim, pages are freed between two counts, and their owners may drop other
        // objects with them.
        let reclaims = view.frames(task).iter().any(|frame| is_reclaimer(frame.kind));
        let probed = if reclaims { None } else { self.probed.insert(shrinker, (mask, count)) };
        let before = self.counts.insert(shrinker, (mask, count));
        if probed.is_some_and(|(other, before)| other == mask && before != count) {
            return Some((shrinker, Breach::CountChanges));
        }
        let changes = self.found.contains(&(shrinker, Breach::CountChanges));
        let depends = before.is_some_and(|(other, before)| other != mask && before != count);
        (depends && !changes).then_some((shrinker, Breach::CountDependsOnMask))
    }

    /// Whether a scan claims what cannot have left.
    fn claims(&mut self, shrinker: ShrinkerId, freed: u64, scanned: u64) -> bool {
        let counted = match &mut self.pass {
            Some((of, count, claimed)) if *of == shrinker => {
                *claimed = claimed.saturating_add(freed);
                *claimed > *count
            }
            _ => false,
        };
        freed > scanned || counted
    }
}

/// The shrinker in whose count the task is.
fn counting(view: &View, task: TaskId) -> Option<ShrinkerId> {
    view.frames(task).iter().rev().find_map(|frame| match frame.kind {
        FrameKind::Count { shrinker, .. } => Some(shrinker),
        _ => None,
    })
}

/// Whether the event can be part of a count outside of reclaim: the count and the locks in it.
const fn is_part_of_a_count(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ShrinkCountBegin { .. }
            | EventKind::ShrinkCountEnd { .. }
            | EventKind::LockAttempt { .. }
            | EventKind::LockAcquired { .. }
            | EventKind::LockReleased { .. }
    )
}

#[cfg(test)]
mod tests;
