//! Adding buffers to a client's index and lists, and taking them out; both forms of the index.
//!
//! Key functions: [`Client::link`], [`Client::unlink`], [`Client::find_held`]. In the classic form
//! all of it is under the client lock. In the modern form the trees' own locks let a lookup do
//! without it.

use std::sync::atomic::Ordering;

use super::cache::{Cache, List};
use super::client::Client;
use super::memory::Memory;
use super::slot::{NO_BLOCK, Slot};
use crate::era::BufioGeneration;

impl Client {
    /// Makes an opened slot findable, on the list that its state asks for.
    pub(super) fn link(&self, cache: &mut Cache, slot: &Slot) {
        let (block, list) = (slot.block(), List::of(slot.state()));
        self.index(cache, block, slot.number);
        cache.push(list, slot.number);
        self.0.counts[list as usize].store(cache.len(list), Ordering::Release);
        slot.accessed.store(self.tick(), Ordering::Relaxed);
        self.0.bufio.0.queue.add(self.0.number, slot);
    }

    /// Takes a claimed slot out of the index and off its list.
    pub(super) fn unlink(&self, cache: &mut Cache, slot: &Slot) {
        self.unindex(cache, slot.block(), slot.number);
        if let Some(list) = cache.pull(slot.number) {
            self.0.counts[list as usize].store(cache.len(list), Ordering::Release);
        }
        self.0.bufio.0.queue.remove(slot);
    }

    #[inline]
    pub(super) fn index(&self, cache: &mut Cache, block: u64, slot: u32) {
        match &self.0.trees {
            Some(trees) => trees.change(block, |tree| tree.insert(block, slot)),
            None => cache.table.insert(block, slot),
        }
    }

    #[inline]
    pub(super) fn unindex(&self, cache: &mut Cache, block: u64, slot: u32) {
        let had = match &self.0.trees {
            Some(trees) => trees.change(block, |tree| tree.remove(block)),
            None => cache.table.remove(block),
        };
        debug_assert_eq!(had, Some(slot), "block {block} has this buffer");
    }

    /// The block's slot, looked up under the client lock.
    #[inline]
    pub(super) fn indexed(&self, cache: &Cache, block: u64) -> Option<&Slot> {
        let number = match &self.0.trees {
            Some(trees) => trees.look(block, |tree| tree.get(block)),
            None => cache.table.get(block),
        };
        number.map(|number| self.slot(number))
    }

    /// Moves a buffer to the newest end of `list`.
    pub(super) fn move_to(&self, cache: &mut Cache, slot: &Slot, list: List) {
        let _tree = self.0.trees.as_ref().map(|trees| trees.still(slot.block()));
        let Some(from) = cache.pull(slot.number) else {
            return;
        };
        cache.push(list, slot.number);
        if from != list {
            for list in List::BOTH {
                self.0.counts[list as usize].store(cache.len(list), Ordering::Release);
            }
        }
    }

    /// A hit under the client lock: the classic list is in order of use, the others have a bit for
    /// it.
    pub(super) fn used(&self, cache: &mut Cache, slot: &Slot) {
        slot.accessed.store(self.tick(), Ordering::Relaxed);
        if self.0.generation() != BufioGeneration::V6_4
            && let Some(list) = cache.list_of(slot.number)
        {
            self.move_to(cache, slot, list);
        }
        slot.touch();
    }

    /// A hold of the block's buffer by the modern lookup: its tree's lock alone.
    pub(super) fn find_held(&self, block: u64) -> Option<&Slot> {
        let hold = |number| {
            let slot = self.slot(number);
            if !slot.hold() {
                return None;
            }
            if slot.block() != block {
                self.put(slot);
                return None;
            }
            slot.touch();
            slot.accessed.store(self.tick(), Ordering::Relaxed);
            Some(slot)
        };
        let trees = self.0.trees.as_ref()?;
        trees.look(block, |tree| tree.get(block).and_then(hold))
    }

    /// A claimed slot with this memory.
    pub(super) fn fill_slot(&self, cache: &mut Cache, memory: Memory) -> u32 {
        let slot = match cache.free.pop() {
            Some(number) => self.slot(number),
            None => self.0.slots.grow(),
        };
        let mut contents = slot.contents.lock();
        contents.memory = Some(memory);
        contents.data = vec![0; self.block_size()].into();
        contents.aux = vec![0; self.0.options.aux_size].into();
        slot.number
    }

    /// A claimed and unlinked slot that is not needed refills the reserve first: it is what
    /// progress rests on.
    pub(super) fn give_back(&self, cache: &mut Cache, number: u32) {
        self.slot(number).set_block(NO_BLOCK);
        if cache.reserved.len() < self.0.options.reserved_buffers {
            cache.reserved.push(number);
        } else {
            self.empty_slot(cache, number);
        }
        self.buffer_freed();
    }

    /// Frees a claimed slot's memory.
    pub(super) fn empty_slot(&self, cache: &mut Cache, number: u32) {
        let contents = std::mem::take(&mut *self.slot(number).contents.lock());
        if let Some(memory) = contents.memory {
            self.0.free_memory(memory);
        }
        cache.free.push(number);
    }

    /// Frees the reserve.
    pub(super) fn drop_reserve(&self, cache: &mut Cache) {
        while let Some(number) = cache.reserved.pop() {
            self.empty_slot(cache, number);
        }
    }
}
