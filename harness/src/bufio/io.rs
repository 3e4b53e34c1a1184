//! Starting reads and writes, their completion, and waiting for a bit.
//!
//! Completion runs on whoever serves the device: it clears the bit and wakes, but
//! moves no list and takes no sleeping lock. So an idle
//! buffer may stay on the dirty list until process context finds it there. Waiters of several
//! buffers share a queue, as in the kernel's table of bit waits; each tests its own bit.

use std::sync::atomic::Ordering;

use super::client::Client;
use super::options::Contents;
use super::slot::{Slot, State};
use crate::block::{Bio, EndIo, Plug};
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::{Op, Origin, Resource, Site};
use crate::inject::Failpoint;
use crate::sched::{WaitQueue, Waiting};
use crate::units::{SECTOR_SIZE, Sectors, Ticks};

/// Partial writes are widened to this many bytes (DM_BUFIO_WRITE_ALIGN).
const WRITE_ALIGN: u32 = 4096;
/// How long a pause failpoint holds up who passes it.
const PAUSE: Ticks = Ticks(10);

impl Client {
    fn bits(&self, slot: &Slot) -> &WaitQueue {
        &self.0.bits[slot.number as usize % self.0.bits.len()]
    }

    /// Waits until none of `bits` is set (`wait_on_bit_io`), uninterruptibly.
    #[inline]
    pub(super) fn wait_clear(&self, slot: &Slot, bits: u8, why: &'static str, site: Site) {
        if slot.has(bits) {
            self.wait_for_bits(slot, bits, why, site);
        }
    }

    fn wait_for_bits(&self, slot: &Slot, bits: u8, why: &'static str, site: Site) {
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

    /// Holds the running task up where the plan says so.
    pub(super) fn pause(&self, point: Failpoint) {
        if self.0.bufio.fires(point) {
            let nobody = WaitQueue::new(self.sched());
            nobody.wait_timeout(Waiting::on(Resource::Timer, "pause"), PAUSE, || false);
        }
    }

    /// What ends the request that has `bit`.
    fn end(&self, slot: &Slot, bit: u8) -> EndIo {
        let (client, number) = (self.clone(), slot.number);
        Box::new(move |data, outcome| client.end_io(client.slot(number), bit, data, outcome))
    }

    /// Numbers the request, and keeps the number in the buffer for those who wait for it.
    fn on(&self, slot: &Slot, bio: Bio) -> Bio {
        let mut bio = bio.with_origin(Origin { what: "block", item: slot.block() });
        slot.contents.lock().request = Some(bio.number(self.sched()));
        // Whoever waits for the bit already now learns which request it waits for.
        self.bits(slot).wake_all();
        bio
    }

    fn end_io(&self, slot: &Slot, bit: u8, data: Vec<u8>, outcome: Result<(), Errno>) {
        self.keep_outcome(slot, bit, data, outcome);
        slot.clear(bit);
        self.bits(slot).wake_all();
    }

    fn keep_outcome(&self, slot: &Slot, bit: u8, data: Vec<u8>, outcome: Result<(), Errno>) {
        let mut contents = slot.contents.lock();
        if bit == State::READING {
            contents.data = data.into_boxed_slice();
            contents.read_error = outcome.err();
        } else {
            contents.write_error = outcome.err();
            if let Err(errno) = outcome {
                self.0.write_failures.fetch_add(1, Ordering::SeqCst);
                self.0.async_write_error.lock().get_or_insert(errno);
            }
        }
        slot.set_failed(contents.read_error.is_some() || contents.write_error.is_some());
    }

    /// Starts the read of a buffer that was made with READING set. Call it without the client lock.
    pub(super) fn submit_read(&self, slot: &Slot) {
        // The request fills the buffer itself: nobody may look at it before it is complete.
        let data = std::mem::take(&mut slot.contents.lock().data).into_vec();
        let bio =
            Bio::new(Op::Read, self.sector(slot.block()), data, self.end(slot, State::READING));
        self.submit(self.on(slot, bio), Failpoint::BufioRead);
    }

    /// If the buffer is dirty, takes its WRITING bit, waiting for a write before, and returns the
    /// request to submit (`__write_dirty_buffer`).
    pub(super) fn start_write(&self, slot: &Slot, site: Site) -> Option<Bio> {
        if !slot.has(State::DIRTY) {
            return None;
        }
        slot.clear(State::DIRTY);
        self.take_writing(slot, site);
        Some(self.write_of(slot))
    }

    /// `wait_on_bit_lock`: whoever sets the bit owns the write.
    pub(super) fn take_writing(&self, slot: &Slot, site: Site) {
        while slot.set(State::WRITING) & State::WRITING != 0 {
            self.wait_clear(slot, State::WRITING, "buffer WRITING", site);
        }
    }

    /// The write of what is newer than the device. The caller owns WRITING.
    pub(super) fn write_of(&self, slot: &Slot) -> Bio {
        let mut contents = slot.contents.lock();
        let (from, to) = self.widened(std::mem::take(&mut contents.dirty));
        let super::slot::Contents { data, aux, .. } = &mut *contents;
        if let Some(callback) = &self.0.options.write_callback {
            callback.call(&mut Contents { block: slot.block(), data, aux });
        }
        let at = Sectors(self.sector(slot.block()).0 + u64::from(from) / SECTOR_SIZE);
        // A copy: whoever holds the buffer may change it meanwhile.
        let data = &contents.data[from as usize..to as usize];
        let bio = Bio::write(at, data, self.end(slot, State::WRITING));
        drop(contents);
        self.on(slot, bio)
    }

    /// The bytes to write for bytes that changed. In 2014 buffers were written whole.
    fn widened(&self, (from, to): (u32, u32)) -> (u32, u32) {
        let size = self.0.options.block_size;
        if self.0.generation() == BufioGeneration::V2014 || to == 0 {
            return (0, size);
        }
        (from / WRITE_ALIGN * WRITE_ALIGN, to.next_multiple_of(WRITE_ALIGN).min(size))
    }

    /// Submits a request of [`Client::start_write`].
    pub(super) fn submit_write(&self, bio: Bio) {
        self.submit(bio, Failpoint::BufioWrite);
    }

    /// Submits a list of writes together. Call it without the client lock.
    pub(super) fn submit_writes(&self, bios: Vec<Bio>) {
        if bios.is_empty() {
            return;
        }
        let admitted = bios.into_iter().filter_map(|bio| self.admit(bio, Failpoint::BufioWrite));
        drop(Plug::holding(&*self.0.device, admitted.collect()));
    }

    fn submit(&self, bio: Bio, point: Failpoint) {
        if let Some(bio) = self.admit(bio, point) {
            self.0.device.submit(bio);
        }
    }

    /// Fails the request where the plan says so, and keeps it where the task maps a request.
    fn admit(&self, mut bio: Bio, point: Failpoint) -> Option<Bio> {
        let shared = &self.0.bufio.0;
        match shared.plan.pass(&shared.sched, point) {
            Ok(()) => shared.marks.keep(&shared.sched, &self.0.device, bio),
            Err(errno) => {
                bio.submitted(&shared.sched, self.0.device.queue().id);
                bio.complete(Err(errno));
                None
            }
        }
    }

    /// Makes a claimed buffer clean and idle: waits for its read, writes it if it is dirty, waits
    /// for the write (`__make_buffer_clean`).
    pub(super) fn make_clean(&self, slot: &Slot, site: Site) {
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
