//! get, read, new, prefetch, forget.
//!
//! Key functions: [`Client::get`], [`Client::read`], [`Client::new_block`], [`Client::prefetch`].
//! Each takes a hold and waits only after the client lock is dropped.

use super::buffer::Buffer;
use super::client::Client;
use super::lists::{List, Lists};
use super::options::Contents;
use super::slot::{NO_BLOCK, Slot, SlotContents, State};
use crate::error::Errno;
use crate::event::Site;

/// The purpose of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Read,
    New,
    Prefetch,
}

impl Client {
    /// The block if it is cached and readable now; never waits for I/O (`dm_bufio_get`).
    ///
    /// # Panics
    /// Where nothing may sleep, if the client is not in no-sleep mode.
    #[track_caller]
    pub fn get(&self, block: u64) -> Option<Buffer<'_>> {
        let site = Site::here();
        let _layer = self.enter();
        assert!(
            self.0.options.no_sleep || !self.shared().marks.is_atomic(),
            "scheduling while atomic: the client may sleep"
        );
        let slot = if self.0.cache.is_modern() {
            self.0.cache.find_held(block)?
        } else {
            let mut lists = self.lock();
            let slot = self.find(&mut lists, block)?;
            if slot.has(State::READING) || !slot.hold() {
                return None;
            }
            slot
        };
        if slot.has(State::READING) || slot.failed() {
            self.0.pool.put(slot);
            return None;
        }
        Some(Buffer::new(self, slot, site))
    }

    /// The block, read from the device if it is not cached (`dm_bufio_read`).
    ///
    /// # Errors
    /// `EINVAL` past the end of the device, or while the task maps a request; else the error of the
    /// device.
    #[track_caller]
    pub fn read(&self, block: u64) -> Result<Buffer<'_>, Errno> {
        self.make(block, Purpose::Read, Site::here())
    }

    /// The block without reading it: the caller fills it and marks it dirty (`dm_bufio_new`).
    ///
    /// # Errors
    /// As [`Client::read`]; the error of a read that was in flight.
    #[track_caller]
    pub fn new_block(&self, block: u64) -> Result<Buffer<'_>, Errno> {
        self.make(block, Purpose::New, Site::here())
    }

    #[track_caller]
    fn make(&self, block: u64, purpose: Purpose, site: Site) -> Result<Buffer<'_>, Errno> {
        let _layer = self.enter();
        self.may_wait("reading or making a buffer")?;
        let (slot, made) =
            self.find_or_make(block, purpose, site)?.expect("only a prefetch gives up");
        let buffer = Buffer::new(self, slot, site);
        if made && purpose == Purpose::Read {
            self.0.io.submit_read(slot);
        }
        self.0.io.wait_clear(slot, State::READING, "buffer READING", site);
        let error = if slot.failed() { slot.contents.lock().read_error } else { None };
        error.map_or(Ok(buffer), Err)
    }

    /// Starts reading those of `count` blocks that are not cached, and waits for none
    /// (`dm_bufio_prefetch`). It is a hint: blocks past the end and blocks for which there is no
    /// memory at once are left out.
    #[track_caller]
    pub fn prefetch(&self, block: u64, count: u64) {
        let site = Site::here();
        let _layer = self.enter();
        self.may_sleep("prefetching");
        for block in block..block.saturating_add(count).min(self.device_blocks()) {
            if let Ok(Some((slot, made))) = self.find_or_make(block, Purpose::Prefetch, site) {
                if made {
                    self.0.io.submit_read(slot);
                }
                self.0.pool.put(slot);
            }
        }
    }

    /// Lets the block go if no task holds it and it is clean and idle (`dm_bufio_forget`).
    pub fn forget(&self, block: u64) {
        self.forget_buffers(block, 1);
    }

    /// The same for `count` blocks (`dm_bufio_forget_buffers`).
    ///
    /// # Panics
    /// In no-sleep mode: a range takes too long for a lock that keeps the machine from sleeping.
    pub fn forget_buffers(&self, block: u64, count: u64) {
        let _layer = self.enter();
        assert!(
            count <= 1 || !self.0.options.no_sleep,
            "a range is not forgotten in no-sleep mode"
        );
        let site = Site::here();
        let mut lists = self.lock();
        let range = block..block.saturating_add(count).min(self.device_blocks());
        if count <= lists.total() {
            for block in range {
                if let Some(slot) = self.0.cache.indexed(block) {
                    self.evict(&mut lists, slot, false, site);
                }
            }
            return;
        }
        for list in List::BOTH {
            for number in lists.all(list) {
                let slot = self.slot(number);
                if range.contains(&slot.block()) {
                    self.evict(&mut lists, slot, false, site);
                }
            }
        }
    }

    /// The cached buffer, marked as used now. A buffer that failed and that no task uses is dropped
    /// from the cache instead.
    fn find(&self, lists: &mut Lists, block: u64) -> Option<&Slot> {
        let cache = &self.0.cache;
        let slot = cache.indexed(block)?;
        if slot.failed() && slot.state() == 0 && slot.claim() {
            cache.unlink(lists, slot);
            self.0.pool.give_back(slot.number);
            return None;
        }
        cache.used(lists, slot);
        Some(slot)
    }

    /// The same with a hold.
    fn find_and_hold(&self, lists: &mut Lists, block: u64) -> Option<&Slot> {
        let slot = self.find(lists, block)?;
        assert!(slot.hold(), "under the client lock no other task evicts");
        Some(slot)
    }

    /// A hold on the block's buffer, created if necessary, and whether it was created; `None` if a
    /// prefetch gives up.
    fn find_or_make(
        &self,
        block: u64,
        purpose: Purpose,
        site: Site,
    ) -> Result<Option<(&Slot, bool)>, Errno> {
        if block >= self.device_blocks() {
            return Err(Errno::EINVAL);
        }
        if let Some(slot) = self.0.cache.find_held(block) {
            if !slot.failed() {
                return Ok(Some((slot, false)));
            }
            self.0.pool.put(slot);
        }
        let mut lists = self.lock();
        if let Some(slot) = self.find_and_hold(&mut lists, block) {
            return Ok(Some((slot, false)));
        }
        let (mut lists, fresh) = self.alloc_buffer(lists, purpose == Purpose::Prefetch, site);
        let Some(fresh) = fresh else {
            return Ok(None);
        };
        // The lock may have been dropped: another task may have made the buffer meanwhile.
        if let Some(slot) = self.find_and_hold(&mut lists, block) {
            self.0.pool.give_back(fresh);
            return Ok(Some((slot, false)));
        }
        let writes = self.check_watermark(&mut lists, site);
        let slot = self.install(&mut lists, fresh, block, purpose);
        drop(lists);
        self.0.io.submit_writes(writes);
        self.0.bufio.check_size();
        Ok(Some((slot, true)))
    }

    /// Makes a claimed slot with memory the block's buffer, held once, and findable.
    fn install(&self, lists: &mut Lists, fresh: u32, block: u64, purpose: Purpose) -> &Slot {
        let slot = self.slot(fresh);
        self.hand_out(slot, block);
        slot.open(block, if purpose == Purpose::New { 0 } else { State::READING });
        self.0.cache.link(lists, slot);
        slot
    }

    /// Makes a claimed slot's contents those of a new buffer.
    fn hand_out(&self, slot: &Slot, block: u64) {
        debug_assert_eq!(slot.block(), NO_BLOCK, "a slot that is handed out caches nothing");
        let mut contents = slot.contents.lock();
        contents.request = None;
        (contents.read_error, contents.write_error, contents.dirty) = (None, None, (0, 0));
        if let Some(callback) = &self.0.options.alloc_callback {
            let SlotContents { data, aux, .. } = &mut *contents;
            callback.call(&mut Contents { block, data, aux });
        }
    }
}
