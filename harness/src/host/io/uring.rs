//! The engine on io_uring: one thread that submits and completes, and one that wakes it.
//!
//! Key types: [`Ring`], [`serve`]. The ring's thread sleeps in the kernel, for a completion or for
//! its bell, an eventfd. Whoever submits may be a thread of another file table, to whom the bell's
//! number means something else; so the bell is rung by a thread beside the ring's, which waits
//! where the world sees it. To the judges a batch is served until the kernel has it.
#![expect(unsafe_code, reason = "ring entries carry addresses that the kernel reads and writes")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, Probe, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};

use super::batch::CHUNK;
use super::memory::{Alignment, Memory, alignment};
use super::requests::{Requests, Rest, Taken};
use super::threads;
use crate::error::{Errno, Error};
use crate::event::Op;

/// The bell's entry; the others carry their slot.
const BELL: u64 = u64::MAX;
/// Pieces of a chunk at the most: one for each sector.
const PIECES: usize = CHUNK / 512;
/// How often an entry that was interrupted or found no room is tried again.
const MAX_RETRIES: u32 = 64;

/// A batch in the kernel.
struct Slot {
    taken: Taken,
    retries: u32,
}

/// A batch that is over, and how.
type Ended = (Taken, Result<(), Errno>);

/// An io_uring and what its entries point to.
///
/// # Invariants
/// The kernel has the buffer of slot n, its pieces and the data of its batch from when an entry for
/// it is pushed until its completion is reaped, and exactly then `slots[n]` is some; nobody changes
/// the data of a write meanwhile.
pub(super) struct Ring {
    ring: IoUring,
    memory: Option<Memory>,
    /// For each slot, where the data of its entry lies if it is written from there; made before the
    /// first request, as the buffers are.
    pieces: Vec<Vec<libc::iovec>>,
    slots: Vec<Option<Slot>>,
    /// Batches that were taken ahead and that the kernel has not seen.
    staged: VecDeque<Taken>,
    /// Slots that are none.
    free: Vec<usize>,
    /// Slots whose entries are pushed and not yet submitted.
    pushed: Vec<usize>,
    /// What the device asks of pieces of memory.
    align: Option<Alignment>,
    bell: OwnedFd,
    bell_armed: bool,
}

impl Ring {
    /// A ring for so many batches in flight, on this thread alone.
    ///
    /// # Errors
    /// What the kernel says; `Unsupported` where it lacks an operation.
    pub(super) fn open(in_flight: usize) -> io::Result<Self> {
        let entries = u32::try_from(in_flight + 1).map_err(io::Error::other)?;
        // No interrupt for a completion: this thread looks whenever it has submitted.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(entries)
            .or_else(|_| IoUring::new(entries))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::Writev::CODE,
            opcode::Fsync::CODE,
            opcode::PollAdd::CODE,
        ];
        if !needed.into_iter().all(|code| probe.is_supported(code)) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            ring,
            memory: Some(Memory::new(in_flight)),
            pieces: (0..in_flight).map(|_| Vec::with_capacity(PIECES)).collect(),
            slots: (0..in_flight).map(|_| None).collect(),
            staged: VecDeque::with_capacity(in_flight),
            free: (0..in_flight).rev().collect(),
            pushed: Vec::with_capacity(in_flight),
            align: None,
            bell,
            bell_armed: false,
        })
    }

    fn memory(&mut self) -> &mut Memory {
        self.memory.as_mut().expect("it is given up with the last request alone")
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: an entry points to the buffer of a slot, to its batch's data or to its pieces,
        // which live until its completion is reaped (the type's invariant, and its drop), or to
        // nothing.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("the ring has an entry for each slot and one for the bell");
    }

    /// Hands the next part of a batch to the kernel.
    fn start(&mut self, device: BorrowedFd<'_>, place: usize, slot: Slot) {
        let (op, offset, len) =
            (slot.taken.batch.op(), slot.taken.batch.offset(), slot.taken.batch.next_len());
        let (fd, address) = (Fd(device.as_raw_fd()), self.memory().address(place));
        let count = u32::try_from(len).expect("a chunk is small");
        let entry = match op {
            Op::Read => opcode::Read::new(fd, address, count).offset(offset).build(),
            Op::Write => {
                self.pieces[place].clear();
                let base = |piece: &[u8]| piece.as_ptr().cast_mut().cast();
                if let Some(pieces) = slot.taken.batch.in_place(self.align) {
                    let piece =
                        |piece: &[u8]| libc::iovec { iov_base: base(piece), iov_len: piece.len() };
                    self.pieces[place].extend(pieces.map(piece));
                }
                match &self.pieces[place][..] {
                    [] => {
                        // SAFETY: the slot is not in the kernel: its entry is made here.
                        let chunk = unsafe { self.memory().buffer(place, len) };
                        slot.taken.batch.fill(chunk);
                        opcode::Write::new(fd, address, count).offset(offset).build()
                    }
                    [one] => {
                        opcode::Write::new(fd, one.iov_base.cast(), count).offset(offset).build()
                    }
                    more => {
                        let pieces = u32::try_from(more.len()).expect("a chunk has few sectors");
                        opcode::Writev::new(fd, more.as_ptr(), pieces).offset(offset).build()
                    }
                }
            }
            Op::Discard => unreachable!("it is refused where requests are taken in"),
            Op::Flush => {
                opcode::Fsync::new(fd).flags(io_uring::types::FsyncFlags::DATASYNC).build()
            }
        };
        // INVARIANT: the slot is some before its entry is pushed.
        self.slots[place] = Some(slot);
        self.pushed.push(place);
        self.push(&entry.user_data(place as u64));
    }

    fn arm_bell(&mut self) {
        if !std::mem::replace(&mut self.bell_armed, true) {
            let readable = u32::try_from(libc::POLLIN).expect("a flag");
            let entry = opcode::PollAdd::new(Fd(self.bell.as_raw_fd()), readable).build();
            self.push(&entry.user_data(BELL));
        }
    }

    /// Submits what was pushed and waits for `want` completions.
    ///
    /// # Errors
    /// If the ring itself fails.
    fn enter(&mut self, want: usize) -> io::Result<()> {
        match self.ring.submit_and_wait(want) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A signal, or no room: the entries stay, and completions are reaped meanwhile.
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => {
                    std::thread::yield_now();
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// What the kernel is done with, and the outcome of its last part.
    fn reap(&mut self, device: BorrowedFd<'_>, ended: &mut Vec<Ended>) {
        let reaped = |ring: &mut IoUring| {
            ring.completion().next().map(|entry| (entry.user_data(), entry.result()))
        };
        while let Some((data, result)) = reaped(&mut self.ring) {
            if data == BELL {
                self.bell_armed = false;
                // Nothing to read says that it was read before: the bell is for waking alone.
                let _read_before = rustix::io::read(&self.bell, &mut [0; 8]);
                continue;
            }
            let place = usize::try_from(data).expect("a slot's number");
            let slot = self.slots[place].take().expect("a completion is of a slot in flight");
            if let Some(batch) = self.advance(device, place, slot, result) {
                self.free.push(place);
                ended.push(batch);
            }
        }
    }

    /// Counts what the kernel did of slot `place`; the batch comes back when it is over.
    fn advance(
        &mut self,
        device: BorrowedFd<'_>,
        place: usize,
        mut slot: Slot,
        result: i32,
    ) -> Option<Ended> {
        let outcome = match usize::try_from(result) {
            Err(_)
                if matches!(-result, libc::EINTR | libc::EAGAIN) && slot.retries < MAX_RETRIES =>
            {
                slot.retries += 1;
                self.start(device, place, slot);
                return None;
            }
            Err(_) => Err(Errno::from_raw(-result)),
            Ok(_) if slot.taken.batch.op() == Op::Flush => Ok(()),
            Ok(moved) => {
                let len = slot.taken.batch.next_len();
                // SAFETY: the slot's entry is complete, and no other was pushed.
                let chunk = unsafe { self.memory().buffer(place, len) };
                slot.taken.batch.moved(moved, chunk)
            }
        };
        if outcome.is_ok() && !slot.taken.batch.is_done() {
            self.start(device, place, slot);
            return None;
        }
        Some((slot.taken, outcome))
    }

    /// Serves until no more requests will come and none is in flight.
    ///
    /// # Errors
    /// If the ring itself fails; the kernel may still have what is in flight.
    fn run(&mut self, device: BorrowedFd<'_>, requests: &Requests) -> io::Result<()> {
        let mut ended = Vec::with_capacity(self.slots.len());
        loop {
            self.fill(device, requests);
            // With every slot in the kernel, a new request wakes nobody: it has no place to go.
            let rest = if self.free.is_empty() { Rest::Stopped } else { requests.rest() };
            if rest == Rest::Stopped && self.free.len() == self.slots.len() {
                return Ok(());
            }
            self.arm_bell();
            self.enter(usize::from(rest != Rest::Work))?;
            self.tell_handed_over(requests);
            self.reap(device, &mut ended);
            // First what waits: the device works on it while whoever waits for these is told.
            self.fill(device, requests);
            let entered = if self.pushed.is_empty() { Ok(()) } else { self.enter(0) };
            self.tell_handed_over(requests);
            for (taken, outcome) in ended.drain(..) {
                requests.until_unwound(|| requests.finish(device, taken, outcome));
            }
            self.stage(requests);
            entered?;
        }
    }

    /// Starts what waits, as far as there are slots.
    fn fill(&mut self, device: BorrowedFd<'_>, requests: &Requests) {
        if !self.staged.is_empty() && requests.is_failing() {
            self.fail_staged(device, requests);
        }
        while let Some(place) = self.free.last().copied()
            && let Some(taken) = self.staged.pop_front().or_else(|| requests.try_next())
        {
            self.free.pop();
            self.start(device, place, Slot { taken, retries: 0 });
        }
    }

    /// Takes as many batches ahead as can be in flight, while the device works: when one completes,
    /// the next is at hand. Not where somebody observes, to whom a batch that is taken is being
    /// served.
    fn stage(&mut self, requests: &Requests) {
        while self.free.is_empty()
            && !requests.is_observed()
            && self.staged.len() < self.slots.len()
            && let Some(taken) = requests.try_next()
        {
            self.staged.push_back(taken);
        }
    }

    fn tell_handed_over(&mut self, requests: &Requests) {
        let Self { pushed, slots, .. } = self;
        for place in pushed.drain(..) {
            if let Some(slot) = &mut slots[place] {
                requests.handed_over(&mut slot.taken);
            }
        }
    }

    /// Gives up on the ring: what the kernel has of the buffers it keeps, and the requests fail.
    fn give_up(&mut self, device: BorrowedFd<'_>, requests: &Requests) {
        std::mem::forget((self.memory.take(), std::mem::take(&mut self.pieces)));
        for mut slot in self.slots.iter_mut().filter_map(Option::take) {
            slot.taken.batch.leave_data();
            requests.until_unwound(|| requests.finish(device, slot.taken, Err(Errno::EIO)));
        }
        self.fail_staged(device, requests);
        requests.fail_waiting();
    }

    fn fail_staged(&mut self, device: BorrowedFd<'_>, requests: &Requests) {
        for taken in self.staged.drain(..) {
            requests.until_unwound(|| requests.finish(device, taken, Err(Errno::EIO)));
        }
    }
}

impl Drop for Ring {
    /// Buffers and data go only when the kernel has none of them.
    fn drop(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            slot.taken.batch.leave_data();
            std::mem::forget((self.memory.take(), std::mem::take(&mut self.pieces)));
        }
    }
}

/// Serves with this thread, which made the ring, and one that rings its bell.
pub(super) fn serve(mut ring: Ring, device: BorrowedFd<'_>, requests: &Requests) {
    let Ok(bell) = ring.bell.try_clone() else {
        return threads::serve(device, requests, 1);
    };
    std::thread::scope(|scope| {
        let ringer = std::thread::Builder::new().name(requests.name().to_owned());
        let Ok(ringer) = ringer.spawn_scoped(scope, || ring_bell(bell.as_fd(), requests)) else {
            return threads::serve(device, requests, 1);
        };
        let _task = requests.adopt("io");
        ring.align = alignment(device);
        if let Err(error) = ring.run(device, requests) {
            requests.note(
                Error::os(format!("the io_uring of `{}` broke", requests.name())).because(error),
            );
            ring.give_up(device, requests);
        }
        requests.ended();
        // The scope alone waits for what it does, and not until it is gone.
        if ringer.join().is_err() {
            requests.note(Error::os(format!("a thread of `{}` panicked", requests.name())));
        }
    });
}

/// Rings while somebody sleeps who should not; and once more, however that ends.
fn ring_bell(bell: BorrowedFd<'_>, requests: &Requests) {
    let _task = requests.adopt_helper("bell");
    let ring = || {
        // A full counter is a bell that rings.
        let _full = rustix::io::write(bell, &1_u64.to_ne_bytes());
    };
    requests.until_unwound(|| {
        while requests.until_needed() {
            ring();
        }
    });
    ring();
}

#[cfg(test)]
mod tests;
