//! get, read, new; and mark dirty.
//!
//! Key functions: [`Client::get`], [`Client::read`], [`Client::new_block`], [`Buffer::mark_dirty`].
//! Each looks the block up under the client lock, takes a hold, and waits only after the lock is
//! dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reclaimdep_scope as scope;

use super::buffer::{Buf, Buffer, State};
use super::client::{Cache, Client};
use crate::error::Errno;
use crate::event::Site;
use crate::sched::{OnSide, quiet};

impl Client {
    /// Enters the client's layer on the running task; what is allocated there is the harness's.
    pub(super) fn enter(&self) -> (scope::LayerGuard, OnSide) {
        let ours = quiet();
        (scope::enter(self.0.layer.layer, self.0.layer.instance), ours)
    }

    /// The block if it is cached and readable now; never waits for I/O (`dm_bufio_get`).
    #[track_caller]
    pub fn get(&self, block: u64) -> Option<Buffer> {
        let _layer = self.enter();
        let mut cache = self.0.cache.lock();
        let buf = self.find(&mut cache, block)?;
        if buf.has(State::READING) {
            return None;
        }
        cache.relist(&buf);
        Some(Buffer::hold(self, &buf))
    }

    /// The block, read from the device if it is not cached (`dm_bufio_read`).
    ///
    /// # Errors
    /// `EINVAL` past the end of the device; else what the device says.
    #[track_caller]
    pub fn read(&self, block: u64) -> Result<Buffer, Errno> {
        let site = Site::here();
        let _layer = self.enter();
        let (buffer, made) = self.find_or_make(block, State::READING, site)?;
        if made {
            self.submit_read(&buffer.buf);
        }
        buffer.buf.wait_clear(State::READING, "buffer READING", site);
        let error = *buffer.buf.read_error.lock();
        match error {
            Some(errno) => Err(errno),
            None => Ok(buffer),
        }
    }

    /// The block without reading it: the caller fills it and marks it dirty (`dm_bufio_new`).
    ///
    /// # Errors
    /// `EINVAL` past the end of the device; the error of a read that was in flight.
    #[track_caller]
    pub fn new_block(&self, block: u64) -> Result<Buffer, Errno> {
        let site = Site::here();
        let _layer = self.enter();
        let (buffer, _) = self.find_or_make(block, 0, site)?;
        buffer.buf.wait_clear(State::READING, "buffer READING", site);
        let error = *buffer.buf.read_error.lock();
        error.map_or(Ok(buffer), Err)
    }

    /// The cached buffer; one that failed and that nobody uses is dropped from the cache instead.
    fn find(&self, cache: &mut Cache, block: u64) -> Option<Arc<Buf>> {
        let buf = Arc::clone(cache.index.get(&block)?);
        if buf.failed() && !buf.held() && buf.state() == 0 {
            self.free(cache, &buf);
            return None;
        }
        Some(buf)
    }

    /// A hold on the block's buffer, made with `state` if there is none; says whether it was made.
    fn find_or_make(&self, block: u64, state: u8, site: Site) -> Result<(Buffer, bool), Errno> {
        if block >= self.device_blocks() {
            return Err(Errno::EINVAL);
        }
        let mut cache = self.0.cache.lock();
        if let Some(buf) = self.find(&mut cache, block) {
            cache.relist(&buf);
            return Ok((Buffer::hold(self, &buf), false));
        }
        let (mut cache, pages) = self.alloc_buffer(cache, site);
        // The lock may have been dropped: another task may have made the buffer meanwhile.
        if let Some(buf) = self.find(&mut cache, block) {
            self.give_back(&mut cache, Some(pages));
            cache.relist(&buf);
            return Ok((Buffer::hold(self, &buf), false));
        }
        self.check_watermark(&mut cache, site);
        let buf = Buf::new(self, block, state, pages);
        cache.index.insert(block, Arc::clone(&buf));
        self.0.total.fetch_add(1, Ordering::AcqRel);
        cache.relist(&buf);
        Ok((Buffer::hold(self, &buf), true))
    }
}

impl Buffer {
    /// Says that the data changed (`dm_bufio_mark_buffer_dirty`).
    ///
    /// # Panics
    /// If the buffer is being read: its holder cannot have seen the data it claims to have changed.
    #[track_caller]
    pub fn mark_dirty(&self) {
        let _layer = self.client.enter();
        let mut cache = self.client.0.cache.lock();
        assert!(
            !self.buf.has(State::READING),
            "block {} is marked dirty while it is being read",
            self.buf.block
        );
        if self.buf.set(State::DIRTY) & State::DIRTY == 0 {
            cache.relist(&self.buf);
        }
    }
}
