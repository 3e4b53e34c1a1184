//! Memory for a new buffer, step by step (1.6), and the watermark.
//!
//! The steps are those of `alloc_buffer_wait_no_callback` in `drivers/md/dm-bufio.c`: an allocation
//! that must not sleep, once one that may but without the client lock, the reserve, the client's
//! own oldest buffer, and at last sleep until somebody releases one. Kernels before 2016 made the
//! first allocation with NOIO under the lock and had no second (C05). A prefetch takes the first
//! step alone.

use std::sync::atomic::Ordering;

use super::cache::{Cache, List};
use super::client::Client;
use super::slot::{NO_BLOCK, State};
use crate::block::Bio;
use crate::era::BufioGeneration;
use crate::event::{Gfp, Resource, Site};
use crate::inject::Failpoint;
use crate::sched::{MutexGuard, Waiting};
use crate::units::Ticks;

/// Until 5.3 asynchronous write-out starts when more than 3/4 of the limit is dirty.
const WRITEBACK_PERCENT: u64 = 75;
/// Since 5.4 it does when there are more than three dirty buffers to a clean one.
const WRITEBACK_RATIO: u64 = 3;
/// Since 6.4 a wait for a free buffer ends by itself: holds are dropped without the lock.
const FREE_TIMEOUT: Ticks = Ticks(5000);

fn ladder_mask(base: Gfp) -> Gfp {
    base | Gfp::NORETRY | Gfp::NOMEMALLOC | Gfp::NOWARN
}

impl Client {
    /// Gets a claimed slot with memory, in the order of the ladder; none where a prefetch must not
    /// go on. The lock may be dropped on the way: look the block up again.
    pub(super) fn alloc_buffer<'a>(
        &'a self,
        mut cache: MutexGuard<'a, Cache>,
        prefetch: bool,
        site: Site,
    ) -> (MutexGuard<'a, Cache>, Option<u32>) {
        let sleeps_under_lock = self.knobs().bufio_sleeps_under_lock;
        let first = if sleeps_under_lock { Gfp::NOIO } else { Gfp::NOWAIT };
        let mut tried_noio = sleeps_under_lock;
        loop {
            if let Some(slot) = self.try_alloc(&mut cache, first, Failpoint::BufioAllocNowait) {
                return (cache, Some(slot));
            }
            if prefetch {
                return (cache, None);
            }
            if !tried_noio {
                drop(cache);
                let memory = self.alloc_with(Gfp::NOIO, Failpoint::BufioAllocNoio);
                cache = self.lock();
                if let Some(memory) = memory {
                    let slot = self.fill_slot(&mut cache, memory);
                    return (cache, Some(slot));
                }
                tried_noio = true;
            }
            if let Some(slot) = self.reserved_or_stolen(&mut cache, site) {
                return (cache, Some(slot));
            }
            // From here on whoever releases a buffer tells; one that was released before is found
            // now.
            self.0.waiting.fetch_add(1, Ordering::SeqCst);
            let seen = self.0.freed.load(Ordering::SeqCst);
            let late = self.reserved_or_stolen(&mut cache, site);
            if late.is_none() {
                cache = self.wait_for_free_buffer(cache, seen, site);
            }
            self.0.waiting.fetch_sub(1, Ordering::SeqCst);
            if late.is_some() {
                return (cache, late);
            }
        }
    }

    fn alloc_with(&self, base: Gfp, point: Failpoint) -> Option<super::memory::Memory> {
        let bufio = &self.0.bufio;
        if !bufio.allocates() || bufio.fires(point) {
            return None;
        }
        self.0.alloc_memory(ladder_mask(base))
    }

    fn try_alloc(&self, cache: &mut Cache, base: Gfp, point: Failpoint) -> Option<u32> {
        let memory = self.alloc_with(base, point)?;
        Some(self.fill_slot(cache, memory))
    }

    fn reserved_or_stolen(&self, cache: &mut Cache, site: Site) -> Option<u32> {
        let reserved =
            if self.0.bufio.fires(Failpoint::BufioReserve) { None } else { cache.reserved.pop() };
        reserved.or_else(|| {
            if self.0.bufio.fires(Failpoint::BufioSteal) { None } else { self.steal(cache, site) }
        })
    }

    /// An unheld buffer of the client's own, made clean with the client lock held, whatever that
    /// waits for.
    fn steal(&self, cache: &mut Cache, site: Site) -> Option<u32> {
        let number = self.take_unclaimed(cache, site)?;
        self.slot(number).set_block(NO_BLOCK);
        Some(number)
    }

    fn wait_for_free_buffer<'a>(
        &'a self,
        cache: MutexGuard<'a, Cache>,
        seen: u64,
        site: Site,
    ) -> MutexGuard<'a, Cache> {
        drop(cache);
        let resource = Resource::Condition(self.0.free_buffer);
        let waiting = Waiting { resource, why: "free buffer", breakable: false, site };
        let freed = || self.0.freed.load(Ordering::SeqCst) != seen;
        if self.0.generation() == BufioGeneration::V6_4 {
            self.0.free_wait.wait_timeout(waiting, FREE_TIMEOUT, freed);
        } else {
            let waited = self.0.free_wait.wait_until(waiting, freed);
            debug_assert!(waited.is_ok(), "a wait for a buffer is never broken");
        }
        self.lock()
    }

    /// Keeps the client within its limit (`__check_watermark`): frees while there are too many,
    /// then takes the writes to start if too many are dirty. Submit them without the lock.
    pub(super) fn check_watermark(&self, cache: &mut Cache, site: Site) -> Vec<Bio> {
        let limit = self.limit();
        while cache.total() > limit {
            self.pause(Failpoint::BufioPauseWatermark);
            let Some(number) = self.steal(cache, site) else {
                break;
            };
            self.give_back(cache, number);
        }
        let (dirty, clean) = (cache.len(List::Dirty), cache.len(List::Clean));
        let too_many = match self.0.generation() {
            BufioGeneration::V2014 | BufioGeneration::V2018 => {
                dirty * 100 > limit.saturating_mul(WRITEBACK_PERCENT)
            }
            BufioGeneration::V5_4 | BufioGeneration::V6_4 => dirty > clean * WRITEBACK_RATIO,
        };
        if too_many { self.write_some(cache, site) } else { Vec::new() }
    }

    /// Starts writes in the order of the list, up to the first buffer that is being written
    /// already.
    pub(super) fn write_some(&self, cache: &mut Cache, site: Site) -> Vec<Bio> {
        let (walk, mut bios) = (cache.walk(List::Dirty), Vec::new());
        while let Some(number) = cache.step(List::Dirty, walk) {
            let slot = self.slot(number);
            if slot.has(State::WRITING) {
                break;
            }
            bios.extend(self.start_write(slot, site));
        }
        cache.end(List::Dirty, walk);
        bios
    }

    /// Buffers that may stay before the client evicts its own: what was set by hand, and until 5.3
    /// its share of the size of all caches.
    fn limit(&self) -> u64 {
        let by_hand = self.0.options.max_buffers;
        let share = match self.0.generation() {
            BufioGeneration::V2014 | BufioGeneration::V2018 => {
                self.0.bufio.share() / u64::from(self.0.options.block_size)
            }
            BufioGeneration::V5_4 | BufioGeneration::V6_4 => u64::MAX,
        };
        by_hand.min(share).max(self.minimum())
    }
}
