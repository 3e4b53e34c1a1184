//! RD08: the deferred work that reclaim records for a shrinker is not the work that was left
//! undone.
//!
//! A scan that the mask forbids is deferred, not dropped. A pass takes over the deferred work, adds
//! its own, and defers again what it did not scan; since 5.13 that is at most twice the size of the
//! cache. The judge keeps its own account. Invariant 14 of docs/kernel/rules.md, "Invariants"; the
//! formula is that of docs/kernel/shrinkers.md, "The shrink_slab protocol".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, ShrinkPass, ShrinkerId, TaskId};
use crate::witness::{Breach, Finding, Judge, Moment, Reads, Subject, broken_rule};

/// The judge of invariant 14.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    found: BTreeSet<ShrinkerId>,
    /// The deferred work of each shrinker, for global reclaim and for the memcg.
    owed: BTreeMap<(ShrinkerId, bool), u64>,
    /// Passes under way, with the objects looked at so far.
    passes: BTreeMap<(TaskId, ShrinkerId), (ShrinkPass, u64)>,
}

impl Judge for Deferred {
    fn reads(&self) -> Reads {
        Reads::SHRINKERS
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let event = moment.event;
        let Some(shrinker) = self.miscounted(event) else {
            return;
        };
        if self.found.insert(shrinker) {
            let (breach, subject) = (Breach::DeferredWrong, Some(Subject::Shrinker(shrinker)));
            out.push(broken_rule(moment, event.task, breach, subject, None));
        }
    }
}

impl Deferred {
    /// The shrinker whose account is wrong at this event.
    fn miscounted(&mut self, event: &Event) -> Option<ShrinkerId> {
        let task = event.task;
        match event.kind {
            EventKind::ShrinkPassBegin { shrinker, pass } => {
                self.passes.insert((task, shrinker), (pass, 0));
                let owed = self.owed.insert((shrinker, pass.in_memcg), 0).unwrap_or(0);
                (owed != pass.deferred).then_some(shrinker)
            }
            // A scan that answered SHRINK_STOP does not count as scanned.
            EventKind::ShrinkScanEnd { shrinker, freed: Some(_), scanned, .. } => {
                let (_, sum) = self.passes.get_mut(&(task, shrinker))?;
                *sum = sum.saturating_add(scanned);
                None
            }
            EventKind::ShrinkPassEnd { shrinker, in_memcg, left, owed } => {
                let before = self.owed.insert((shrinker, in_memcg), owed).unwrap_or(0);
                let (pass, scanned) = self.passes.remove(&(task, shrinker))?;
                let right =
                    left == left_undone(&pass, scanned) && owed == before.saturating_add(left);
                (!right).then_some(shrinker)
            }
            _ => None,
        }
    }
}

/// The work that a pass defers after it scanned `scanned` objects.
fn left_undone(pass: &ShrinkPass, scanned: u64) -> u64 {
    let ShrinkPass { freeable, deferred, priority, seeks, bounded, .. } = *pass;
    let delta = match seeks {
        0 => freeable / 2,
        _ => freeable.checked_shr(priority).unwrap_or(0).saturating_mul(4) / seeks,
    };
    let left = deferred.saturating_add(delta).saturating_sub(scanned);
    if bounded { left.min(freeable.saturating_mul(2)) } else { left }
}

#[cfg(test)]
mod tests;
