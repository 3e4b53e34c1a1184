//! A buffer for a block that is not cached, step by step (docs/kernel/dm-bufio.md, "Memory for a
//! new buffer"), and the client's limit.
//!
//! The steps are those of `alloc_buffer_wait_no_callback` in `drivers/md/dm-bufio.c`: an allocation
//! that must not sleep, once one that may sleep but without the client lock, the reserve, the
//! oldest buffer of the client, and at last a wait until a task releases one. Kernels before 2016
//! made the first allocation with NOIO under the lock and had no second (the report "dm-bufio
//! allocates under its lock" of docs/kernel/deadlocks.md, "dm-bufio and loop"). A prefetch only
//! takes the first step.

use super::cache::Locked;
use super::client::Client;
use super::lists::{List, Lists};
use super::memory::Memory;
use super::slot::{NO_BLOCK, State};
use crate::block::Bio;
use crate::era::BufioGeneration;
use crate::event::{Gfp, Site};
use crate::inject::Failpoint;

/// Until 5.3 asynchronous write-out starts when more than 3/4 of the limit is dirty.
const WRITEBACK_PERCENT: u64 = 75;
/// Since 5.4 it does when there are more than three dirty buffers to a clean one.
const WRITEBACK_RATIO: u64 = 3;

fn buffer_mask(base: Gfp) -> Gfp {
    base | Gfp::NORETRY | Gfp::NOMEMALLOC | Gfp::NOWARN
}

impl Client {
    /// Gets a claimed slot with memory, in the order of the steps; none if a prefetch must not go
    /// on. The lock may be dropped on the way: look the block up again.
    pub(super) fn alloc_buffer<'a>(
        &'a self,
        mut lists: Locked<'a>,
        prefetch: bool,
        site: Site,
    ) -> (Locked<'a>, Option<u32>) {
        let sleeps_under_lock = self.shared().knobs.bufio_sleeps_under_lock;
        let first = if sleeps_under_lock { Gfp::NOIO } else { Gfp::NOWAIT };
        let mut tried_noio = sleeps_under_lock;
        loop {
            if let Some(memory) = self.alloc_memory(first, Failpoint::BufioAllocNowait) {
                return (lists, Some(self.0.pool.fill(memory)));
            }
            if prefetch {
                return (lists, None);
            }
            if !tried_noio {
                drop(lists);
                let memory = self.alloc_memory(Gfp::NOIO, Failpoint::BufioAllocNoio);
                lists = self.lock();
                if let Some(memory) = memory {
                    return (lists, Some(self.0.pool.fill(memory)));
                }
                tried_noio = true;
            }
            if let Some(slot) = self.reserved_or_stolen(&mut lists, site) {
                return (lists, Some(slot));
            }
            let about = self.0.pool.waiters.begin();
            // A buffer that was released before `begin` is found now.
            if let Some(slot) = self.reserved_or_stolen(&mut lists, site) {
                return (lists, Some(slot));
            }
            drop(lists);
            about.wait(site);
            lists = self.lock();
        }
    }

    fn alloc_memory(&self, base: Gfp, point: Failpoint) -> Option<Memory> {
        if !self.0.bufio.allocates() || self.shared().fires(point) {
            return None;
        }
        self.0.pool.alloc(buffer_mask(base))
    }

    fn reserved_or_stolen(&self, lists: &mut Lists, site: Site) -> Option<u32> {
        let shared = self.shared();
        let reserved =
            if shared.fires(Failpoint::BufioReserve) { None } else { self.0.pool.take_reserved() };
        reserved.or_else(|| {
            if shared.fires(Failpoint::BufioSteal) { None } else { self.steal(lists, site) }
        })
    }

    /// An unheld buffer of the client's own, made clean with the client lock held, however long
    /// that waits.
    fn steal(&self, lists: &mut Lists, site: Site) -> Option<u32> {
        let number = self.take_unclaimed(lists, site)?;
        self.slot(number).set_block(NO_BLOCK);
        Some(number)
    }

    /// Keeps the client within its limit (`__check_watermark`): frees while there are too many
    /// buffers, then takes the writes to start if too many are dirty. Submit them without the lock.
    pub(super) fn check_watermark(&self, lists: &mut Lists, site: Site) -> Vec<Bio> {
        let limit = self.limit();
        while lists.total() > limit {
            self.0.io.pause(Failpoint::BufioPauseWatermark);
            let Some(number) = self.steal(lists, site) else {
                break;
            };
            self.0.pool.give_back(number);
        }
        let (dirty, clean) = (lists.len(List::Dirty), lists.len(List::Clean));
        let too_many = match self.generation() {
            BufioGeneration::V2014 | BufioGeneration::V2018 => {
                dirty * 100 > limit.saturating_mul(WRITEBACK_PERCENT)
            }
            BufioGeneration::V5_4 | BufioGeneration::V6_4 => dirty > clean * WRITEBACK_RATIO,
        };
        if too_many { self.write_some(lists, site) } else { Vec::new() }
    }

    /// Starts writes in the order of the list, up to the first buffer that is being written
    /// already.
    pub(super) fn write_some(&self, lists: &mut Lists, site: Site) -> Vec<Bio> {
        let (walk, mut bios) = (lists.walk(List::Dirty), Vec::new());
        while let Some(number) = lists.step(List::Dirty, walk) {
            let slot = self.slot(number);
            if slot.has(State::WRITING) {
                break;
            }
            bios.extend(self.0.io.start_write(slot, site));
        }
        lists.end(List::Dirty, walk);
        bios
    }

    /// Buffers that may stay before the client evicts its own: the number that was set by hand, and
    /// until 5.3 its share of the size of all caches.
    fn limit(&self) -> u64 {
        let by_hand = self.0.options.max_buffers;
        let share = match self.generation() {
            BufioGeneration::V2014 | BufioGeneration::V2018 => {
                self.0.bufio.share() / u64::from(self.0.options.block_size)
            }
            BufioGeneration::V5_4 | BufioGeneration::V6_4 => u64::MAX,
        };
        by_hand.min(share).max(self.minimum())
    }
}
