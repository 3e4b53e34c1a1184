//! Memory for a new buffer, step by step (1.6), and the watermark.
//!
//! The steps are those of `alloc_buffer_wait_no_callback` in `drivers/md/dm-bufio.c`: an allocation
//! that must not sleep, once one that may but without the client lock, the reserve, the client's own
//! oldest buffer, and at last sleep until somebody releases one. Kernels before 2016 made the first
//! allocation with NOIO under the lock and had no second (C05).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::buffer::{Buf, State};
use super::client::{Cache, Client};
use crate::event::{Gfp, Resource, Site};
use crate::inject::Failpoint;
use crate::mm::PageBlock;
use crate::sched::{MutexGuard, Waiting};
use crate::units::Ticks;

/// Since 6.4 the wait for a free buffer ends after 5 s, as wake-ups can be missed.
const FREE_WAIT: Ticks = Ticks(5000);
/// Asynchronous write-out starts when more than 3/4 of the limit is dirty.
const WRITEBACK_PERCENT: u64 = 75;

fn ladder_mask(base: Gfp) -> Gfp {
    base | Gfp::NORETRY | Gfp::NOMEMALLOC | Gfp::NOWARN
}

impl Client {
    /// Gets memory for one buffer, in the order of the ladder. The lock may be dropped on the way:
    /// look the block up again.
    pub(super) fn alloc_buffer<'a>(
        &'a self,
        mut cache: MutexGuard<'a, Cache>,
        site: Site,
    ) -> (MutexGuard<'a, Cache>, PageBlock) {
        let sleeps_under_lock = self.knobs().bufio_sleeps_under_lock;
        let first = if sleeps_under_lock { Gfp::NOIO } else { Gfp::NOWAIT };
        let mut tried_noio = sleeps_under_lock;
        loop {
            if let Some(pages) = self.try_alloc(first, Failpoint::BufioAllocNowait) {
                return (cache, pages);
            }
            if !tried_noio {
                drop(cache);
                let pages = self.try_alloc(Gfp::NOIO, Failpoint::BufioAllocNoio);
                cache = self.0.cache.lock();
                if let Some(pages) = pages {
                    return (cache, pages);
                }
                tried_noio = true;
            }
            if let Some(pages) = cache.reserved.pop() {
                return (cache, pages);
            }
            if let Some(pages) = self.steal(&mut cache, site) {
                return (cache, pages);
            }
            cache = self.wait_for_free_buffer(cache, site);
        }
    }

    fn try_alloc(&self, base: Gfp, point: Failpoint) -> Option<PageBlock> {
        self.0.parts.plan.pass(self.sched(), point).ok()?;
        self.mm().alloc(self.order(), ladder_mask(base))
    }

    /// The oldest unheld clean buffer, else the oldest unheld dirty one, made clean; all with the
    /// client lock held, whatever that waits for.
    fn steal(&self, cache: &mut Cache, site: Site) -> Option<PageBlock> {
        let unheld = |buf: &&Arc<Buf>| !buf.held();
        let clean = cache.clean.values().find(unheld);
        let buf = Arc::clone(clean.or_else(|| cache.dirty.values().find(unheld))?);
        self.make_clean(&buf, site);
        cache.unlist(&buf);
        cache.index.remove(&buf.block);
        self.0.total.fetch_sub(1, Ordering::AcqRel);
        buf.pages.lock().take()
    }

    fn wait_for_free_buffer<'a>(&'a self, cache: MutexGuard<'a, Cache>, site: Site) -> MutexGuard<'a, Cache> {
        let seen = self.0.freed.load(Ordering::Acquire);
        drop(cache);
        let waiting = Waiting { resource: Resource::Timer, why: "free buffer", breakable: false, site };
        self.0.free_wait.wait_timeout(waiting, FREE_WAIT, || self.0.freed.load(Ordering::Acquire) != seen);
        self.0.cache.lock()
    }

    /// Keeps the client within its limit (`__check_watermark`): frees while there are too many,
    /// then starts writing if too many are dirty.
    pub(super) fn check_watermark(&self, cache: &mut Cache, site: Site) {
        let limit = self.limit();
        while cache.total() > limit && self.steal(cache, site).is_some() {}
        if cache.dirty.len() as u64 * 100 <= limit * WRITEBACK_PERCENT {
            return;
        }
        let dirty: Vec<_> = cache.dirty.values().cloned().collect();
        for buf in dirty {
            if buf.has(State::WRITING) {
                return;
            }
            if let Some(bio) = self.start_write(&buf, site) {
                self.submit_write(bio);
            }
        }
    }
}
