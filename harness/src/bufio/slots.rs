//! All slots of a client, by number.
//!
//! Key type: [`Slots`]. It grows and never shrinks; a slot never moves. Reaching one takes no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::slot::Slot;

const BITS: u32 = 8;
const FAN: usize = 1 << BITS;
/// The most buffers that a client can have: 64 GiB of blocks of 4 KiB.
const MAX_SLOTS: u32 = 1 << (3 * BITS);

type Leaf = OnceLock<Box<[Slot]>>;
type Branch = OnceLock<Box<[Leaf]>>;

/// A client's slots.
pub(super) struct Slots {
    root: Box<[Branch]>,
    len: AtomicU32,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { root: (0..FAN).map(|_| OnceLock::new()).collect(), len: AtomicU32::new(0) }
    }

    /// The slot of this number.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn get(&self, number: u32) -> &Slot {
        self.find(number).expect("only numbers of slots that exist are used")
    }

    /// The slot of this number, if there is one.
    pub(super) fn find(&self, number: u32) -> Option<&Slot> {
        let at = |shift: u32| (number >> shift) as usize & (FAN - 1);
        self.root.get((number >> (2 * BITS)) as usize)?.get()?[at(BITS)].get()?.get(at(0))
    }

    /// All slots there are.
    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        (0..self.len.load(Ordering::Acquire)).map_while(|number| self.find(number))
    }

    /// A new slot, claimed and without memory.
    ///
    /// # Panics
    /// If the client has as many buffers as any can have.
    pub(super) fn grow(&self) -> &Slot {
        let number = self.len.fetch_add(1, Ordering::AcqRel);
        assert!(number < MAX_SLOTS, "a client has fewer than {MAX_SLOTS} buffers");
        let branch = self.root[(number >> (2 * BITS)) as usize]
            .get_or_init(|| (0..FAN).map(|_| OnceLock::new()).collect());
        let first = number >> BITS << BITS;
        let leaf = branch[(number >> BITS) as usize & (FAN - 1)]
            .get_or_init(|| (first..).take(FAN).map(Slot::free).collect());
        &leaf[number as usize & (FAN - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_by_their_number_and_others_are_not() {
        let slots = Slots::new();
        for expect in 0..600 {
            assert_eq!(slots.grow().number, expect);
        }
        assert_eq!(slots.get(257).number, 257);
        assert!(slots.find(70_000).is_none() && slots.find(u32::MAX).is_none());
    }
}
