//! `release_move`: giving a hold back and moving the buffer to another block (until 6.1).
//!
//! Written with dm-snapshot in mind, gone by 6.12: it does I/O with the client lock held.

use super::buffer::Buffer;
use super::cache::Locked;
use super::client::Client;
use super::lists::List;
use super::slot::State;
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::Site;
use crate::inject::Failpoint;

impl Client {
    /// Releases the buffer and makes its contents those of `new_block` (`dm_bufio_release_move`).
    /// If no other task holds it, it moves there, dirty; otherwise its contents are written there,
    /// and it stays. A buffer that was at `new_block` goes, once no task holds it.
    ///
    /// # Errors
    /// `EINVAL` past the end of the device, for a buffer of another client, or while the task maps
    /// a request; `EOPNOTSUPP` since 6.4. The hold is released all the same.
    #[track_caller]
    pub fn release_move(&self, buffer: Buffer<'_>, new_block: u64) -> Result<(), Errno> {
        let site = Site::here();
        let _layer = self.enter();
        if self.generation() == BufioGeneration::V6_4 {
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
        let mut lists = self.make_room(new_block, site);
        self.0.io.pause(Failpoint::BufioPauseMove);
        self.0.io.wait_clear(slot, State::READING, "buffer READING", site);
        if let Some(bio) = self.0.io.start_write(slot, site) {
            self.0.io.submit_write(bio);
        }
        if slot.holds() == 1 {
            self.0.io.wait_clear(slot, State::WRITING, "buffer WRITING", site);
            self.0.cache.rename(slot, old_block, new_block);
            let size = self.0.options.block_size;
            slot.contents.lock().dirty(0, size);
            slot.set(State::DIRTY);
            self.0.cache.move_to(&mut lists, slot, List::Dirty);
        } else {
            self.0.io.take_writing(slot, site);
            self.0.cache.rename(slot, old_block, new_block);
            slot.contents.lock().dirty = (0, 0);
            let bio = self.0.io.write_of(slot);
            self.0.io.submit_write(bio);
            self.0.io.wait_clear(slot, State::WRITING, "buffer WRITING", site);
            self.0.cache.rename(slot, new_block, old_block);
        }
        drop(lists);
        Ok(())
    }

    /// Waits until no task holds a buffer of `block`, and lets it go; returns with the client lock.
    fn make_room(&self, block: u64, site: Site) -> Locked<'_> {
        let mut lists = self.lock();
        while let Some(slot) = self.0.cache.indexed(block) {
            let about = self.0.pool.waiters.begin();
            if slot.claim() {
                drop(about);
                self.0.cache.unlink(&mut lists, slot);
                self.0.io.make_clean(slot, site);
                self.0.pool.give_back(slot.number);
                break;
            }
            drop(lists);
            about.wait_without_limit(site);
            drop(about);
            lists = self.lock();
        }
        lists
    }
}
