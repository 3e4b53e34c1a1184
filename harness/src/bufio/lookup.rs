//! get, read, new, prefetch, forget.
//!
//! Key functions: [`Client::get`], [`Client::read`], [`Client::new_block`], [`Client::prefetch`].
//! Each takes a hold and waits only after the client lock is dropped.

use std::sync::atomic::Ordering;

use reclaimdep_scope as scope;

use super::buffer::Buffer;
use super::cache::{Cache, List};
use super::client::Client;
use super::options::Contents as Seen;
use super::slot::{NO_BLOCK, Slot, State};
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::Site;
use crate::inject::Failpoint;
use crate::sched::{OnSide, quiet};

/// For what a buffer is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    Read,
    New,
    Prefetch,
}

impl Client {
    /// Enters the client's layer on the running task; what is allocated there is the harness's.
    #[inline]
    pub(super) fn enter(&self) -> (scope::LayerGuard, OnSide) {
        let ours = quiet();
        let layer = self.0.layer;
        (scope::enter(layer.layer, layer.instance), ours)
    }

    /// The block if it is cached and readable now; never waits for I/O (`dm_bufio_get`).
    ///
    /// # Panics
    /// Where nothing may sleep, if the client is not in no-sleep mode.
    #[track_caller]
    pub fn get(&self, block: u64) -> Option<Buffer<'_>> {
        let site = Site::here();
        let _layer = self.enter();
        self.may_get();
        let slot = if self.0.generation() == BufioGeneration::V6_4 {
            self.find_held(block)?
        } else {
            let mut cache = self.lock();
            let slot = self.find(&mut cache, block)?;
            if slot.has(State::READING) || !slot.hold() {
                return None;
            }
            slot
        };
        if slot.has(State::READING) || slot.failed() {
            self.put(slot);
            return None;
        }
        Some(Buffer::new(self, slot, site))
    }

    /// The block, read from the device if it is not cached (`dm_bufio_read`).
    ///
    /// # Errors
    /// `EINVAL` past the end of the device, or while the task maps a request; else what the device
    /// says.
    #[track_caller]
    pub fn read(&self, block: u64) -> Result<Buffer<'_>, Errno> {
        self.make(block, Want::Read, Site::here())
    }

    /// The block without reading it: the caller fills it and marks it dirty (`dm_bufio_new`).
    ///
    /// # Errors
    /// As [`Client::read`]; the error of a read that was in flight.
    #[track_caller]
    pub fn new_block(&self, block: u64) -> Result<Buffer<'_>, Errno> {
        self.make(block, Want::New, Site::here())
    }

    #[track_caller]
    fn make(&self, block: u64, want: Want, site: Site) -> Result<Buffer<'_>, Errno> {
        let _layer = self.enter();
        self.may_wait("reading or making a buffer")?;
        let (slot, made) = self.find_or_make(block, want, site)?.expect("only a prefetch gives up");
        let buffer = Buffer::new(self, slot, site);
        if made && want == Want::Read {
            self.submit_read(slot);
        }
        self.wait_clear(slot, State::READING, "buffer READING", site);
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
            if let Ok(Some((slot, made))) = self.find_or_make(block, Want::Prefetch, site) {
                if made {
                    self.submit_read(slot);
                }
                self.put(slot);
            }
        }
    }

    /// Lets the block go if nobody holds it and it is clean and idle (`dm_bufio_forget`).
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
        let mut cache = self.lock();
        let range = block..block.saturating_add(count).min(self.device_blocks());
        if count <= cache.total() {
            for block in range {
                if let Some(slot) = self.indexed(&cache, block) {
                    self.evict(&mut cache, slot, false, site);
                }
            }
            return;
        }
        for list in List::BOTH {
            for number in cache.all(list) {
                let slot = self.slot(number);
                if range.contains(&slot.block()) {
                    self.evict(&mut cache, slot, false, site);
                }
            }
        }
    }

    /// Gives a hold back; at the last one, whoever waits for a free buffer looks again.
    #[inline]
    pub(super) fn put(&self, slot: &Slot) {
        if slot.put() {
            self.buffer_freed();
        }
    }

    /// Somebody may find a free buffer now.
    pub(super) fn buffer_freed(&self) {
        if self.0.waiting.load(Ordering::SeqCst) > 0
            && !self.0.bufio.fires(Failpoint::BufioLostWake)
        {
            self.0.freed.fetch_add(1, Ordering::SeqCst);
            self.0.free_wait.wake_all();
        }
    }

    /// The cached buffer, as used now; one that failed and that nobody uses is dropped from the
    /// cache instead.
    #[inline]
    fn find(&self, cache: &mut Cache, block: u64) -> Option<&Slot> {
        let slot = self.indexed(cache, block)?;
        if slot.failed() && slot.state() == 0 && slot.claim() {
            self.unlink(cache, slot);
            self.give_back(cache, slot.number);
            return None;
        }
        self.used(cache, slot);
        Some(slot)
    }

    /// The same with a hold.
    fn find_and_hold(&self, cache: &mut Cache, block: u64) -> Option<&Slot> {
        let slot = self.find(cache, block)?;
        assert!(slot.hold(), "under the client lock nobody else evicts");
        Some(slot)
    }

    /// A hold on the block's buffer, made if there is none; says whether it was made. None where a
    /// prefetch gives up.
    fn find_or_make(
        &self,
        block: u64,
        want: Want,
        site: Site,
    ) -> Result<Option<(&Slot, bool)>, Errno> {
        if !self.is_inside(block) {
            return Err(Errno::EINVAL);
        }
        if let Some(slot) = self.find_held(block) {
            if !slot.failed() {
                return Ok(Some((slot, false)));
            }
            self.put(slot);
        }
        let mut cache = self.lock();
        if let Some(slot) = self.find_and_hold(&mut cache, block) {
            return Ok(Some((slot, false)));
        }
        let (mut cache, fresh) = self.alloc_buffer(cache, want == Want::Prefetch, site);
        let Some(fresh) = fresh else {
            return Ok(None);
        };
        // The lock may have been dropped: another task may have made the buffer meanwhile.
        if let Some(slot) = self.find_and_hold(&mut cache, block) {
            self.give_back(&mut cache, fresh);
            return Ok(Some((slot, false)));
        }
        let writes = self.check_watermark(&mut cache, site);
        let slot = self.install(&mut cache, fresh, block, want);
        drop(cache);
        self.submit_writes(writes);
        self.0.bufio.check_size();
        Ok(Some((slot, true)))
    }

    /// Makes a claimed slot with memory the block's buffer, held once, and findable.
    pub(super) fn install(&self, cache: &mut Cache, fresh: u32, block: u64, want: Want) -> &Slot {
        let slot = self.slot(fresh);
        self.hand_out(slot, block);
        slot.open(block, if want == Want::New { 0 } else { State::READING });
        self.link(cache, slot);
        slot
    }

    /// Makes a claimed slot's contents those of a new buffer.
    #[inline]
    fn hand_out(&self, slot: &Slot, block: u64) {
        debug_assert_eq!(slot.block(), NO_BLOCK, "a slot that is handed out caches nothing");
        let mut contents = slot.contents.lock();
        contents.request = None;
        (contents.read_error, contents.write_error, contents.dirty) = (None, None, (0, 0));
        if let Some(callback) = &self.0.options.alloc_callback {
            let super::slot::Contents { data, aux, .. } = &mut *contents;
            callback.call(&mut Seen { block, data, aux });
        }
    }
}
