//! The cached buffers of a client: its lists under the client lock, and its index.
//!
//! Key type: [`Cache`]. Neighbours: [`super::choose`] says which buffer goes first. Locking: the
//! client lock > a tree of the index; the client lock > the common queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::index::Index;
use super::lists::{List, Lists};
use super::options::ClientOptions;
use super::order;
use super::pool::Pool;
use super::shared::Shared;
use super::slot::Slot;
use crate::era::BufioGeneration;
use crate::event::LockId;
use crate::sched::{Mutex, MutexGuard};

/// The subclass of a client's lock that is taken while a request is mapped.
const BELOW: u8 = 1;

/// The lists, with the client lock held.
pub(super) type Locked<'a> = MutexGuard<'a, Lists>;

/// Lists and index of one client.
pub(super) struct Cache {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// The client's number on the common queue.
    client: u32,
    /// The client lock.
    lists: Mutex<Lists>,
    index: Index,
    /// Numbers of clean and dirty buffers, which are read without the lock.
    counts: [AtomicU64; 2],
}

impl Cache {
    pub(super) fn new(
        shared: &Arc<Shared>,
        pool: &Arc<Pool>,
        client: u32,
        options: &ClientOptions,
        device: &str,
    ) -> Self {
        let (sched, name) = (&shared.sched, format!("bufio:{device}"));
        Self {
            shared: Arc::clone(shared),
            pool: Arc::clone(pool),
            client,
            lists: Mutex::new(sched, order::CLIENT, &name, Lists::default()),
            index: Index::new(sched, shared.generation(), options.trees, device),
            counts: Default::default(),
        }
    }

    /// The number of the client lock in events.
    pub(super) const fn lock_id(&self) -> LockId {
        self.lists.id()
    }

    /// Takes the client lock. A task that maps a request may hold the lock of a client above; this
    /// one is then of subclass 1, so that stacked clients do not look like a recursion.
    #[track_caller]
    pub(super) fn lock(&self) -> Locked<'_> {
        if self.shared.marks.maps_request() {
            self.lists.lock_nested(BELOW)
        } else {
            self.lists.lock()
        }
    }

    /// Takes the client lock if it is free.
    #[track_caller]
    pub(super) fn try_lock(&self) -> Option<Locked<'_>> {
        self.lists.try_lock()
    }

    /// Buffers on a list, counted without the lock.
    pub(super) fn count(&self, list: List) -> u64 {
        self.counts[list as usize].load(Ordering::Acquire)
    }

    fn publish(&self, lists: &Lists, list: List) {
        self.counts[list as usize].store(lists.len(list), Ordering::Release);
    }

    pub(super) fn slot(&self, number: u32) -> &Slot {
        self.pool.slot(number)
    }

    pub(super) fn is_modern(&self) -> bool {
        self.shared.generation() == BufioGeneration::V6_4
    }

    /// Adds an opened slot to the index, and to the list that its state asks for.
    pub(super) fn link(&self, lists: &mut Lists, slot: &Slot) {
        let (block, list) = (slot.block(), List::of(slot.state()));
        self.index.insert(block, slot.number);
        lists.push(list, slot.number);
        self.publish(lists, list);
        slot.accessed.store(self.shared.tick(), Ordering::Relaxed);
        self.shared.queue.add(self.client, slot);
    }

    /// Takes a claimed slot out of the index and off its list.
    pub(super) fn unlink(&self, lists: &mut Lists, slot: &Slot) {
        self.index.remove(slot.block(), slot.number);
        if let Some(list) = lists.pull(slot.number) {
            self.publish(lists, list);
        }
        self.shared.queue.remove(slot);
    }

    /// Makes a linked slot the buffer of another block. The caller holds the client lock.
    pub(super) fn rename(&self, slot: &Slot, from: u64, to: u64) {
        self.index.remove(from, slot.number);
        slot.set_block(to);
        self.index.insert(to, slot.number);
    }

    /// The block's slot. The caller holds the client lock.
    pub(super) fn indexed(&self, block: u64) -> Option<&Slot> {
        self.index.get(block).map(|number| self.slot(number))
    }

    /// Moves a buffer to the newest end of `list`.
    pub(super) fn move_to(&self, lists: &mut Lists, slot: &Slot, list: List) {
        let _tree = self.index.exclude(slot.block());
        let Some(from) = lists.pull(slot.number) else {
            return;
        };
        lists.push(list, slot.number);
        if from != list {
            List::BOTH.into_iter().for_each(|list| self.publish(lists, list));
        }
    }

    /// A hit under the client lock: the classic lists are in order of use, the modern ones have a
    /// bit for it.
    pub(super) fn used(&self, lists: &mut Lists, slot: &Slot) {
        slot.accessed.store(self.shared.tick(), Ordering::Relaxed);
        if !self.is_modern()
            && let Some(list) = lists.list_of(slot.number)
        {
            self.move_to(lists, slot, list);
        }
        slot.touch();
    }

    /// A hold of the block's buffer without the client lock, as the modern index can give it.
    pub(super) fn find_held(&self, block: u64) -> Option<&Slot> {
        self.index.look_up(block, |number| {
            let slot = self.slot(number);
            if !slot.hold() {
                return None;
            }
            if slot.block() != block {
                self.pool.put(slot);
                return None;
            }
            slot.touch();
            slot.accessed.store(self.shared.tick(), Ordering::Relaxed);
            Some(slot)
        })
    }
}
