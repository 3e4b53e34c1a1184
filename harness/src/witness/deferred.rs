//! RD08: what reclaim says that a shrinker still owes is not what was left undone.
//!
//! A scan that the mask forbids is postponed and not dropped: a pass takes over what is owed, and
//! what it leaves is what it took over and asked for itself, less what was scanned, and since 5.13
//! at most twice the cache. The judge keeps its own account. Invariant 14 of the project's
//! description of reclaim, section 9; the formula is that of 4.3.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, ShrinkPass, ShrinkerId, TaskId};

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

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
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
mod tests {
    use super::*;
    use crate::witness::script::{Script, breaches};

    const ONE: ShrinkerId = ShrinkerId(0);

    /// A pass over 10000 objects at priority 12, which asks for 4.
    const PASS: ShrinkPass = ShrinkPass {
        in_memcg: false,
        freeable: 10_000,
        deferred: 0,
        priority: 12,
        seeks: 2,
        bounded: true,
    };

    /// Each pass, what its one scan freed and looked at, and what is told to be left and owed.
    #[track_caller]
    fn check(expect: &[Breach], passes: &[(ShrinkPass, Option<u64>, u64, u64)]) {
        let mut s = Script::default();
        let task = s.task("cp");
        s.names.add_shrinker("cache");
        for (pass, scanned, left, owed) in passes.iter().copied() {
            s.on(task, EventKind::ShrinkPassBegin { shrinker: ONE, pass });
            let (freed, scanned) = (scanned, scanned.unwrap_or(128));
            s.on(task, EventKind::ShrinkScanEnd { shrinker: ONE, freed, scanned, deferred: true });
            let in_memcg = pass.in_memcg;
            s.on(task, EventKind::ShrinkPassEnd { shrinker: ONE, in_memcg, left, owed });
        }
        assert_eq!(breaches(&s), expect);
    }

    fn after(deferred: u64) -> ShrinkPass {
        ShrinkPass { deferred, ..PASS }
    }

    #[test]
    fn what_is_not_scanned_is_owed() {
        check(&[], &[(PASS, None, 4, 4), (after(4), None, 8, 8), (after(8), Some(5), 7, 7)]);
        check(&[Breach::DeferredWrong], &[(PASS, None, 0, 0)]);
        check(&[Breach::DeferredWrong], &[(PASS, Some(3), 4, 4)]);
    }

    #[test]
    fn without_seeks_half_of_the_cache_is_asked_for() {
        let costless = ShrinkPass { seeks: 0, freeable: 10, ..PASS };
        check(&[], &[(costless, None, 5, 5)]);
        check(&[Breach::DeferredWrong], &[(costless, None, 0, 0)]);
    }

    #[test]
    fn the_next_pass_takes_over_what_is_owed() {
        check(&[Breach::DeferredWrong], &[(PASS, None, 4, 4), (PASS, None, 4, 4)]);
        check(&[Breach::DeferredWrong], &[(PASS, None, 4, 5)]);
    }

    #[test]
    fn since_5_13_no_more_is_owed_than_twice_the_cache() {
        let small = ShrinkPass { freeable: 10, deferred: 100, priority: 0, ..PASS };
        let first = (ShrinkPass { freeable: 100, priority: 0, ..PASS }, Some(100), 100, 100);
        check(&[], &[first, (small, None, 20, 20)]);
        check(&[Breach::DeferredWrong], &[first, (small, None, 120, 120)]);
        check(&[], &[first, (ShrinkPass { bounded: false, ..small }, None, 120, 120)]);
    }

    #[test]
    fn the_memcg_has_an_account_of_its_own() {
        let memcg = ShrinkPass { in_memcg: true, ..PASS };
        check(&[], &[(PASS, None, 4, 4), (memcg, None, 4, 4), (after(4), Some(8), 0, 0)]);
    }
}
