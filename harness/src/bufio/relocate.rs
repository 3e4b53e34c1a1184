//! `release_move`: giving a hold back and moving the buffer to another block (until 6.1).
//!
//! Written with dm-snapshot in mind, gone by 6.12: it does I/O with the client lock held.

use std::sync::atomic::Ordering;

use super::buffer::Buffer;
use super::cache::{Cache, List};
use super::client::Client;
use super::slot::{NO_BLOCK, Slot, State};
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::{Resource, Site};
use crate::inject::Failpoint;
use crate::sched::{MutexGuard, Waiting};

impl Client {
    /// Releases the buffer and makes its contents those of `new_block` (`dm_bufio_release_move`).
    /// If nobody else holds it, it moves there, dirty; otherwise its contents are written there,
    /// and it stays. Whatever buffer was at `new_block` goes, once nobody holds it.
    ///
    /// # Errors
    /// `EINVAL` past the end of the device, for a buffer of another client, or while the task maps
    /// a request; `EOPNOTSUPP` since 6.4. The hold is released all the same.
    #[track_caller]
    pub fn release_move(&self, buffer: Buffer<'_>, new_block: u64) -> Result<(), Errno> {
        let site = Site::here();
        let _layer = self.enter();
        if self.0.generation() == BufioGeneration::V6_4 {
            return Err(Errno::EOPNOTSUPP);
        }
        self.may_wait("moving a buffer")?;
        let theirs = !std::sync::Arc::ptr_eq(&self.0, &buffer.client.0);
        if theirs || new_block >= self.device_blocks() {
            return Err(Errno::EINVAL);
        }
        let (slot, old_block) = (self.slot(buffer.slot.number), buffer.block());
        if old_block == new_block {
            return Ok(());
        }
        let mut cache = self.make_room(new_block, site);
        self.pause(Failpoint::BufioPauseMove);
        self.wait_clear(slot, State::READING, "buffer READING", site);
        if let Some(bio) = self.start_write(slot, site) {
            self.submit_write(bio);
        }
        if slot.holds() == 1 {
            self.wait_clear(slot, State::WRITING, "buffer WRITING", site);
            self.rename(&mut cache, slot, old_block, new_block);
            let size = self.0.options.block_size;
            slot.contents.lock().dirty(0, size);
            slot.set(State::DIRTY);
            self.move_to(&mut cache, slot, List::Dirty);
        } else {
            self.take_writing(slot, site);
            self.rename(&mut cache, slot, old_block, new_block);
            slot.contents.lock().dirty = (0, 0);
            let bio = self.write_of(slot);
            self.submit_write(bio);
            self.wait_clear(slot, State::WRITING, "buffer WRITING", site);
            self.rename(&mut cache, slot, new_block, old_block);
        }
        drop(cache);
        Ok(())
    }

    /// Waits until nobody holds a buffer of `block`, and lets it go; returns with the client lock.
    fn make_room(&self, block: u64, site: Site) -> MutexGuard<'_, Cache> {
        let mut cache = self.lock();
        loop {
            let Some(slot) = self.indexed(&cache, block) else {
                return cache;
            };
            self.0.waiting.fetch_add(1, Ordering::SeqCst);
            let seen = self.0.freed.load(Ordering::SeqCst);
            if slot.claim() {
                self.0.waiting.fetch_sub(1, Ordering::SeqCst);
                self.unlink(&mut cache, slot);
                self.make_clean(slot, site);
                slot.set_block(NO_BLOCK);
                self.give_back(&mut cache, slot.number);
                return cache;
            }
            drop(cache);
            let resource = Resource::Condition(self.0.free_buffer);
            let waiting = Waiting { resource, why: "free buffer", breakable: false, site };
            let freed = || self.0.freed.load(Ordering::SeqCst) != seen;
            let waited = self.0.free_wait.wait_until(waiting, freed);
            debug_assert!(waited.is_ok(), "a wait for a buffer is never broken");
            self.0.waiting.fetch_sub(1, Ordering::SeqCst);
            cache = self.lock();
        }
    }

    fn rename(&self, cache: &mut Cache, slot: &Slot, from: u64, to: u64) {
        self.unindex(cache, from, slot.number);
        slot.set_block(to);
        self.index(cache, to, slot.number);
    }
}
