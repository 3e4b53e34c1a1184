//! Choosing a buffer that may go, and letting it go; both forms of the lists.
//!
//! Key types: [`Verdict`]. The classic lists give up their oldest; a CLOCK passes what was used
//! since it last came by. Either way a buffer that somebody holds stays. Whoever lets a buffer go
//! holds the client lock, also while it waits for the buffer's I/O.

use super::cache::{Cache, List};
use super::client::Client;
use super::slot::{Slot, State};
use crate::era::BufioGeneration;
use crate::event::Site;

/// What to do with an unheld buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Evict it.
    Take,
    /// Leave it.
    Skip,
    /// Leave it and all that follow.
    Stop,
}

impl Client {
    /// Claims and unlinks the buffer of `list` that should go first, of those that nobody holds and
    /// that `judge` does not spare.
    pub(super) fn pick(
        &self,
        cache: &mut Cache,
        list: List,
        mut judge: impl FnMut(&Slot) -> Verdict,
    ) -> Option<&Slot> {
        let found = if self.0.generation() == BufioGeneration::V6_4 {
            self.turn_clock(cache, list, &mut judge)
        } else {
            let walk = cache.walk(list);
            let mut found = None;
            while let Some(number) = cache.step(list, walk) {
                match self.consider(number, &mut judge) {
                    Verdict::Take => found = Some(number),
                    Verdict::Skip => continue,
                    Verdict::Stop => {}
                }
                break;
            }
            cache.end(list, walk);
            found
        };
        let slot = self.slot(found?);
        self.unlink(cache, slot);
        Some(slot)
    }

    /// Turns the list's cursor until something goes, which is claimed then and still at the cursor;
    /// gives up after a lap of refusals.
    #[inline]
    pub(super) fn turn_clock(
        &self,
        cache: &mut Cache,
        list: List,
        judge: &mut impl FnMut(&Slot) -> Verdict,
    ) -> Option<u32> {
        let mut left = cache.len(list);
        while left > 0 {
            let number = cache.ring(list).oldest()?;
            let slot = self.slot(number);
            if slot.take_reference() {
                cache.turn(list);
                continue;
            }
            match self.consider(number, judge) {
                Verdict::Take => return Some(number),
                Verdict::Skip => left -= 1,
                Verdict::Stop => return None,
            }
            cache.turn(list);
        }
        None
    }

    /// Judges one buffer; takes it by claiming it, so that a hold which came first wins.
    #[inline]
    fn consider(&self, number: u32, judge: &mut impl FnMut(&Slot) -> Verdict) -> Verdict {
        let slot = self.slot(number);
        if slot.holds() != 0 {
            return Verdict::Skip;
        }
        match judge(slot) {
            Verdict::Take if !slot.claim() => Verdict::Skip,
            verdict => verdict,
        }
    }

    /// What may be taken from `list` by somebody who may wait (the predicates of 1.4). In no-sleep
    /// mode nothing that needs a wait may.
    pub(super) fn takes(&self, list: List) -> impl Fn(&Slot) -> Verdict + 'static {
        let refused = match (list, self.0.options.no_sleep) {
            (List::Clean, true) => Some(State::READING | State::WRITING | State::DIRTY),
            (List::Clean, false) => Some(State::WRITING | State::DIRTY),
            (List::Dirty, true) => None,
            (List::Dirty, false) => Some(State::READING),
        };
        move |slot| match refused {
            Some(refused) if !slot.has(refused) => Verdict::Take,
            Some(_) | None => Verdict::Skip,
        }
    }

    /// Takes the first unheld buffer, clean before dirty, and makes it clean, whatever that waits
    /// for (`__get_unclaimed_buffer`). It is claimed and unlinked.
    pub(super) fn take_unclaimed(&self, cache: &mut Cache, site: Site) -> Option<u32> {
        for list in List::BOTH {
            if let Some(slot) = self.pick(cache, list, self.takes(list)) {
                self.make_clean(slot, site);
                return Some(slot.number);
            }
        }
        None
    }

    /// Tries to evict one buffer (`__try_evict_buffer`): without permission to wait, only one that
    /// is idle; with it, the buffer is made clean first. Says whether it went.
    pub(super) fn evict(&self, cache: &mut Cache, slot: &Slot, may_wait: bool, site: Site) -> bool {
        let waits = may_wait && !self.0.options.no_sleep;
        if (!waits && slot.state() != 0) || !slot.claim() {
            return false;
        }
        // In this order: while its write is waited for, a buffer still counts as one.
        self.make_clean(slot, site);
        self.unlink(cache, slot);
        self.give_back(cache, slot.number);
        true
    }
}
