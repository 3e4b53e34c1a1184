//! `Requests`: the requests that wait for a device, those in flight, and their end.
//!
//! Key types: [`Requests`], [`Taken`]. One FIFO; a thread of the pool takes a [`Batch`] from its
//! front. A completion must not drop anything that owns a descriptor of the process: it runs on a
//! device thread, which has another file table. Locking: leaf locks alone.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::batch::Batch;
use crate::block::{Bio, Queue};
use crate::error::{Errno, Error};
use crate::event::{EventKind, Op, RequestId, Resource};
use crate::sched::{Adopted, Sched, SpinLock, WaitQueue, Waiting, harness_side};
use crate::units::Sectors;

/// A request that the kernel has, or that a thread is about to hand to it.
struct Flight {
    request: RequestId,
    op: Op,
    bytes: Range<u64>,
}

/// A batch that was taken, by the number under which its flights are kept.
pub(super) struct Taken {
    pub(super) batch: Batch,
    ticket: u64,
    /// Whether the judges were told that a task serves these requests, and not yet that it ended.
    serving: bool,
}

#[derive(Default)]
struct Fifo {
    waiting: VecDeque<Bio>,
    /// By ticket: the oldest first.
    flights: BTreeMap<u64, Vec<Flight>>,
    next_ticket: u64,
    /// No request is taken in any more.
    stopping: bool,
}

/// The parameters of a device's requests.
pub(in crate::host) struct RequestsOptions {
    /// Its size.
    pub(in crate::host) sectors: Sectors,
    /// Whether the device's own tasks are its queue's servers, as the judges see it.
    pub(in crate::host) serves: bool,
    /// Asked after a failure: an error of the device itself, if there is one.
    pub(in crate::host) trouble: fn(BorrowedFd<'_>, &str) -> Option<Error>,
}

/// The requests of one device.
pub(in crate::host) struct Requests {
    name: String,
    queue: Queue,
    options: RequestsOptions,
    fifo: SpinLock<Fifo>,
    /// Where servers wait for a request.
    wake: WaitQueue,
    /// Where tasks that drain the device wait.
    done: WaitQueue,
    trouble: SpinLock<Option<Error>>,
}

impl Requests {
    pub(in crate::host) fn new(sched: &Sched, name: &str, options: RequestsOptions) -> Self {
        let queue = Queue::new(sched, name);
        let (wake, done) = (WaitQueue::new(sched), WaitQueue::new(sched));
        let (fifo, trouble) = (SpinLock::default(), SpinLock::new(None));
        Self { name: name.to_owned(), queue, options, fifo, wake, done, trouble }
    }

    pub(in crate::host) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::host) const fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(in crate::host) const fn sectors(&self) -> Sectors {
        self.options.sectors
    }

    /// Takes a request in: one past the end fails with `EIO`, a discard with `EOPNOTSUPP`, one
    /// after the stop with `ENXIO`.
    pub(in crate::host) fn submit(&self, bio: Bio) {
        let _side = harness_side();
        if let Some(bio) = self.check(bio) {
            self.take_in([bio]);
        }
    }

    /// Takes requests in together: one alone would be taken before the next can be merged with it.
    pub(in crate::host) fn submit_all(&self, bios: Vec<Bio>) {
        let _side = harness_side();
        // A refused request is completed before the lock is taken: its submitter may do anything
        // then. Collected in place, so the allocation is reused.
        let accepted: Vec<Bio> = bios.into_iter().filter_map(|bio| self.check(bio)).collect();
        if !accepted.is_empty() {
            self.take_in(accepted);
        }
    }

    fn take_in(&self, bios: impl IntoIterator<Item = Bio>) {
        let mut fifo = self.fifo.lock();
        if fifo.stopping {
            drop(fifo);
            bios.into_iter().for_each(|bio| bio.complete(Err(Errno::ENXIO)));
            return;
        }
        fifo.waiting.extend(bios);
        drop(fifo);
        self.wake.wake_one();
    }

    /// Tells the world of a request; completes one that the device cannot carry out.
    fn check(&self, mut bio: Bio) -> Option<Bio> {
        bio.submitted(&self.queue.sched, self.queue.id);
        let end = bio.sector().0.checked_add(bio.sectors().0);
        let refused = match bio.op() {
            _ if end.is_none_or(|end| end > self.options.sectors.0) => Errno::EIO,
            Op::Discard => Errno::EOPNOTSUPP,
            Op::Read | Op::Write | Op::Flush => return Some(bio),
        };
        bio.complete(Err(refused));
        None
    }

    /// The oldest request in the kernel, or taken for it, that asks `op` of any of these bytes. The
    /// range says nothing for a flush.
    pub(in crate::host) fn in_flight(&self, op: Op, bytes: &Range<u64>) -> Option<RequestId> {
        let overlaps = |flight: &&Flight| {
            let overlap = flight.bytes.start < bytes.end && bytes.start < flight.bytes.end;
            flight.op == op && (op == Op::Flush || overlap)
        };
        self.fifo.lock().flights.values().flatten().find(overlaps).map(|flight| flight.request)
    }

    /// Keeps the first error of the device itself: later ones mostly follow from it.
    pub(in crate::host) fn note(&self, error: Error) {
        self.trouble.lock().get_or_insert(error);
    }

    pub(in crate::host) fn take_trouble(&self) -> Option<Error> {
        self.trouble.lock().take()
    }

    /// Waits, where the judges see it, until every request is done.
    pub(in crate::host) fn drain(&self) {
        while let Some(request) = self.oldest() {
            let waiting = Waiting::on(Resource::Request(request), "drain");
            let waited = self.done.wait_until(waiting, || self.oldest() != Some(request));
            debug_assert!(waited.is_ok(), "a drain is never broken");
        }
    }

    /// The oldest request that is not done.
    fn oldest(&self) -> Option<RequestId> {
        let fifo = self.fifo.lock();
        let flying = fifo.flights.values().flatten().next().map(|flight| flight.request);
        flying.or_else(|| fifo.waiting.front().and_then(Bio::id))
    }

    /// Takes no more requests in; those that were taken in are still served.
    pub(in crate::host) fn stop(&self) {
        self.fifo.lock().stopping = true;
        self.wake.wake_all();
    }
}

/// The side of the threads that serve.
impl Requests {
    /// Makes this thread a task of the world, and the queue's server where the device says so.
    pub(super) fn adopt(&self, what: &str) -> Adopted {
        let sched = &self.queue.sched;
        let task = sched.adopt(&format!("{} {what}", self.name));
        if self.options.serves {
            sched.emit(EventKind::QueueServer { queue: self.queue.id });
        }
        task
    }

    /// The next batch, waiting for it; none after the stop.
    pub(super) fn next(&self) -> Option<Taken> {
        let idle = Waiting::on(Resource::Idle(self.queue.id), "requests");
        loop {
            let waited = self.wake.wait_until(idle, || {
                let fifo = self.fifo.lock();
                !fifo.waiting.is_empty() || fifo.stopping
            });
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            if let Some(taken) = self.try_next() {
                if !self.fifo.lock().waiting.is_empty() {
                    // Its wake may have come to this thread, which is about to be busy.
                    self.wake.wake_one();
                }
                return Some(taken);
            }
            let fifo = self.fifo.lock();
            if fifo.stopping && fifo.waiting.is_empty() {
                return None;
            }
        }
    }

    /// The next batch, now in flight, if a request waits.
    pub(super) fn try_next(&self) -> Option<Taken> {
        let taken = {
            let mut fifo = self.fifo.lock();
            let mut batch = Batch::new(fifo.waiting.pop_front()?);
            while let Some(bio) = fifo.waiting.pop_front_if(|bio| batch.takes(bio)) {
                batch.push(bio);
            }
            let flight = |bio: &Bio| {
                let (request, start) =
                    (bio.id().expect("a queued request has a number"), bio.sector().bytes());
                Flight { request, op: bio.op(), bytes: start..start + bio.sectors().bytes() }
            };
            let flights = batch.bios().iter().map(flight).collect();
            let ticket = fifo.next_ticket;
            fifo.next_ticket += 1;
            fifo.flights.insert(ticket, flights);
            Taken { batch, ticket, serving: self.options.serves }
        };
        if taken.serving {
            self.tell(&taken, |request| EventKind::RequestServe { request });
        }
        Some(taken)
    }

    fn tell(&self, taken: &Taken, kind: impl Fn(RequestId) -> EventKind) {
        for request in taken.batch.bios().iter().filter_map(Bio::id) {
            self.queue.sched.emit(kind(request));
        }
    }

    /// The kernel has the batch, and the task that took it is free for others.
    pub(super) fn handed_over(&self, taken: &mut Taken) {
        if std::mem::take(&mut taken.serving) {
            self.tell(taken, |request| EventKind::RequestServed { request });
        }
    }

    /// Completes the requests of a batch whose last system call had `outcome`.
    pub(super) fn finish(
        &self,
        device: BorrowedFd<'_>,
        mut taken: Taken,
        outcome: Result<(), Errno>,
    ) {
        if outcome.is_err()
            && let Some(error) = (self.options.trouble)(device, &self.name)
        {
            self.note(error);
        }
        self.fifo.lock().flights.remove(&taken.ticket);
        self.handed_over(&mut taken);
        for (bio, outcome) in taken.batch.into_outcomes(outcome) {
            bio.complete(outcome);
        }
        self.done.wake_all();
    }

    /// Runs `serve`. Where it unwinds, with the world or because a completion panicked, nothing
    /// more is served: waiting requests fail, and the thread goes on, since it still has a device
    /// to close.
    pub(super) fn until_unwound(&self, serve: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(serve)).is_ok() {
            return;
        }
        let sched = &self.queue.sched;
        if !sched.is_aborted() {
            self.note(Error::os(format!("a completion of `{}` panicked", self.name)));
            sched.abort();
        }
        self.fail_waiting();
    }

    /// Takes no more requests in, and fails those that wait.
    fn fail_waiting(&self) {
        let left = {
            let mut fifo = self.fifo.lock();
            fifo.stopping = true;
            std::mem::take(&mut fifo.waiting)
        };
        drop(left);
    }
}

#[cfg(test)]
mod tests;
