//! Cleaning all clients: when buffers are old, and when together they are too large
//! (docs/kernel/dm-bufio.md, "Watermark and clean-up").
//!
//! Key functions: [`Bufio::age_out`], [`Bufio::start_aging`]; the cleanup is queued when a buffer
//! is added. Until 5.3 there is no cleanup: each client keeps to its share. From 5.4 to 6.3 it goes
//! down one queue of all buffers, with a second chance. Since 6.4 it takes from the client with the
//! oldest buffer.
//!
//! Locking: the clients' list > a client. In 2014 age-out only tries a client's lock; from 5.4 to
//! 6.3 the cleanup tries it first, holding the queue's.

use std::sync::atomic::Ordering;

use super::choose::Verdict;
use super::client::Client;
use super::global::Bufio;
use super::lists::List;
use super::queue::QueueEntry;
use super::slot::{Slot, State};
use crate::era::BufioGeneration;
use crate::event::{Resource, Site, TaskKind};
use crate::inject::Failpoint;
use crate::sched::{Waiting, harness_side};

/// The cleanup goes on until a sixteenth is free (DM_BUFIO_LOW_WATERMARK_RATIO).
const LOW_WATERMARK: u64 = 16;
/// Since 6.4, buffers that one client gives up before the oldest is looked for again.
const EVICT_BATCH: u32 = 64;
/// Writing starts before the cleanup when there are more dirty buffers than this to a clean one.
const RATIO: u64 = 3;
/// Why a work item waits that the plan holds up.
pub(super) const BUSY: &str = "a busy work queue";

impl Bufio {
    fn too_large(&self) -> bool {
        let size = self.max_cache_size();
        self.accounts().current() > size - size / LOW_WATERMARK
    }

    pub(super) fn global_cleanup(&self) {
        let _side = harness_side();
        self.shared().pause(Failpoint::BufioWorkLate, BUSY);
        let clients = self.0.clients.lock();
        let clients = (Self::alive(&clients), clients);
        match self.generation() {
            BufioGeneration::V2014 | BufioGeneration::V2018 => {}
            BufioGeneration::V5_4 => self.replace(&clients.0),
            BufioGeneration::V6_4 => self.take_oldest(&clients.0),
        }
    }

    /// 5.4 to 6.3: goes down the queue; a buffer that was used gets another turn.
    fn replace(&self, clients: &[Client]) {
        let site = Site::here();
        let Some(mut queued) = self.shared().queue.lock() else {
            return;
        };
        let mut left = queued.len() * 2;
        while left > 0 && self.too_large() {
            left -= 1;
            let Some(QueueEntry { client, slot }) = queued.oldest() else {
                return;
            };
            let Some(client) = clients.iter().find(|known| known.0.number == client) else {
                // The client was dropped and not destroyed.
                queued.forget_oldest();
                continue;
            };
            let slot = client.slot(slot);
            let referenced = slot.take_reference();
            queued.renew(client.0.number, slot);
            if referenced {
                continue;
            }
            // The queue's lock is a spinlock: the eviction may sleep, so it is done without it.
            let tried = client.0.cache.try_lock();
            drop(queued);
            let _layer = client.enter();
            let mut lists = tried.unwrap_or_else(|| client.lock());
            if lists.list_of(slot.number).is_some() {
                client.evict(&mut lists, slot, true, site);
            }
            drop(lists);
            let Some(again) = self.shared().queue.lock() else {
                return;
            };
            queued = again;
        }
    }

    /// Since 6.4: first starts writing in clients where too much is dirty, then takes clean buffers
    /// from the client that has the oldest.
    fn take_oldest(&self, clients: &[Client]) {
        let site = Site::here();
        for client in clients {
            let _layer = client.enter();
            let mut lists = client.lock();
            let too_dirty = lists.len(List::Dirty) > lists.len(List::Clean) * RATIO;
            let bios = if too_dirty { client.write_some(&mut lists, site) } else { Vec::new() };
            drop(lists);
            client.0.io.submit_writes(bios);
        }
        let mut clients: Vec<&Client> = clients.iter().collect();
        while self.too_large() {
            let oldest = clients
                .iter()
                .enumerate()
                .filter_map(|(index, client)| client.oldest().map(|accessed| (accessed, index)));
            let Some((_, index)) = oldest.min() else {
                return;
            };
            let client = clients[index];
            let _layer = client.enter();
            let mut lists = client.lock();
            client.move_finished(&mut lists);
            let mut evicted = 0;
            while evicted < EVICT_BATCH && self.too_large() {
                let Some(slot) =
                    client.0.cache.pick(&mut lists, List::Clean, client.takes(List::Clean))
                else {
                    break;
                };
                client.0.io.make_clean(slot, site);
                client.0.pool.give_back(slot.number);
                evicted += 1;
            }
            if evicted == 0 {
                clients.remove(index);
            }
        }
    }

    /// Evicts the clean and idle buffers that were not used for the maximal age, down to the number
    /// that each client retains (the timer's work, run now). It starts no I/O and waits for none.
    pub fn age_out(&self) {
        let _side = harness_side();
        let all_old = self.shared().fires(Failpoint::BufioAge);
        let clients = self.0.clients.lock();
        for client in Self::alive(&clients) {
            client.age_out(all_old);
        }
    }

    /// Starts the task that ages buffers, by the world's clock: every 10 s in 2014, every 30 s
    /// since. End it with [`Bufio::stop_aging`]: while a timer task runs, the world always has
    /// something to do, so a hang would not be detected.
    pub fn start_aging(&self) {
        let _side = harness_side();
        let (this, period) = (self.clone(), self.generation().scan_period());
        let task = self.shared().sched.spawn("dm_bufio_age", TaskKind::Server, move || {
            let aging = &this.0.aging;
            let waiting = Waiting::on(Resource::Timer, "the next age-out");
            while !aging.wake.wait_timeout(waiting, period, || aging.stop.load(Ordering::Acquire)) {
                this.age_out();
            }
        });
        *self.0.aging.task.lock() = Some(task);
    }

    /// Ends the task that ages buffers.
    pub fn stop_aging(&self) {
        let _side = harness_side();
        self.0.aging.stop.store(true, Ordering::Release);
        self.0.aging.wake.wake_all();
        let task = self.0.aging.task.lock().take();
        if let Some(task) = task {
            task.join();
        }
    }
}

impl Client {
    /// When the buffer that goes next was last used.
    fn oldest(&self) -> Option<u64> {
        let lists = self.lock();
        lists.oldest(List::Clean).map(|number| self.slot(number).accessed.load(Ordering::Relaxed))
    }

    fn age_out(&self, all_old: bool) {
        let _layer = self.enter();
        let lists = if self.generation() == BufioGeneration::V2014 {
            self.0.cache.try_lock()
        } else {
            Some(self.lock())
        };
        let Some(mut lists) = lists else {
            return;
        };
        self.move_finished(&mut lists);
        let (now, age, keeps) =
            (self.shared().tick(), self.0.bufio.max_age().0, self.generation().retains());
        let retain = if keeps { self.retain() } else { 0 };
        let old = |slot: &Slot| {
            all_old || now.saturating_sub(slot.accessed.load(Ordering::Relaxed)) >= age
        };
        let judge = |slot: &Slot| match (slot.has(State::READING), old(slot)) {
            (true, _) => Verdict::Skip,
            (false, true) => Verdict::Take,
            (false, false) => Verdict::Stop,
        };
        while lists.total() > retain {
            let Some(slot) = self.0.cache.pick(&mut lists, List::Clean, judge) else {
                return;
            };
            self.0.pool.give_back(slot.number);
        }
    }
}
