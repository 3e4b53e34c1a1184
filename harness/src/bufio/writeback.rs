//! Writing dirty buffers, flushing and discarding.
//!
//! Key functions: [`Client::write_dirty_buffers`], [`Client::write_dirty_buffers_async`].

use super::cache::{Cache, List};
use super::client::Client;
use super::slot::{Slot, State};
use crate::block;
use crate::error::Errno;
use crate::event::Site;
use crate::inject::Failpoint;
use crate::sched::MutexGuard;
use crate::units::Sectors;

impl Client {
    /// Starts the write of every dirty buffer, in the order of the list, and waits for none but
    /// those that are written already (`dm_bufio_write_dirty_buffers_async`).
    ///
    /// # Panics
    /// As [`Client::read`].
    #[track_caller]
    pub fn write_dirty_buffers_async(&self) {
        let site = Site::here();
        let _layer = self.enter();
        self.may_sleep("writing");
        self.start_all_writes(site);
    }

    /// Writes every dirty buffer, waits, flushes the device (`dm_bufio_write_dirty_buffers`).
    ///
    /// # Errors
    /// The first write error since the last call, else the flush's; `EINVAL` while the task maps a
    /// request. What a write failed to write is not dirty any more, is not tried again, and leaves
    /// the cache when nobody holds it: whoever still has the data marks it dirty once more
    /// ([`Client::write_failures`] says whether any was lost).
    #[track_caller]
    pub fn write_dirty_buffers(&self) -> Result<(), Errno> {
        let site = Site::here();
        let _layer = self.enter();
        self.may_wait("writing and waiting")?;
        self.start_all_writes(site);
        self.wait_for_writes(site);
        let error = self.0.async_write_error.lock().take();
        let flushed = block::flush(&*self.0.device);
        error.map_or(flushed, Err)
    }

    /// Makes what was written durable (`dm_bufio_issue_flush`).
    ///
    /// # Errors
    /// What the device says; `EINVAL` while the task maps a request.
    #[track_caller]
    pub fn issue_flush(&self) -> Result<(), Errno> {
        let _layer = self.enter();
        self.may_wait("flushing")?;
        block::flush(&*self.0.device)
    }

    /// Lets the device forget `count` blocks (`dm_bufio_issue_discard`). Buffers of them stay as
    /// they are.
    ///
    /// # Errors
    /// `EINVAL` past the end of the device or while the task maps a request; else what the device
    /// says.
    #[track_caller]
    pub fn issue_discard(&self, block: u64, count: u64) -> Result<(), Errno> {
        let _layer = self.enter();
        self.may_wait("discarding")?;
        let end = block
            .checked_add(count)
            .filter(|end| *end <= self.device_blocks())
            .ok_or(Errno::EINVAL)?;
        let start = self.sector(block);
        block::discard(&*self.0.device, start, Sectors(self.sector(end).0 - start.0))
    }

    /// Takes WRITING of every dirty buffer in list order under the lock, and submits without it.
    fn start_all_writes(&self, site: Site) {
        let bios = {
            let mut cache = self.lock();
            self.move_finished(&mut cache);
            let (walk, mut bios) = (cache.walk(List::Dirty), Vec::new());
            while let Some(number) = cache.step(List::Dirty, walk) {
                bios.extend(self.start_write(self.slot(number), site));
            }
            cache.end(List::Dirty, walk);
            bios
        };
        self.submit_writes(bios);
    }

    /// Waits for each write: without the lock for as many as were dirty at the start, with it for
    /// any more, so that tasks which keep dirtying cannot hold this one for ever.
    fn wait_for_writes(&self, site: Site) {
        let mut cache = self.lock();
        let mut unlocked_waits = cache.len(List::Dirty);
        while let Some(number) = self.being_written(&mut cache) {
            if unlocked_waits > 0 {
                unlocked_waits -= 1;
                cache = self.wait_unlocked(cache, number, site);
            } else {
                self.pause(Failpoint::BufioPauseTail);
                self.wait_clear(self.slot(number), State::WRITING, "buffer WRITING", site);
            }
            self.move_finished(&mut cache);
        }
        self.move_finished(&mut cache);
    }

    fn being_written(&self, cache: &mut Cache) -> Option<u32> {
        let walk = cache.walk(List::Dirty);
        let mut found = None;
        while let Some(number) = cache.step(List::Dirty, walk) {
            if self.slot(number).has(State::WRITING) {
                found = Some(number);
                break;
            }
        }
        cache.end(List::Dirty, walk);
        found
    }

    /// Waits for a write without the lock; a hold keeps the buffer where it is.
    fn wait_unlocked<'a>(
        &'a self,
        cache: MutexGuard<'a, Cache>,
        number: u32,
        site: Site,
    ) -> MutexGuard<'a, Cache> {
        let slot = self.hold_listed(number);
        drop(cache);
        self.wait_held(slot, site);
        self.lock()
    }

    /// Takes a hold of a buffer on a list, under the client lock.
    fn hold_listed(&self, number: u32) -> &Slot {
        let slot = self.slot(number);
        assert!(slot.hold(), "under the client lock nobody else evicts");
        slot
    }

    /// Waits for a write, and gives the hold back.
    fn wait_held(&self, slot: &Slot, site: Site) {
        self.wait_clear(slot, State::WRITING, "buffer WRITING", site);
        self.put(slot);
    }

    /// Completion cannot move lists; process context does it when it comes by.
    pub(super) fn move_finished(&self, cache: &mut Cache) {
        let walk = cache.walk(List::Dirty);
        while let Some(number) = cache.step(List::Dirty, walk) {
            let slot = self.slot(number);
            if !slot.has(State::DIRTY | State::WRITING) {
                self.move_to(cache, slot, List::Clean);
            }
        }
        cache.end(List::Dirty, walk);
    }
}
