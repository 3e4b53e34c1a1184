//! A client's buffers: their slots, their memory, the reserve, and the tasks that wait for one.
//!
//! Key type: [`Pool`]. A slot here is claimed and on no list: it is free (without memory), in the
//! reserve (with memory), or about to be handed out. Locking: reserve and free slots are leaves.

use std::sync::Arc;

use super::allocator::Allocator;
use super::memory::Memory;
use super::options::ClientOptions;
use super::shared::Shared;
use super::slot::{NO_BLOCK, Slot};
use super::slots::Slots;
use super::waiters::Waiters;
use crate::event::Gfp;
use crate::sched::SpinLock;

/// The buffers of one client.
pub(super) struct Pool {
    slots: Slots,
    allocator: Allocator,
    pub(super) waiters: Waiters,
    block_size: usize,
    aux_size: usize,
    /// How many buffers the reserve is meant to have.
    reserve_size: usize,
    /// Slots with memory, for the time when no memory can be allocated.
    reserved: SpinLock<Vec<u32>>,
    /// Slots without memory.
    free: SpinLock<Vec<u32>>,
}

impl Pool {
    pub(super) fn new(shared: &Arc<Shared>, options: &ClientOptions, device: &str) -> Self {
        Self {
            slots: Slots::new(),
            allocator: Allocator::new(shared, options.block_size),
            waiters: Waiters::new(shared, device),
            block_size: options.block_size as usize,
            aux_size: options.aux_size,
            reserve_size: options.reserved_buffers,
            reserved: SpinLock::default(),
            free: SpinLock::default(),
        }
    }

    pub(super) fn slot(&self, number: u32) -> &Slot {
        self.slots.get(number)
    }

    /// Memory for one buffer.
    pub(super) fn alloc(&self, mask: Gfp) -> Option<Memory> {
        self.allocator.alloc(mask)
    }

    /// A claimed slot with this memory.
    pub(super) fn fill(&self, memory: Memory) -> u32 {
        let free = self.free.lock().pop();
        let slot = free.map_or_else(|| self.slots.grow(), |number| self.slot(number));
        let mut contents = slot.contents.lock();
        contents.memory = Some(memory);
        contents.data = vec![0; self.block_size].into();
        contents.aux = vec![0; self.aux_size].into();
        slot.number
    }

    /// Takes a claimed and unlinked slot back. The reserve is refilled first, because the client's
    /// progress depends on it.
    pub(super) fn give_back(&self, number: u32) {
        self.slot(number).set_block(NO_BLOCK);
        if !self.reserve(number) {
            self.empty(number);
        }
        self.waiters.freed();
    }

    /// Puts a claimed slot with memory into the reserve; says whether there was room.
    pub(super) fn reserve(&self, number: u32) -> bool {
        let mut reserved = self.reserved.lock();
        let room = reserved.len() < self.reserve_size;
        if room {
            reserved.push(number);
        }
        room
    }

    /// A claimed slot of the reserve.
    pub(super) fn take_reserved(&self) -> Option<u32> {
        self.reserved.lock().pop()
    }

    /// Frees the reserve.
    pub(super) fn drop_reserve(&self) {
        while let Some(number) = self.take_reserved() {
            self.empty(number);
        }
    }

    fn empty(&self, number: u32) {
        let contents = std::mem::take(&mut *self.slot(number).contents.lock());
        if let Some(memory) = contents.memory {
            self.allocator.free(memory);
        }
        self.free.lock().push(number);
    }

    /// Gives a hold back; if it was the last, a task that waits for a free buffer looks again.
    pub(super) fn put(&self, slot: &Slot) {
        if slot.put() {
            self.waiters.freed();
        }
    }

    /// Frees the memory that belongs to no buffer, at the client's end.
    pub(super) fn close(&self) {
        self.drop_reserve();
        self.allocator.close();
    }
}

impl Drop for Pool {
    /// The memory of a client that was not destroyed leaves the accounts.
    fn drop(&mut self) {
        for slot in self.slots.all() {
            let memory = slot.contents.lock().memory.take();
            memory.into_iter().for_each(|memory| self.allocator.free(memory));
        }
    }
}
