//! From a block to its slot's number: an open-addressed table.
//!
//! Key type: [`Table`]. It is asked for one block at a time, so its order is never seen.

/// The multiplier that spreads blocks (the golden ratio of 2^64).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number in which the high bits depend on all bits of the block.
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

    /// Removes a block; returns its slot.
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
        usize::try_from(hash(block) & (self.entries.len() as u64 - 1))
            .expect("an index is below the length")
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sched::SplitMix64;

    #[test]
    fn a_table_agrees_with_a_map() {
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
}
