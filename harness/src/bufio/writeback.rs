//! Writing dirty buffers, and evicting.
//!
//! Key functions: [`Client::write_dirty_buffers`], [`Client::evict`].

use std::sync::Arc;

use super::buffer::{Buf, Buffer, State};
use super::client::{Cache, Client};
use crate::block;
use crate::error::Errno;
use crate::event::Site;

impl Client {
    /// Writes every dirty buffer, waits, flushes the device (`dm_bufio_write_dirty_buffers`).
    ///
    /// # Errors
    /// The first write error since the last call, else the flush's.
    #[track_caller]
    pub fn write_dirty_buffers(&self) -> Result<(), Errno> {
        let site = Site::here();
        let _layer = self.enter();
        self.start_all_writes(site);
        self.wait_for_writes(site);
        let error = self.0.async_write_error.lock().take();
        let flushed = block::flush(&*self.0.parts.device);
        error.map_or(flushed, Err)
    }

    /// Takes WRITING of every dirty buffer in LRU order under the lock, and submits without it.
    fn start_all_writes(&self, site: Site) {
        let bios: Vec<_> = {
            let mut cache = self.0.cache.lock();
            Self::move_finished(&mut cache);
            let dirty: Vec<_> = cache.dirty.values().cloned().collect();
            dirty.iter().filter_map(|buf| self.start_write(buf, site)).collect()
        };
        for bio in bios {
            self.submit_write(bio);
        }
    }

    /// Waits for each write: without the lock for as many as were dirty at the start, with it for
    /// any more, so that tasks which keep dirtying cannot hold this one for ever.
    fn wait_for_writes(&self, site: Site) {
        let mut cache = self.0.cache.lock();
        let mut unlocked_waits = cache.dirty.len();
        while let Some(buf) = cache.dirty.values().find(|buf| buf.has(State::WRITING)).cloned() {
            if unlocked_waits > 0 {
                unlocked_waits -= 1;
                let held = Buffer::hold(self, &buf);
                drop(cache);
                buf.wait_clear(State::WRITING, "buffer WRITING", site);
                drop(held);
                cache = self.0.cache.lock();
            } else {
                buf.wait_clear(State::WRITING, "buffer WRITING", site);
            }
            Self::move_finished(&mut cache);
        }
        Self::move_finished(&mut cache);
    }

    /// Completion cannot move lists; process context does it when it comes by.
    fn move_finished(cache: &mut Cache) {
        let finished: Vec<_> =
            cache.dirty.values().filter(|buf| !buf.has(State::DIRTY | State::WRITING)).cloned().collect();
        for buf in finished {
            cache.relist(&buf);
        }
    }

    /// Tries to evict one buffer (`__try_evict_buffer`): without permission to wait, only one that
    /// is idle; with it, the buffer is made clean first, and the caller waits for that with the
    /// client lock held. Says whether it went.
    pub(super) fn evict(&self, cache: &mut Cache, buf: &Arc<Buf>, may_wait: bool, site: Site) -> bool {
        if (!may_wait && buf.state() != 0) || buf.held() {
            return false;
        }
        self.make_clean(buf, site);
        self.free(cache, buf);
        true
    }
}
