//! Choosing the buffer that goes first, in both forms of the lists.
//!
//! Key type: [`Verdict`]. The classic lists give up their oldest buffer; a CLOCK passes a buffer
//! that was used since the cursor last came by. Either way a buffer that a task holds stays.

use super::cache::Cache;
use super::lists::{List, Lists};
use super::slot::Slot;

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

impl Cache {
    /// Claims and unlinks the buffer of `list` that should go first, of those that no task holds
    /// and that `judge` does not spare.
    pub(super) fn pick(
        &self,
        lists: &mut Lists,
        list: List,
        mut judge: impl FnMut(&Slot) -> Verdict,
    ) -> Option<&Slot> {
        let found = if self.is_modern() {
            self.turn_clock(lists, list, &mut judge)
        } else {
            self.first_of(lists, list, &mut judge)
        };
        let slot = self.slot(found?);
        self.unlink(lists, slot);
        Some(slot)
    }

    /// The oldest buffer that may go, claimed.
    fn first_of(
        &self,
        lists: &mut Lists,
        list: List,
        judge: &mut impl FnMut(&Slot) -> Verdict,
    ) -> Option<u32> {
        let walk = lists.walk(list);
        let mut found = None;
        while let Some(number) = lists.step(list, walk) {
            match self.consider(number, judge) {
                Verdict::Take => found = Some(number),
                Verdict::Skip => continue,
                Verdict::Stop => {}
            }
            break;
        }
        lists.end(list, walk);
        found
    }

    /// Turns the list's cursor until it stands on a buffer that may go, which is then claimed;
    /// gives up after a lap of refusals.
    fn turn_clock(
        &self,
        lists: &mut Lists,
        list: List,
        judge: &mut impl FnMut(&Slot) -> Verdict,
    ) -> Option<u32> {
        let mut left = lists.len(list);
        while left > 0 {
            let number = lists.oldest(list)?;
            if self.slot(number).take_reference() {
                lists.turn(list);
                continue;
            }
            match self.consider(number, judge) {
                Verdict::Take => return Some(number),
                Verdict::Skip => left -= 1,
                Verdict::Stop => return None,
            }
            lists.turn(list);
        }
        None
    }

    /// Judges one buffer. It takes a buffer by claiming it, so a hold that came first wins.
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
}
