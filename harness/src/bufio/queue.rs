//! The order of all clients' buffers, from 5.4 to 6.3: one queue with a second chance (1.6).
//!
//! Key types: [`GlobalQueue`], [`QueueEntry`]. Locking: `global_spinlock` is a leaf below a
//! client's lock; a task that holds it only tries a client's lock.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::order;
use super::slot::Slot;
use crate::era::BufioGeneration;
use crate::sched::{Mutex, MutexGuard, Sched};

/// A buffer on the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct QueueEntry {
    pub(super) client: u32,
    pub(super) slot: u32,
}

/// Buffers by number; the lowest has waited longest.
#[derive(Debug, Default)]
pub(super) struct Queued {
    entries: BTreeMap<u64, QueueEntry>,
    next: u64,
}

impl Queued {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn oldest(&self) -> Option<QueueEntry> {
        self.entries.first_key_value().map(|(_, entry)| *entry)
    }

    /// Takes the buffer that has waited longest off the queue; its client is gone.
    pub(super) fn forget_oldest(&mut self) {
        self.entries.pop_first();
    }

    /// Puts the buffer at the end, wherever it was.
    pub(super) fn renew(&mut self, client: u32, slot: &Slot) {
        self.remove(slot);
        self.next += 1;
        self.entries.insert(self.next, QueueEntry { client, slot: slot.number });
        slot.queued.store(self.next, Ordering::Release);
    }

    fn remove(&mut self, slot: &Slot) {
        let number = slot.queued.swap(0, Ordering::AcqRel);
        self.entries.remove(&number);
    }
}

/// The queue, in kernels that have one.
pub(super) struct GlobalQueue(Option<Mutex<Queued>>);

impl GlobalQueue {
    pub(super) fn new(sched: &Sched, generation: BufioGeneration) -> Self {
        let has = generation == BufioGeneration::V5_4;
        Self(has.then(|| Mutex::new(sched, order::GLOBAL, "dm-bufio", Queued::default())))
    }

    pub(super) fn lock(&self) -> Option<MutexGuard<'_, Queued>> {
        self.0.as_ref().map(Mutex::lock)
    }

    pub(super) fn add(&self, client: u32, slot: &Slot) {
        if let Some(mut queued) = self.lock() {
            queued.renew(client, slot);
        }
    }

    pub(super) fn remove(&self, slot: &Slot) {
        if let Some(mut queued) = self.lock() {
            queued.remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_buffer_stands_behind_the_others() {
        let (mut queued, a, b) = (Queued::default(), Slot::free(1), Slot::free(2));
        queued.renew(0, &a);
        queued.renew(0, &b);
        assert_eq!(queued.oldest().map(|entry| entry.slot), Some(1));
        queued.renew(0, &a);
        assert_eq!(queued.oldest().map(|entry| entry.slot), Some(2));
        queued.remove(&b);
        assert_eq!((queued.len(), queued.oldest().map(|entry| entry.slot)), (1, Some(1)));
    }
}
