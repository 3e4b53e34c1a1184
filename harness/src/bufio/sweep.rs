//! Cleaning all clients: when buffers are old, and when together they are too large (1.6).
//!
//! Key functions: [`Bufio::age_out`], [`Bufio::start_aging`]; the cleanup is queued when a buffer
//! is added. Until 5.3 there is no cleanup: each client keeps to its share. From 5.4 to 6.3 it goes
//! down one queue of all buffers, with a second chance. Since 6.4 it takes from the client with the
//! oldest buffer.
//!
//! Locking: the clients' list > a client. In 2014 age-out only tries a client's lock; from 5.4 to
//! 6.3 the cleanup tries it first, holding the queue's.

use std::sync::atomic::{AtomicBool, Ordering};

use super::cache::List;
use super::client::Client;
use super::evict::Verdict;
use super::global::Bufio;
use super::queue::Entry;
use super::slot::{Slot, State};
use crate::era::BufioGeneration;
use crate::event::{Resource, Site, TaskKind};
use crate::inject::Failpoint;
use crate::sched::{Sched, WaitQueue, Waiting, quiet};

/// The cleanup goes on until a sixteenth is free (DM_BUFIO_LOW_WATERMARK_RATIO).
const LOW_WATERMARK: u64 = 16;
/// Since 6.4, buffers that one client gives up before the oldest is looked for again.
const EVICT_BATCH: u32 = 64;
const RATIO: u64 = 3;

/// How the task that ages buffers is told to end.
pub(super) struct Stop {
    flag: AtomicBool,
    wake: WaitQueue,
}

impl Stop {
    pub(super) fn new(sched: &Sched) -> Self {
        Self { flag: AtomicBool::new(false), wake: WaitQueue::new(sched) }
    }
}

impl Bufio {
    /// Bytes that one client may have: an equal share. When the size was changed, 2014 took the
    /// clients' lock for the count, below the client's.
    pub(super) fn share(&self) -> u64 {
        let count =
            if self.0.knobs.bufio_generation == BufioGeneration::V2014 && self.size_changed() {
                self.0.clients.lock().len() as u64
            } else {
                self.0.count.load(Ordering::Acquire)
            };
        self.max_cache_size() / count.max(1)
    }

    /// Queues the cleanup if all buffers together are too large.
    pub(super) fn check_size(&self) {
        let sweeps = self.generation() >= BufioGeneration::V5_4;
        if sweeps
            && self.accounts().current() > self.max_cache_size()
            && let (Some(queue), Some(work)) = (&self.0.cleaner, self.0.cleanup.get())
        {
            queue.queue(work);
        }
    }

    /// Waits for the cleanup, if it is under way.
    pub(super) fn finish_cleanup(&self) {
        if let (Some(queue), Some(work)) = (&self.0.cleaner, self.0.cleanup.get()) {
            queue.flush(work);
        }
    }

    fn too_large(&self) -> bool {
        let size = self.max_cache_size();
        self.accounts().current() > size - size / LOW_WATERMARK
    }

    pub(super) fn global_cleanup(&self) {
        let _ours = quiet();
        self.hold_up(Failpoint::BufioWorkLate);
        let clients = self.0.clients.lock();
        let clients = (Self::alive(&clients), clients);
        match self.generation() {
            BufioGeneration::V2014 | BufioGeneration::V2018 => {}
            BufioGeneration::V5_4 => self.replace(&clients.0),
            BufioGeneration::V6_4 => self.take_oldest(&clients.0),
        }
    }

    /// Holds a work item up where the plan says so.
    pub(super) fn hold_up(&self, point: Failpoint) {
        if self.fires(point) {
            let nobody = WaitQueue::new(&self.0.sched);
            let waiting = Waiting::on(Resource::Timer, "a busy work queue");
            nobody.wait_timeout(waiting, crate::units::Ticks(10), || false);
        }
    }

    /// 5.4 to 6.3: down the queue; a buffer that was used gets another turn.
    fn replace(&self, clients: &[Client]) {
        let site = Site::here();
        let Some(mut queued) = self.0.queue.lock() else {
            return;
        };
        let mut left = queued.len() * 2;
        while left > 0 && self.too_large() {
            left -= 1;
            let Some(Entry { client, slot }) = queued.oldest() else {
                return;
            };
            let Some(client) = clients.iter().find(|known| known.0.number == client) else {
                // It was dropped and not destroyed.
                queued.forget_oldest();
                continue;
            };
            let slot = client.slot(slot);
            let referenced = slot.take_reference();
            queued.renew(client.0.number, slot);
            if referenced {
                continue;
            }
            // The queue's lock is a spinlock: what may sleep is done without it.
            let tried = client.0.cache.try_lock();
            drop(queued);
            let _layer = client.enter();
            let mut cache = tried.unwrap_or_else(|| client.lock());
            if cache.list_of(slot.number).is_some() {
                client.evict(&mut cache, slot, true, site);
            }
            drop(cache);
            let Some(again) = self.0.queue.lock() else {
                return;
            };
            queued = again;
        }
    }

    /// Since 6.4: first start writing where too much is dirty, then take clean ones from whoever
    /// has the oldest.
    fn take_oldest(&self, clients: &[Client]) {
        let site = Site::here();
        for client in clients {
            let _layer = client.enter();
            let mut cache = client.lock();
            let too_dirty = cache.len(List::Dirty) > cache.len(List::Clean) * RATIO;
            let bios = if too_dirty { client.write_some(&mut cache, site) } else { Vec::new() };
            drop(cache);
            client.submit_writes(bios);
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
            let mut cache = client.lock();
            client.move_finished(&mut cache);
            let mut evicted = 0;
            while evicted < EVICT_BATCH && self.too_large() {
                let Some(slot) = client.pick(&mut cache, List::Clean, client.takes(List::Clean))
                else {
                    break;
                };
                client.make_clean(slot, site);
                client.give_back(&mut cache, slot.number);
                evicted += 1;
            }
            if evicted == 0 {
                clients.remove(index);
            }
        }
    }

    /// Lets clean and idle buffers go that nobody has used for the maximal age, above what each
    /// client retains (the timer's work, run now). It does nothing that needs I/O.
    pub fn age_out(&self) {
        let _ours = quiet();
        let all_old = self.fires(Failpoint::BufioAge);
        let clients = self.0.clients.lock();
        for client in Self::alive(&clients) {
            client.age_out(all_old);
        }
    }

    /// Starts the task that ages buffers, by the world's clock: every 10 s in 2014, every 30 s
    /// since. End it with [`Bufio::stop_aging`]: a world in which a timer runs never comes to rest.
    pub fn start_aging(&self) {
        let _ours = quiet();
        let (this, period) = (self.clone(), self.generation().scan_period());
        let task = self.0.sched.spawn("dm_bufio_age", TaskKind::Server, move || {
            let stop = &this.0.stop_aging;
            let waiting = Waiting::on(Resource::Timer, "the next age-out");
            while !stop.wake.wait_timeout(waiting, period, || stop.flag.load(Ordering::Acquire)) {
                this.age_out();
            }
        });
        *self.0.aging.lock() = Some(task);
    }

    /// Ends the task that ages buffers.
    pub fn stop_aging(&self) {
        let _ours = quiet();
        self.0.stop_aging.flag.store(true, Ordering::Release);
        self.0.stop_aging.wake.wake_all();
        let task = self.0.aging.lock().take();
        if let Some(task) = task {
            task.join();
        }
    }
}

impl Client {
    /// When the buffer that goes next was last used.
    fn oldest(&self) -> Option<u64> {
        let cache = self.lock();
        cache
            .ring(List::Clean)
            .oldest()
            .map(|number| self.slot(number).accessed.load(Ordering::Relaxed))
    }

    fn age_out(&self, all_old: bool) {
        let _layer = self.enter();
        let cache = if self.0.generation() == BufioGeneration::V2014 {
            self.0.cache.try_lock()
        } else {
            Some(self.lock())
        };
        let Some(mut cache) = cache else {
            return;
        };
        self.move_finished(&mut cache);
        let (now, age, keeps) =
            (self.tick(), self.0.bufio.max_age().0, self.0.generation().retains());
        let retain = if keeps { self.retain() } else { 0 };
        let old = |slot: &Slot| {
            all_old || now.saturating_sub(slot.accessed.load(Ordering::Relaxed)) >= age
        };
        let judge = |slot: &Slot| match (slot.has(State::READING), old(slot)) {
            (true, _) => Verdict::Skip,
            (false, true) => Verdict::Take,
            (false, false) => Verdict::Stop,
        };
        while cache.total() > retain {
            let Some(slot) = self.pick(&mut cache, List::Clean, judge) else {
                return;
            };
            self.give_back(&mut cache, slot.number);
        }
    }
}
