//! `HostLoop`: a real loop device as one of our block devices.
//!
//! Key types: [`HostLoop`], [`Backing`]. *Device threads* are tasks of the world and share a
//! private file table ([`super::fd_table`]). They do the I/O on `/dev/loopN` with `O_DIRECT`
//! ([`super::io`]). The kernel's loop worker serves it; for the judges [`HostLoop::foreign_task`]
//! stands for the worker as the queue's server. When the worker calls our filesystem through FUSE,
//! [`HostLoop::in_flight`] finds the request that it serves.
//!
//! A completion runs on a device thread, so it must not drop anything that owns a descriptor of the
//! process. Locking: leaf locks alone.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, openat};

use super::fd_table::spawn_private;
use super::io::{IoOptions, Pool, Requests, RequestsOptions};
use super::loop_dev::{LoopHandle, LoopOptions};
use super::loop_ioctl::is_bound;
use crate::block::{Bio, BlockDevice, Queue};
use crate::error::{Error, Result};
use crate::event::{EventKind, Op, RequestId, TaskId};
use crate::sched::{Sched, SpinLock};
use crate::units::Sectors;

/// How long opening the file and attaching may take before the caller gives up on it.
const ATTACH: Duration = Duration::from_secs(10);

/// The backing file of a device.
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

/// A real loop device; dropping this stops it.
pub struct HostLoop {
    requests: Arc<Requests>,
    foreign: TaskId,
    number: u32,
    lead: SpinLock<Option<JoinHandle<()>>>,
}

impl HostLoop {
    /// Attaches a loop device to `backing` and starts its threads. Reports call it `name`; the
    /// kernel chooses its number.
    ///
    /// # Errors
    /// As [`LoopHandle::attach`]; `Input` if the file is shorter than `sectors` or `io` is invalid;
    /// `Os` if the file cannot be opened, or attaching takes longer than 10 s.
    pub fn attach(
        sched: &Sched,
        name: &str,
        backing: Backing<'_>,
        sectors: Sectors,
        options: LoopOptions,
        io: IoOptions,
    ) -> Result<Self> {
        let foreign = sched.foreign_task(&format!("{name} worker"));
        let kind = RequestsOptions { sectors, serves: false, trouble };
        let requests = Arc::new(Requests::new(sched, name, kind));
        sched.emit_for(foreign, EventKind::QueueServer { queue: requests.queue().id });
        let (keep, file) = match backing {
            Backing::On { mount, file } => (mount, Some(file.to_owned())),
            Backing::Open(open) => (open, None),
        };
        let (report, attached) = channel();
        let theirs = Arc::clone(&requests);
        let body = move |table: std::io::Result<Vec<OwnedFd>>| {
            let opened = table
                .map_err(|error| Error::os("cannot leave the process's file table").because(error));
            let bound = opened.and_then(|table| bind(&theirs, table, file.as_deref(), options));
            lead(&theirs, bound.and_then(|handle| Ok((handle, Pool::new(io)?))), &report);
        };
        let lead = spawn_private(name, &[keep], body).map_err(|error| {
            Error::os(format!("cannot start a thread for `{name}`")).because(error)
        })?;
        let number = match attached.recv_timeout(ATTACH) {
            Ok(number) => number?,
            Err(error) => {
                return Err(Error::os(format!("attaching `{name}` takes too long"))
                    .because(error)
                    .advice("the filesystem under it does not answer"));
            }
        };
        Ok(Self { requests, foreign, number, lead: SpinLock::new(Some(lead)) })
    }

    /// N of `/dev/loopN`.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The task that stands for the kernel's loop worker.
    #[must_use]
    pub const fn foreign_task(&self) -> TaskId {
        self.foreign
    }

    /// The oldest request in the kernel with operation `op` that overlaps these bytes. Offsets in
    /// the device and in the backing file are the same. The range is ignored for a flush.
    #[must_use]
    pub fn in_flight(&self, op: Op, bytes: Range<u64>) -> Option<RequestId> {
        self.requests.in_flight(op, &bytes)
    }

    /// The first error of the device itself since the last call: it went away, or did not detach.
    #[must_use]
    pub fn take_trouble(&self) -> Option<Error> {
        self.requests.take_trouble()
    }

    fn join(&self) {
        self.requests.stop();
        let lead = self.lead.lock().take();
        if lead.is_some_and(|lead| lead.join().is_err()) {
            self.requests
                .note(Error::os(format!("a thread of `{}` panicked", self.requests.name())));
        }
    }
}

/// The error if the device itself is gone, which can be why a request failed.
fn trouble(device: BorrowedFd<'_>, name: &str) -> Option<Error> {
    (!is_bound(device)).then(|| {
        Error::os(format!("the loop device of `{name}` was detached under it"))
            .advice("something else on this machine runs losetup -d")
    })
}

/// Opens the file and attaches the device. It runs on the lead thread, before its helpers start.
fn bind(
    requests: &Requests,
    table: Vec<OwnedFd>,
    file: Option<&str>,
    options: LoopOptions,
) -> Result<LoopHandle> {
    let name = requests.name();
    let mut backing = table.into_iter().next().expect("one descriptor was kept");
    if let Some(file) = file {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        backing = openat(&backing, file, flags, Mode::empty()).map_err(|error| {
            Error::os(format!("cannot open `{file}` under `{name}`")).because(error)
        })?;
    }
    let handle = LoopHandle::attach(backing.as_fd(), options)?;
    let bytes = handle
        .bytes()
        .map_err(|error| Error::os(format!("`{name}` has no size")).because(error))?;
    let promised = requests.sectors().bytes();
    if bytes < promised {
        return Err(Error::input(format!("`{name}` should have {promised} bytes and has {bytes}"))
            .advice("make the backing file as long as the device"));
    }
    Ok(handle)
}

/// The lead thread: reports, serves, detaches.
fn lead(requests: &Requests, ready: Result<(LoopHandle, Pool)>, report: &Sender<Result<u32>>) {
    let (handle, pool) = match ready {
        Ok(ready) => ready,
        Err(error) => return drop(report.send(Err(error))),
    };
    if report.send(Ok(handle.number())).is_err() {
        return;
    }
    pool.serve(handle.as_fd(), requests);
    if let Err(error) = handle.detach() {
        requests.note(error);
    }
}

impl BlockDevice for HostLoop {
    fn name(&self) -> &str {
        self.requests.name()
    }

    fn sectors(&self) -> Sectors {
        self.requests.sectors()
    }

    fn queue(&self) -> &Queue {
        self.requests.queue()
    }

    fn submit(&self, bio: Bio) {
        self.requests.submit(bio);
    }

    fn submit_all(&self, bios: Vec<Bio>) {
        self.requests.submit_all(bios);
    }

    /// Waits until every request is complete (a wait that judges see); then detaches the device.
    fn stop(&self) {
        if Sched::of_current().is_some() {
            self.requests.drain();
        }
        self.join();
    }
}

impl Drop for HostLoop {
    fn drop(&mut self) {
        self.join();
    }
}
