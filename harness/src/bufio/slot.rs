//! A slot: one buffer's place, its state bits, hold count and contents.
//!
//! Key types: [`Slot`], [`State`], [`SlotContents`]. Slots are never freed while their client
//! lives, so a task that found one without a lock may look whether it still caches the same block.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::memory::Memory;
use crate::error::Errno;
use crate::event::RequestId;
use crate::sched::SpinLock;

/// The three state bits; none set is clean and idle.
pub(super) struct State;

impl State {
    /// A read is in flight. Only ever on the clean list.
    pub(super) const READING: u8 = 1;
    /// The data is newer than the device.
    pub(super) const DIRTY: u8 = 2;
    /// A write is in flight; a mutex for writes.
    pub(super) const WRITING: u8 = 4;
}

/// The bit of the hold count of a slot that no task may hold: it is free, in the reserve, or about
/// to be evicted.
const CLAIMED: u32 = 1 << 31;
/// The block of a slot that caches none.
pub(super) const NO_BLOCK: u64 = u64::MAX;

/// A buffer's data, and the outcome of the requests on it.
#[derive(Default)]
pub(super) struct SlotContents {
    /// The block's bytes; while they are being read the request has them.
    pub(super) data: Box<[u8]>,
    /// The user's own bytes beside the data.
    pub(super) aux: Box<[u8]>,
    pub(super) memory: Option<Memory>,
    pub(super) request: Option<RequestId>,
    pub(super) read_error: Option<Errno>,
    pub(super) write_error: Option<Errno>,
    /// Bytes that are newer than the device, from and to.
    pub(super) dirty: (u32, u32),
    /// Where the last hold was taken: a number of the client's list of sites, from 1.
    pub(super) holder: u32,
}

/// One buffer's place.
///
/// # Invariants
/// On the clean list neither DIRTY nor WRITING is set; on the dirty list READING is not. DIRTY with
/// WRITING is legal: dirtied again while being written. Only the completion of the request in
/// `contents` clears READING or WRITING. A slot that is CLAIMED is on no list and in no index, but
/// for as long as its claimer holds the client lock; `block` changes only while it is, and only its
/// claimer changes the hold count.
pub(super) struct Slot {
    pub(super) number: u32,
    hold: AtomicU32,
    block: AtomicU64,
    /// When it was last used, in ticks.
    pub(super) accessed: AtomicU64,
    /// Its place on the queue of all clients' buffers; 0 for none.
    pub(super) queued: AtomicU64,
    state: AtomicU8,
    failed: AtomicBool,
    /// CLOCK's bit, or the global queue's.
    referenced: AtomicBool,
    pub(super) contents: SpinLock<SlotContents>,
}

impl Slot {
    pub(super) fn free(number: u32) -> Self {
        Self {
            number,
            hold: AtomicU32::new(CLAIMED),
            block: AtomicU64::new(NO_BLOCK),
            accessed: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            state: AtomicU8::new(0),
            failed: AtomicBool::new(false),
            referenced: AtomicBool::new(false),
            contents: SpinLock::default(),
        }
    }

    pub(super) fn block(&self) -> u64 {
        self.block.load(Ordering::Acquire)
    }

    pub(super) fn state(&self) -> u8 {
        self.state.load(Ordering::SeqCst)
    }

    pub(super) fn has(&self, bits: u8) -> bool {
        self.state() & bits != 0
    }

    /// Sets bits; returns the state before.
    pub(super) fn set(&self, bits: u8) -> u8 {
        self.state.fetch_or(bits, Ordering::AcqRel)
    }

    /// Clears bits; returns the state before. A waiter for them must be woken by the caller.
    pub(super) fn clear(&self, bits: u8) -> u8 {
        self.state.fetch_and(!bits, Ordering::SeqCst)
    }

    /// How many holds there are. A task that looks at the slot for a moment counts as well.
    pub(super) fn holds(&self) -> u32 {
        self.hold.load(Ordering::SeqCst) & !CLAIMED
    }

    /// Takes a hold unless the slot is claimed. It may cache another block by now: look.
    pub(super) fn hold(&self) -> bool {
        let more = |hold: u32| (hold & CLAIMED == 0).then_some(hold + 1);
        self.hold.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Gives a hold back; says whether no task holds it now.
    pub(super) fn put(&self) -> bool {
        self.hold.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// Claims a slot that no task holds; says whether that succeeded.
    pub(super) fn claim(&self) -> bool {
        self.hold.compare_exchange(0, CLAIMED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Makes a claimed slot the buffer of `block`, held once by the caller.
    pub(super) fn open(&self, block: u64, state: u8) {
        self.block.store(block, Ordering::Release);
        self.state.store(state, Ordering::Release);
        self.failed.store(false, Ordering::Release);
        self.referenced.store(false, Ordering::Relaxed);
        // Nobody else changes the count of a slot that is claimed.
        self.hold.store(1, Ordering::Release);
    }

    /// Moves a claimed slot to another block, without opening it.
    pub(super) fn set_block(&self, block: u64) {
        self.block.store(block, Ordering::Release);
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Keeps whether a request on it failed and none has succeeded since.
    pub(super) fn set_failed(&self, failed: bool) {
        self.failed.store(failed, Ordering::Release);
    }

    /// Sets the reference bit.
    pub(super) fn touch(&self) {
        // The load keeps hits on a hot block from taking its cache line exclusive once more.
        if !self.referenced.load(Ordering::Relaxed) {
            self.referenced.store(true, Ordering::Relaxed);
        }
    }

    /// Clears the reference bit; says whether it was set.
    pub(super) fn take_reference(&self) -> bool {
        self.referenced.load(Ordering::Relaxed) && self.referenced.swap(false, Ordering::Relaxed)
    }
}

impl SlotContents {
    /// Bytes `start..end` are newer than the device: the dirty range becomes the union.
    pub(super) fn dirty(&mut self, start: u32, end: u32) {
        self.dirty = match self.dirty {
            (0, 0) => (start, end),
            (from, to) => (from.min(start), to.max(end)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_of_a_claimed_slot_fails_and_leaves_its_count_alone() {
        let slot = Slot::free(0);
        slot.open(3, 0);
        assert!(slot.put() && slot.claim(), "no task holds it");
        assert!(!slot.hold() && !slot.claim(), "it is claimed");
        slot.open(4, 0);
        assert_eq!(slot.holds(), 1, "its owner's");
        assert!(slot.hold() && !slot.put());
        assert!(!slot.claim(), "its owner holds it");
        assert!(slot.put() && slot.claim());
    }

    #[test]
    fn the_dirty_range_is_the_union() {
        let mut contents = SlotContents::default();
        contents.dirty(512, 600);
        contents.dirty(100, 200);
        assert_eq!(contents.dirty, (100, 600));
    }
}
