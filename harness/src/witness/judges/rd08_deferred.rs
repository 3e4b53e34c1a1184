//! RD08: what reclaim says that a shrinker still owes is not what was left undone.
//!
//! A scan that the mask forbids is postponed and not dropped: a pass takes over what is owed, and
//! what it leaves is what it took over and asked for itself, less what was scanned, and since 5.13
//! at most twice the cache. The judge keeps its own account. Invariant 14 of the project's
//! description of reclaim, section 9; the formula is that of 4.3.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, ShrinkPass, ShrinkerId, TaskId};
use crate::witness::{Breach, Chain, Finding, Judge, Moment, Reads, StepKind, Subject};

/// The judge of invariant 14.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    found: BTreeSet<ShrinkerId>,
    /// What is owed, of everything and of the memcg's.
    owed: BTreeMap<(ShrinkerId, bool), u64>,
    /// Passes under way, with the objects looked at so far.
    passes: BTreeMap<(TaskId, ShrinkerId), (ShrinkPass, u64)>,
}

impl Judge for Deferred {
    fn reads(&self) -> Reads {
        Reads::SHRINKERS
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let Some(shrinker) = self.miscounted(event) else {
            return;
        };
        if self.found.insert(shrinker) {
            let (breach, subject) = (Breach::DeferredWrong, Some(Subject::Shrinker(shrinker)));
            let mut chain = Chain::new(view);
            chain.task(event.task, None);
            chain.ends_with(StepKind::Broke { breach, subject }, None, event);
            out.push(chain.finish(breach.code(), event));
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
            // A scan that answered STOP looked at nothing that counts.
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

/// What a pass leaves after `scanned` objects.
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
