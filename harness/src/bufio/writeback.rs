//! Writing dirty buffers, flushing and discarding.
//!
//! Key functions: [`Client::write_dirty_buffers`], [`Client::write_dirty_buffers_async`].

use super::cache::Locked;
use super::client::Client;
use super::lists::{List, Lists};
use super::slot::State;
use crate::block;
use crate::error::Errno;
use crate::event::Site;
use crate::inject::Failpoint;
use crate::units::Sectors;

impl Client {
    /// Starts the write of every dirty buffer, in the order of the list, and only waits for buffers
    /// that are being written already (`dm_bufio_write_dirty_buffers_async`).
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
    /// request. A buffer whose write failed is not dirty any more, is not written again, and leaves
    /// the cache when no task holds it: a caller that still has the data marks it dirty once more
    /// ([`Client::write_failures`] says whether any write failed).
    #[track_caller]
    pub fn write_dirty_buffers(&self) -> Result<(), Errno> {
        let site = Site::here();
        let _layer = self.enter();
        self.may_wait("writing and waiting")?;
        self.start_all_writes(site);
        self.wait_for_writes(site);
        let error = self.0.io.take_write_error();
        let flushed = block::flush(&**self.device());
        error.map_or(flushed, Err)
    }

    /// Makes completed writes durable (`dm_bufio_issue_flush`).
    ///
    /// # Errors
    /// The error of the device; `EINVAL` while the task maps a request.
    #[track_caller]
    pub fn issue_flush(&self) -> Result<(), Errno> {
        let _layer = self.enter();
        self.may_wait("flushing")?;
        block::flush(&**self.device())
    }

    /// Lets the device forget `count` blocks (`dm_bufio_issue_discard`). Buffers of them stay as
    /// they are.
    ///
    /// # Errors
    /// `EINVAL` past the end of the device or while the task maps a request; else the error of
    /// the device.
    #[track_caller]
    pub fn issue_discard(&self, block: u64, count: u64) -> Result<(), Errno> {
        let _layer = self.enter();
        self.may_wait("discarding")?;
        let end = block
            .checked_add(count)
            .filter(|end| *end <= self.device_blocks())
            .ok_or(Errno::EINVAL)?;
        let start = self.0.io.sector(block);
        block::discard(&**self.device(), start, Sectors(self.0.io.sector(end).0 - start.0))
    }

    /// Takes WRITING of every dirty buffer in list order under the lock, and submits without it.
    fn start_all_writes(&self, site: Site) {
        let bios = {
            let mut lists = self.lock();
            self.move_finished(&mut lists);
            let (walk, mut bios) = (lists.walk(List::Dirty), Vec::new());
            while let Some(number) = lists.step(List::Dirty, walk) {
                bios.extend(self.0.io.start_write(self.slot(number), site));
            }
            lists.end(List::Dirty, walk);
            bios
        };
        self.0.io.submit_writes(bios);
    }

    /// Waits for each write: without the lock for as many as were dirty at the start, with it for
    /// any more, so that tasks which keep dirtying cannot hold this one for ever.
    fn wait_for_writes(&self, site: Site) {
        let mut lists = self.lock();
        let mut unlocked_waits = lists.len(List::Dirty);
        while let Some(number) = self.being_written(&mut lists) {
            if unlocked_waits > 0 {
                unlocked_waits -= 1;
                lists = self.wait_unlocked(lists, number, site);
            } else {
                self.0.io.pause(Failpoint::BufioPauseTail);
                self.0.io.wait_clear(self.slot(number), State::WRITING, "buffer WRITING", site);
            }
            self.move_finished(&mut lists);
        }
        self.move_finished(&mut lists);
    }

    fn being_written(&self, lists: &mut Lists) -> Option<u32> {
        let walk = lists.walk(List::Dirty);
        let mut found = None;
        while let Some(number) = lists.step(List::Dirty, walk) {
            if self.slot(number).has(State::WRITING) {
                found = Some(number);
                break;
            }
        }
        lists.end(List::Dirty, walk);
        found
    }

    /// Waits for a write without the lock; a hold keeps the buffer in its place.
    fn wait_unlocked<'a>(&'a self, lists: Locked<'a>, number: u32, site: Site) -> Locked<'a> {
        let slot = self.slot(number);
        assert!(slot.hold(), "under the client lock no other task evicts");
        drop(lists);
        self.0.io.wait_clear(slot, State::WRITING, "buffer WRITING", site);
        self.0.pool.put(slot);
        self.lock()
    }

    /// Moves idle buffers to the clean list: completion cannot move them, process context does.
    pub(super) fn move_finished(&self, lists: &mut Lists) {
        let walk = lists.walk(List::Dirty);
        while let Some(number) = lists.step(List::Dirty, walk) {
            let slot = self.slot(number);
            if !slot.has(State::DIRTY | State::WRITING) {
                self.0.cache.move_to(lists, slot, List::Clean);
            }
        }
        lists.end(List::Dirty, walk);
    }
}
