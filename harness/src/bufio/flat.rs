//! The modern index where nobody observes: cache lines of tagged slot numbers, read without a lock.
//!
//! Key type: [`Flat`]. A block has one line where it may be. What a full line cannot take is
//! spilled to tables with a lock each. Only who holds the client lock changes either, so under that
//! lock an answer is exact; without it a slot's number may be out of date, and whoever follows it
//! looks at the slot.

use std::sync::atomic::{AtomicU64, Ordering};

use super::table::{SPREAD, Table, hash};
use crate::sched::SpinLock;

const WAYS: usize = 8;

/// One cache line.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Line([AtomicU64; WAYS]);

/// Slot numbers by block.
///
/// # Invariants
/// `spilled` is how many blocks are in the tables; a block is in its line or in its table, never in
/// both.
#[derive(Debug)]
pub(super) struct Flat {
    lines: Box<[Line]>,
    spill: Box<[SpinLock<Table>]>,
    spilled: AtomicU64,
}

/// A line's entry: the block's tag above, the slot's number and one below. Two blocks of one tag
/// are told apart by their slots.
#[inline]
const fn tag(block: u64) -> u64 {
    block.wrapping_mul(SPREAD) & !0xffff_ffff
}

#[inline]
fn slot_of(entry: u64) -> Option<u32> {
    u32::try_from(entry & 0xffff_ffff).ok()?.checked_sub(1)
}

impl Flat {
    /// Lines for about `buffers` buffers, and `tables` for what they cannot take: a power of two.
    pub(super) fn new(buffers: u64, tables: u32) -> Self {
        let lines = buffers.div_ceil(WAYS as u64 / 2).clamp(16, 1 << 20).next_power_of_two();
        Self {
            lines: (0..lines).map(|_| Line::default()).collect(),
            spill: (0..tables).map(|_| SpinLock::default()).collect(),
            spilled: AtomicU64::new(0),
        }
    }

    #[inline]
    fn line(&self, block: u64) -> &Line {
        let index = hash(block) & (self.lines.len() as u64 - 1);
        &self.lines[usize::try_from(index).unwrap_or(0)]
    }

    fn table(&self, block: u64) -> &SpinLock<Table> {
        let index = (hash(block) >> 20) & (self.spill.len() as u64 - 1);
        &self.spill[usize::try_from(index).unwrap_or(0)]
    }

    /// The first slot in the block's line that may cache it.
    #[inline]
    pub(super) fn hint(&self, block: u64) -> Option<u32> {
        let tag = tag(block);
        for way in &self.line(block).0 {
            let entry = way.load(Ordering::Acquire);
            if entry & !0xffff_ffff == tag && entry != 0 {
                return slot_of(entry);
            }
        }
        None
    }

    /// What `is` makes of the first slot of which it makes something: it is asked about all that
    /// may cache the block.
    #[inline]
    pub(super) fn find<R>(&self, block: u64, mut is: impl FnMut(u32) -> Option<R>) -> Option<R> {
        let tag = tag(block);
        for way in &self.line(block).0 {
            let entry = way.load(Ordering::Acquire);
            if entry & !0xffff_ffff == tag
                && let Some(found) = slot_of(entry).and_then(&mut is)
            {
                return Some(found);
            }
        }
        if self.spilled.load(Ordering::Acquire) == 0 {
            return None;
        }
        let slot = self.table(block).lock().get(block);
        slot.and_then(is)
    }

    /// Adds a block that is not in it. The caller holds the client lock.
    #[inline]
    pub(super) fn insert(&self, block: u64, slot: u32) {
        let free = self.line(block).0.iter().find(|way| way.load(Ordering::Relaxed) == 0);
        if let Some(way) = free {
            way.store(tag(block) | (u64::from(slot) + 1), Ordering::Release);
        } else {
            self.table(block).lock().insert(block, slot);
            self.spilled.fetch_add(1, Ordering::Release);
        }
    }

    /// Takes a block out; says whether it had this slot. The caller holds the client lock.
    #[inline]
    pub(super) fn remove(&self, block: u64, slot: u32) -> bool {
        let entry = tag(block) | (u64::from(slot) + 1);
        if let Some(way) =
            self.line(block).0.iter().find(|way| way.load(Ordering::Relaxed) == entry)
        {
            way.store(0, Ordering::Release);
            return true;
        }
        let had = self.table(block).lock().remove(block) == Some(slot);
        if had {
            self.spilled.fetch_sub(1, Ordering::Release);
        }
        had
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sched::native::SplitMix64;

    #[test]
    fn it_says_what_a_map_says_also_where_lines_are_full() {
        let (flat, mut map, mut random) = (Flat::new(1, 4), BTreeMap::new(), SplitMix64(7));
        let mut block_of = BTreeMap::new();
        for slot in 0..20_000 {
            let block = u64::from(random.below(600));
            match map.remove(&block) {
                Some(slot) => assert!(flat.remove(block, slot)),
                None => {
                    flat.insert(block, slot);
                    map.insert(block, slot);
                    block_of.insert(slot, block);
                }
            }
            let probe = u64::from(random.below(600));
            let found = flat.find(probe, |slot| (block_of[&slot] == probe).then_some(slot));
            assert_eq!(found, map.get(&probe).copied());
        }
        let spilled = flat.spilled.load(Ordering::Relaxed);
        assert!(spilled > 100, "{spilled} of {} did not fit into 16 lines", map.len());
        map.iter().for_each(|(block, slot)| assert!(flat.remove(*block, *slot)));
        assert_eq!(flat.spilled.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn entries_of_one_tag_in_a_line_are_told_apart_by_their_slots() {
        let flat = Flat::new(1, 1);
        // Twice the same block: as good here as two blocks of one tag, which are rare.
        flat.insert(5, 1);
        flat.insert(5, 2);
        assert_eq!(flat.hint(5), Some(1));
        assert_eq!(flat.find(5, |slot| (slot == 2).then_some(slot)), Some(2));
        assert!(flat.remove(5, 1) && !flat.remove(5, 1));
        assert_eq!(flat.find(5, Some), Some(2));
    }
}
