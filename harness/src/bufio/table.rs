//! From a block to its slot's number: an open-addressed table, and a lock-free one of hints beside it.
//!
//! Key types: [`Table`], [`Hints`]. The table has no order that anybody could see: it is asked for one block at
//! a time. Hints may be wrong or missing; whoever follows one looks at the slot.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a block is multiplied with to spread it (the golden ratio of 2^64).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number in which the high bits depend on all bits of the block.
#[inline]
pub(super) const fn hash(block: u64) -> u64 {
    let mixed = block.wrapping_mul(SPREAD);
    mixed ^ (mixed >> 32)
}

const EMPTY: u32 = u32::MAX;

/// Blocks and slot numbers. Linear probing; removal closes the gap, so there are no tombstones.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<(u64, u32)>,
    len: usize,
}

impl Table {
    pub(super) fn get(&self, block: u64) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        match self.entries[self.find(block)] {
            (_, EMPTY) => None,
            (_, slot) => Some(slot),
        }
    }

    /// Adds a block that is not in the table.
    pub(super) fn insert(&mut self, block: u64, slot: u32) {
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        let at = self.find(block);
        debug_assert_eq!(self.entries[at].1, EMPTY, "a block has one buffer");
        self.entries[at] = (block, slot);
        self.len += 1;
    }

    /// Takes a block out; says which slot it had.
    pub(super) fn remove(&mut self, block: u64) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let mask = self.entries.len() - 1;
        let mut gap = self.find(block);
        let (_, slot) = self.entries[gap];
        if slot == EMPTY {
            return None;
        }
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let (other, number) = self.entries[at];
            if number == EMPTY {
                break;
            }
            // It may move into the gap unless its own place lies behind the gap.
            let home = self.home(other);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.entries[gap] = self.entries[at];
                gap = at;
            }
        }
        self.entries[gap] = (0, EMPTY);
        self.len -= 1;
        Some(slot)
    }

    fn home(&self, block: u64) -> usize {
        usize::try_from(hash(block) & (self.entries.len() as u64 - 1)).expect("an index is below the length")
    }

    /// Where the block is, or would be.
    fn find(&self, block: u64) -> usize {
        let mask = self.entries.len() - 1;
        let mut at = self.home(block);
        while self.entries[at].1 != EMPTY && self.entries[at].0 != block {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let len = (self.entries.len() * 2).max(16);
        let before = std::mem::replace(&mut self.entries, vec![(0, EMPTY); len]);
        for (block, slot) in before.into_iter().filter(|(_, slot)| *slot != EMPTY) {
            let at = self.find(block);
            self.entries[at] = (block, slot);
        }
    }
}

const WAYS: usize = 8;

/// One cache line of hints.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Bucket([AtomicU64; WAYS]);

/// Slot numbers by block, to be read without a lock. A full bucket loses hints, never blocks.
///
/// # Invariants
/// `lost` is how many blocks are cached that have no hint.
#[derive(Debug)]
pub(super) struct Hints {
    buckets: Box<[Bucket]>,
    lost: AtomicU64,
}

/// A hint: the block's tag above, the slot's number and one below.
#[inline]
const fn tag(block: u64) -> u64 {
    block.wrapping_mul(SPREAD) & !0xffff_ffff
}

impl Hints {
    /// Hints for about `buffers` buffers.
    pub(super) fn new(buffers: u64) -> Self {
        let buckets = buffers.div_ceil(WAYS as u64 / 2).clamp(16, 1 << 20).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| Bucket::default()).collect(), lost: AtomicU64::new(0) }
    }

    #[inline]
    fn bucket(&self, block: u64) -> &Bucket {
        let index = hash(block) & (self.buckets.len() as u64 - 1);
        &self.buckets[usize::try_from(index).unwrap_or(0)]
    }

    /// The slot that may cache the block.
    #[inline]
    pub(super) fn get(&self, block: u64) -> Option<u32> {
        let tag = tag(block);
        for way in &self.bucket(block).0 {
            let hint = way.load(Ordering::Acquire);
            if hint & !0xffff_ffff == tag && hint != 0 {
                return u32::try_from(hint & 0xffff_ffff).ok()?.checked_sub(1);
            }
        }
        None
    }

    /// Whether the block is certainly not cached. The caller holds the client lock.
    pub(super) fn exclude(&self, block: u64) -> bool {
        self.lost.load(Ordering::Relaxed) == 0 && self.get(block).is_none()
    }

    /// Hints at a slot. The caller holds the client lock.
    pub(super) fn insert(&self, block: u64, slot: u32) {
        let free = self.bucket(block).0.iter().find(|way| way.load(Ordering::Relaxed) == 0);
        match free {
            Some(way) => way.store(tag(block) | (u64::from(slot) + 1), Ordering::Release),
            None => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Forgets a slot. The caller holds the client lock.
    pub(super) fn remove(&self, block: u64, slot: u32) {
        let hint = tag(block) | (u64::from(slot) + 1);
        match self.bucket(block).0.iter().find(|way| way.load(Ordering::Relaxed) == hint) {
            Some(way) => way.store(0, Ordering::Release),
            None => drop(self.lost.fetch_sub(1, Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sched::native::SplitMix64;

    #[test]
    fn a_table_says_what_a_map_says() {
        let (mut table, mut map, mut random) = (Table::default(), BTreeMap::new(), SplitMix64(7));
        for step in 0..20_000 {
            let block = u64::from(random.below(300));
            match map.remove(&block) {
                Some(slot) => assert_eq!(table.remove(block), Some(slot)),
                None => {
                    table.insert(block, step);
                    map.insert(block, step);
                }
            }
            let probe = u64::from(random.below(300));
            assert_eq!(table.get(probe), map.get(&probe).copied());
        }
        assert_eq!(table.len, map.len());
    }

    #[test]
    fn a_full_bucket_loses_hints_and_says_nothing_wrong() {
        let hints = Hints::new(1);
        for block in 0..1000 {
            hints.insert(block, u32::try_from(block).unwrap());
        }
        let found: Vec<_> =
            (0..1000).filter_map(|block| hints.get(block).map(|slot| (block, slot))).collect();
        assert!(!found.is_empty() && found.len() <= 16 * WAYS, "{}", found.len());
        assert!(found.iter().all(|(block, slot)| *block == u64::from(*slot)));
        assert!(!hints.exclude(5000), "it may be one of those that were lost");
        (0..1000).filter(|block| hints.get(*block).is_none()).for_each(|block| hints.remove(block, 0));
        assert!(hints.exclude(5000) && !hints.exclude(found[0].0), "none is lost any more");
        hints.remove(found[0].0, found[0].1);
        assert_eq!(hints.get(found[0].0), None);
    }
}
