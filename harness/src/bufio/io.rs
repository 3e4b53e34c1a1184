//! The requests of a client: starting reads and writes, completion, waiting for a state bit.
//!
//! Key type: [`ClientIo`]. Completion runs on the task that serves the device: it clears the bit
//! and wakes, but moves no list and takes no sleeping lock. So an idle buffer may stay on the dirty
//! list until process context finds it there. Waiters of several buffers share a queue, as in the
//! kernel's table of bit waits; each tests its own bit. Locking: the write error is a leaf.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::options::{Callback, ClientOptions, Contents};
use super::pool::Pool;
use super::shared::Shared;
use super::slot::{Slot, SlotContents, State};
use crate::block::{Bio, BlockDevice, EndIo, Plug};
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::{Op, Origin, Resource, Site};
use crate::inject::Failpoint;
use crate::sched::{SpinLock, WaitQueue, Waiting};
use crate::units::{SECTOR_SIZE, Sectors};

/// Partial writes are widened to this many bytes (DM_BUFIO_WRITE_ALIGN).
const WRITE_ALIGN: u32 = 4096;
/// Wait queues for bits, shared by the buffers that hash to them.
const BIT_QUEUES: u32 = 16;

/// The device of one client, and the requests on it.
pub(super) struct ClientIo {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    pub(super) device: Arc<dyn BlockDevice>,
    block_size: u32,
    write_callback: Option<Callback>,
    /// Sector of block 0.
    start: AtomicU64,
    bits: Box<[WaitQueue]>,
    /// The first error of a write that no call has returned yet.
    write_error: SpinLock<Option<Errno>>,
    write_failures: AtomicU64,
}

impl ClientIo {
    pub(super) fn new(
        shared: &Arc<Shared>,
        pool: &Arc<Pool>,
        device: Arc<dyn BlockDevice>,
        options: &ClientOptions,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            pool: Arc::clone(pool),
            device,
            block_size: options.block_size,
            write_callback: options.write_callback.clone(),
            start: AtomicU64::new(options.start.0),
            bits: (0..BIT_QUEUES).map(|_| WaitQueue::new(&shared.sched)).collect(),
            write_error: SpinLock::new(None),
            write_failures: AtomicU64::new(0),
        })
    }

    pub(super) fn set_start(&self, start: Sectors) {
        self.start.store(start.0, Ordering::Release);
    }

    fn sectors_per_block(&self) -> u64 {
        u64::from(self.block_size) / SECTOR_SIZE
    }

    /// Whole blocks of the device, from block 0 on.
    pub(super) fn device_blocks(&self) -> u64 {
        let start = self.start.load(Ordering::Acquire);
        self.device.sectors().0.saturating_sub(start) / self.sectors_per_block()
    }

    /// The first sector of a block.
    pub(super) fn sector(&self, block: u64) -> Sectors {
        // A block behind the last of any device is refused like each behind the end of this one.
        let within = Sectors(block.saturating_mul(self.sectors_per_block()));
        Sectors(self.start.load(Ordering::Acquire)) + within
    }

    pub(super) fn write_failures(&self) -> u64 {
        self.write_failures.load(Ordering::SeqCst)
    }

    /// The first error of a write since this was last asked.
    pub(super) fn take_write_error(&self) -> Option<Errno> {
        self.write_error.lock().take()
    }

    /// Holds the running task up if the plan says so.
    pub(super) fn pause(&self, point: Failpoint) {
        self.shared.pause(point, "pause");
    }

    fn bits(&self, slot: &Slot) -> &WaitQueue {
        &self.bits[slot.number as usize % self.bits.len()]
    }

    /// Waits until none of `bits` is set (`wait_on_bit_io`), uninterruptibly.
    pub(super) fn wait_clear(&self, slot: &Slot, bits: u8, why: &'static str, site: Site) {
        while slot.has(bits) {
            let request = slot.contents.lock().request;
            let resource = request.map_or(Resource::Timer, Resource::Request);
            let waiting = Waiting { resource, why, breakable: false, site };
            // A new request may have taken the bit by the time this one is complete; the wait is
            // then for that one, and says so.
            let this_one = || !slot.has(bits) || slot.contents.lock().request != request;
            let waited = self.bits(slot).wait_until(waiting, this_one);
            debug_assert!(waited.is_ok(), "a bit wait is never broken");
        }
    }

    /// The completion of the request that has `bit`.
    fn end_io(self: &Arc<Self>, slot: &Slot, bit: u8) -> EndIo {
        let (this, number) = (Arc::clone(self), slot.number);
        Box::new(move |data, outcome| {
            let slot = this.pool.slot(number);
            this.keep_outcome(slot, bit, data, outcome);
            slot.clear(bit);
            this.bits(slot).wake_all();
        })
    }

    fn keep_outcome(&self, slot: &Slot, bit: u8, data: Vec<u8>, outcome: Result<(), Errno>) {
        let mut contents = slot.contents.lock();
        if bit == State::READING {
            contents.data = data.into_boxed_slice();
            contents.read_error = outcome.err();
        } else {
            contents.write_error = outcome.err();
            if let Err(errno) = outcome {
                self.write_failures.fetch_add(1, Ordering::SeqCst);
                self.write_error.lock().get_or_insert(errno);
            }
        }
        slot.set_failed(contents.read_error.is_some() || contents.write_error.is_some());
    }

    /// Numbers the request, and keeps the number in the buffer for the tasks that wait for it.
    fn number(&self, slot: &Slot, bio: Bio) -> Bio {
        let mut bio = bio.with_origin(Origin { what: "block", item: slot.block() });
        slot.contents.lock().request = Some(bio.number(&self.shared.sched));
        // A task that waits for the bit already learns now which request it waits for.
        self.bits(slot).wake_all();
        bio
    }

    /// Starts the read of a buffer that was made with READING set. Call it without the client lock.
    pub(super) fn submit_read(self: &Arc<Self>, slot: &Slot) {
        // The request fills the buffer itself: no task may read it before it is complete.
        let data = std::mem::take(&mut slot.contents.lock().data).into_vec();
        let end_io = self.end_io(slot, State::READING);
        let bio = Bio::new(Op::Read, self.sector(slot.block()), data, end_io);
        self.submit(self.number(slot, bio), Failpoint::BufioRead);
    }

    /// If the buffer is dirty, takes its WRITING bit, waiting for an earlier write, and returns the
    /// request to submit (`__write_dirty_buffer`).
    pub(super) fn start_write(self: &Arc<Self>, slot: &Slot, site: Site) -> Option<Bio> {
        if !slot.has(State::DIRTY) {
            return None;
        }
        slot.clear(State::DIRTY);
        self.take_writing(slot, site);
        Some(self.write_of(slot))
    }

    /// Sets WRITING, waiting for an earlier write (`wait_on_bit_lock`). The task that sets the bit
    /// owns the write.
    pub(super) fn take_writing(&self, slot: &Slot, site: Site) {
        while slot.set(State::WRITING) & State::WRITING != 0 {
            self.wait_clear(slot, State::WRITING, "buffer WRITING", site);
        }
    }

    /// The write of the bytes that are newer than the device. The caller owns WRITING.
    pub(super) fn write_of(self: &Arc<Self>, slot: &Slot) -> Bio {
        let mut contents = slot.contents.lock();
        let (from, to) = self.widened(std::mem::take(&mut contents.dirty));
        let SlotContents { data, aux, .. } = &mut *contents;
        if let Some(callback) = &self.write_callback {
            callback.call(&mut Contents { block: slot.block(), data, aux });
        }
        let at = Sectors(self.sector(slot.block()).0 + u64::from(from) / SECTOR_SIZE);
        // A copy: a task that holds the buffer may change it meanwhile.
        let data = &contents.data[from as usize..to as usize];
        let bio = Bio::write(at, data, self.end_io(slot, State::WRITING));
        drop(contents);
        self.number(slot, bio)
    }

    /// The bytes to write for bytes that changed. In 2014 buffers were written whole.
    fn widened(&self, (from, to): (u32, u32)) -> (u32, u32) {
        let size = self.block_size;
        if self.shared.generation() == BufioGeneration::V2014 || to == 0 {
            return (0, size);
        }
        (from / WRITE_ALIGN * WRITE_ALIGN, to.next_multiple_of(WRITE_ALIGN).min(size))
    }

    /// Submits a request of [`ClientIo::start_write`].
    pub(super) fn submit_write(&self, bio: Bio) {
        self.submit(bio, Failpoint::BufioWrite);
    }

    /// Submits a list of writes together. Call it without the client lock.
    pub(super) fn submit_writes(&self, bios: Vec<Bio>) {
        if bios.is_empty() {
            return;
        }
        let admitted = bios.into_iter().filter_map(|bio| self.admit(bio, Failpoint::BufioWrite));
        drop(Plug::holding(&*self.device, admitted.collect()));
    }

    fn submit(&self, bio: Bio, point: Failpoint) {
        if let Some(bio) = self.admit(bio, point) {
            self.device.submit(bio);
        }
    }

    /// Fails the request if the plan says so, and keeps it if the task maps a request.
    fn admit(&self, mut bio: Bio, point: Failpoint) -> Option<Bio> {
        match self.shared.plan.pass(&self.shared.sched, point) {
            Ok(()) => self.shared.marks.keep(&self.device, bio),
            Err(errno) => {
                bio.submitted(&self.shared.sched, self.device.queue().id);
                bio.complete(Err(errno));
                None
            }
        }
    }

    /// Makes a claimed buffer clean and idle: waits for its read, writes it if it is dirty, waits
    /// for the write (`__make_buffer_clean`).
    pub(super) fn make_clean(self: &Arc<Self>, slot: &Slot, site: Site) {
        if slot.state() == 0 {
            return;
        }
        self.pause(Failpoint::BufioPauseClean);
        self.wait_clear(slot, State::READING, "buffer READING", site);
        if let Some(bio) = self.start_write(slot, site) {
            self.submit_write(bio);
        }
        self.wait_clear(slot, State::WRITING, "buffer WRITING", site);
    }
}
