//! `HostLoop`: a real loop device as one of our block devices.
//!
//! Key types: [`HostLoop`], [`Backing`]. Requests wait in one FIFO; *device threads*, which share a
//! file table of their own ([`super::fd_table`]) and are tasks of the world, write and read them
//! through `/dev/loopN` with `O_DIRECT`. What serves them then is the kernel's loop worker, for which
//! [`HostLoop::foreign_task`] stands: it is the queue's server as the judges see it. When the worker
//! comes back to us through FUSE, [`HostLoop::in_flight`] says for which request, so that the handler
//! can say whom it serves.
//!
//! Nothing that owns a descriptor of the process may be dropped by a completion: it runs on a device
//! thread. Locking: leaf locks alone.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, openat};

use super::fd_table::spawn_private;
use super::loop_dev::{LoopHandle, LoopOptions};
use super::loop_ioctl::is_bound;
use super::transfer::{Bounce, transfer};
use crate::block::{Bio, BlockDevice, Queue};
use crate::error::{Errno, Error, Result};
use crate::event::{EventKind, Op, RequestId, Resource, TaskId};
use crate::sched::{Sched, SpinLock, WaitQueue, Waiting};
use crate::units::Sectors;

/// Device threads of one device: as many requests can be in the kernel at a time.
const SERVERS: usize = 3;
/// How long opening the file and attaching may take before the caller gives up on it.
const ATTACH: Duration = Duration::from_secs(10);

/// What lies under the device.
#[derive(Clone, Copy, Debug)]
pub enum Backing<'a> {
    /// A file on a mount, opened by a device thread.
    On {
        /// The mount's root.
        mount: BorrowedFd<'a>,
        /// The file's path below it.
        file: &'a str,
    },
    /// A file that is open.
    Open(BorrowedFd<'a>),
}

/// A request that the kernel has now.
struct Flight {
    request: RequestId,
    op: Op,
    bytes: Range<u64>,
}

#[derive(Default)]
struct Fifo {
    waiting: VecDeque<Bio>,
    flights: Vec<Flight>,
    stopping: bool,
}

struct Inner {
    name: String,
    queue: Queue,
    sectors: Sectors,
    foreign: TaskId,
    fifo: SpinLock<Fifo>,
    /// Where servers wait for a request.
    wake: WaitQueue,
    /// Where whoever drains the device waits.
    done: WaitQueue,
    trouble: SpinLock<Option<Error>>,
}

/// A real loop device; dropping it stops it.
pub struct HostLoop {
    inner: Arc<Inner>,
    number: u32,
    lead: SpinLock<Option<JoinHandle<()>>>,
}

impl HostLoop {
    /// Attaches a loop device to `backing` and starts its threads. Reports call it `name`, whatever
    /// number the kernel gives it.
    ///
    /// # Errors
    /// As [`LoopHandle::attach`]; `Input` where the file is shorter than `sectors`; `Os` where it
    /// cannot be opened, or nothing happens for 10 s.
    pub fn attach(
        sched: &Sched,
        name: &str,
        backing: Backing<'_>,
        sectors: Sectors,
        options: LoopOptions,
    ) -> Result<Self> {
        let foreign = sched.foreign_task(&format!("{name} worker"));
        let queue = Queue::new(sched, name);
        sched.emit_for(foreign, EventKind::QueueServer { queue: queue.id });
        let (wake, done) = (WaitQueue::new(sched), WaitQueue::new(sched));
        let (fifo, trouble) = (SpinLock::default(), SpinLock::new(None));
        let inner =
            Arc::new(Inner { name: name.to_owned(), queue, sectors, foreign, fifo, wake, done, trouble });
        let (keep, file) = match backing {
            Backing::On { mount, file } => (mount, Some(file.to_owned())),
            Backing::Open(open) => (open, None),
        };
        let (report, attached) = channel();
        let theirs = Arc::clone(&inner);
        let body = move |table: std::io::Result<Vec<OwnedFd>>| {
            let opened =
                table.map_err(|error| Error::os("cannot leave the process's file table").because(error));
            let handle = opened.and_then(|table| theirs.bind(table, file.as_deref(), options));
            theirs.lead(handle, &report);
        };
        let lead = spawn_private(name, &[keep], body)
            .map_err(|error| Error::os(format!("cannot start a thread for `{name}`")).because(error))?;
        let number = match attached.recv_timeout(ATTACH) {
            Ok(number) => number?,
            Err(error) => {
                return Err(Error::os(format!("attaching `{name}` does not end"))
                    .because(error)
                    .advice("the filesystem under it does not answer"));
            }
        };
        Ok(Self { inner, number, lead: SpinLock::new(Some(lead)) })
    }

    /// N of `/dev/loopN`.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The task that stands for the kernel's loop worker.
    #[must_use]
    pub fn foreign_task(&self) -> TaskId {
        self.inner.foreign
    }

    /// The oldest request in the kernel that asks `op` of any of these bytes, which are the backing
    /// file's as well as the device's. The range says nothing for a flush.
    #[must_use]
    pub fn in_flight(&self, op: Op, bytes: Range<u64>) -> Option<RequestId> {
        let overlaps = |flight: &Flight| flight.bytes.start < bytes.end && bytes.start < flight.bytes.end;
        let fifo = self.inner.fifo.lock();
        let found =
            fifo.flights.iter().find(|flight| flight.op == op && (op == Op::Flush || overlaps(flight)));
        found.map(|flight| flight.request)
    }

    /// What went wrong with the device itself, once: it went away, or did not detach.
    #[must_use]
    pub fn take_trouble(&self) -> Option<Error> {
        self.inner.trouble.lock().take()
    }

    fn join(&self) {
        self.inner.fifo.lock().stopping = true;
        self.inner.wake.wake_all();
        let lead = self.lead.lock().take();
        if lead.is_some_and(|lead| lead.join().is_err()) {
            self.inner.note(Error::os(format!("a thread of `{}` panicked", self.inner.name)));
        }
    }
}

impl Inner {
    /// Opens the file and attaches. On the lead thread, before its helpers.
    fn bind(&self, table: Vec<OwnedFd>, file: Option<&str>, options: LoopOptions) -> Result<LoopHandle> {
        let mut backing = table.into_iter().next().expect("one descriptor was kept");
        if let Some(file) = file {
            let flags = OFlags::RDWR | OFlags::CLOEXEC;
            backing = openat(&backing, file, flags, Mode::empty()).map_err(|error| {
                Error::os(format!("cannot open `{file}` under `{}`", self.name)).because(error)
            })?;
        }
        let handle = LoopHandle::attach(backing.as_fd(), options)?;
        let bytes = handle
            .bytes()
            .map_err(|error| Error::os(format!("`{}` has no size", self.name)).because(error))?;
        if bytes < self.sectors.bytes() {
            let promised = self.sectors.bytes();
            return Err(Error::input(format!(
                "`{}` should have {promised} bytes and has {bytes}",
                self.name
            ))
            .advice("make the backing file as long as the device"));
        }
        Ok(handle)
    }

    /// The lead thread: reports, serves with its helpers, detaches.
    fn lead(&self, handle: Result<LoopHandle>, report: &Sender<Result<u32>>) {
        let handle = match handle {
            Ok(handle) => handle,
            Err(error) => return drop(report.send(Err(error))),
        };
        if report.send(Ok(handle.number())).is_err() {
            return;
        }
        let device = handle.as_fd();
        std::thread::scope(|scope| {
            for _ in 1..SERVERS {
                let helper = std::thread::Builder::new().name(self.name.clone());
                // One server is enough to make progress; the others only add concurrency.
                drop(helper.spawn_scoped(scope, || self.serve_all(device)));
            }
            self.serve_all(device);
        });
        if let Err(error) = handle.detach() {
            self.note(error);
        }
    }

    fn serve_all(&self, device: BorrowedFd<'_>) {
        let sched = &self.queue.sched;
        let _task = sched.adopt(&format!("{} io", self.name));
        let mut bounce = Bounce::new();
        let serve = || {
            while let Some(bio) = self.next() {
                self.serve(device, bio, bounce.buffer());
            }
        };
        // The world's own unwinding ends here too: the thread still has a device to close.
        if catch_unwind(AssertUnwindSafe(serve)).is_err() {
            if !sched.is_aborted() {
                self.note(Error::os(format!("a completion of `{}` panicked", self.name)));
                sched.abort();
            }
            let left = {
                let mut fifo = self.fifo.lock();
                fifo.stopping = true;
                std::mem::take(&mut fifo.waiting)
            };
            drop(left);
        }
    }

    /// The next request, now in flight; none after the stop.
    fn next(&self) -> Option<Bio> {
        let idle = Waiting::on(Resource::Idle(self.queue.id), "requests");
        loop {
            let waited = self.wake.wait_until(idle, || {
                let fifo = self.fifo.lock();
                !fifo.waiting.is_empty() || fifo.stopping
            });
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            let mut fifo = self.fifo.lock();
            let Some(bio) = fifo.waiting.pop_front() else {
                if fifo.stopping {
                    return None;
                }
                continue;
            };
            if !fifo.waiting.is_empty() {
                // Its wake may have come to this thread, which is about to be busy.
                self.wake.wake_one();
            }
            let start = bio.sector().bytes();
            let request = bio.id().expect("a queued request has a number");
            fifo.flights.push(Flight { request, op: bio.op(), bytes: start..start + bio.sectors().bytes() });
            return Some(bio);
        }
    }

    fn serve(&self, device: BorrowedFd<'_>, mut bio: Bio, bounce: &mut [u8]) {
        let outcome = transfer(device, &mut bio, bounce);
        if outcome.is_err() && !is_bound(device) {
            self.note(
                Error::os(format!("the loop device of `{}` was detached under it", self.name))
                    .advice("something else on this machine runs losetup -d"),
            );
        }
        let request = bio.id();
        self.fifo.lock().flights.retain(|flight| Some(flight.request) != request);
        bio.complete(outcome);
        self.done.wake_all();
    }

    /// The first trouble is the one that says most.
    fn note(&self, error: Error) {
        self.trouble.lock().get_or_insert(error);
    }

    /// The oldest request that is not done.
    fn oldest(&self) -> Option<RequestId> {
        let fifo = self.fifo.lock();
        let flying = fifo.flights.first().map(|flight| flight.request);
        flying.or_else(|| fifo.waiting.front().and_then(Bio::id))
    }
}

impl BlockDevice for HostLoop {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn sectors(&self) -> Sectors {
        self.inner.sectors
    }

    fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    fn submit(&self, mut bio: Bio) {
        let Queue { sched, id } = &self.inner.queue;
        bio.submitted(sched, *id);
        let end = bio.sector().0.checked_add(bio.sectors().0);
        if end.is_none_or(|end| end > self.inner.sectors.0) {
            bio.complete(Err(Errno::EIO));
            return;
        }
        let mut fifo = self.inner.fifo.lock();
        if fifo.stopping {
            drop(fifo);
            bio.complete(Err(Errno::ENXIO));
            return;
        }
        fifo.waiting.push_back(bio);
        drop(fifo);
        self.inner.wake.wake_one();
    }

    /// Waits, where the judges see it, until every request is done; then detaches the device.
    fn stop(&self) {
        if Sched::of_current().is_some() {
            while let Some(request) = self.inner.oldest() {
                let waiting = Waiting::on(Resource::Request(request), "drain");
                let waited = self.inner.done.wait_until(waiting, || self.inner.oldest() != Some(request));
                debug_assert!(waited.is_ok(), "a drain is never broken");
            }
        }
        self.join();
    }
}

impl Drop for HostLoop {
    fn drop(&mut self) {
        self.join();
    }
}
