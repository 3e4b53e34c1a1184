//! The memory of copies that were written, for the next ones.
//!
//! Key types: [`Copies`], [`Kept`]. Whoever writes many buffers makes the copies on one processor,
//! and the device's task gives them back on another: an allocator takes a lock for each, and hands
//! out memory that was not touched for longest. Kept while somebody writes all buffers, and only so
//! long. Locking: a leaf.

use std::sync::atomic::{AtomicU32, Ordering};

use super::writeback::PART;
use crate::sched::SpinLock;

/// Bytes that are kept at the most: a few parts' copies of blocks of 4 KiB, since writes complete
/// while the next part waits for its turn.
const KEPT: usize = 4 * PART * (4096 + 512);

/// The memory that completed writes gave back.
#[derive(Default)]
pub(super) struct Copies {
    /// How many tasks write all buffers.
    writers: AtomicU32,
    free: SpinLock<Vec<Vec<u8>>>,
}

/// What a task that writes all buffers takes memory from; when the last of these goes, what is left
/// is freed.
pub(super) struct Kept<'a> {
    copies: &'a Copies,
    at_hand: Vec<Vec<u8>>,
}

impl Copies {
    /// Memory that is given back is kept until the drop.
    pub(super) fn keep(&self) -> Kept<'_> {
        self.writers.fetch_add(1, Ordering::AcqRel);
        Kept { copies: self, at_hand: Vec::new() }
    }

    /// A copy was written.
    pub(super) fn give_back(&self, memory: Vec<u8>) {
        if memory.capacity() == 0 || self.writers.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut free = self.free.lock();
        // Looked at again: the last writer frees what is here with the lock, after it has gone.
        let fits = (free.len() + 1).saturating_mul(memory.capacity()) <= KEPT;
        if fits && self.writers.load(Ordering::Acquire) > 0 {
            free.push(memory);
        }
    }
}

impl Kept<'_> {
    /// Memory for a copy; an empty vector where there is none.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if self.at_hand.is_empty() {
            let mut free = self.copies.free.lock();
            let from = free.len().saturating_sub(PART);
            self.at_hand.extend(free.drain(from..));
        }
        self.at_hand.pop().unwrap_or_default()
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if self.copies.writers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let left = std::mem::take(&mut *self.copies.free.lock());
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_for_the_next_copies_while_somebody_writes_all_buffers() {
        let copies = Copies::default();
        copies.give_back(vec![1; 8]);
        let mut first = copies.keep();
        assert_eq!(first.take(), Vec::<u8>::new(), "nobody wrote all buffers when it came back");
        let second = copies.keep();
        (0..PART + 1).for_each(|_| copies.give_back(vec![1; 8]));
        copies.give_back(Vec::new());
        assert_eq!((first.take(), first.at_hand.len()), (vec![1; 8], PART - 1), "a part's");
        drop(first);
        assert_eq!(copies.free.lock().len(), 1, "the other still writes");
        (0..4).for_each(|_| copies.give_back(vec![2; KEPT / 2]));
        assert_eq!(copies.free.lock().len(), 2, "large copies are many bytes");
        drop(second);
        assert!(copies.free.lock().is_empty());
    }
}
