//! `HostFile`: a real file as one of our block devices, with `O_DIRECT` and many requests in
//! flight.
//!
//! Key type: [`HostFile`]. A [`crate::block::FileDevice`] completes a bio before `submit` returns;
//! here device threads serve the requests ([`super::io`]), and for the judges they are the queue's
//! servers. The threads have a private file table, because the file may be on a filesystem of ours.
//! Locking: leaf locks alone.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::fd_table::spawn_private;
use super::io::{IoOptions, Pool, Requests, RequestsOptions};
use crate::block::{Bio, BlockDevice, Queue};
use crate::error::{Error, Result};
use crate::sched::{Sched, SpinLock};
use crate::units::{SECTOR_SIZE, Sectors};

/// A device on an open file; dropping this stops it.
///
/// Requests end on a thread of the device. A task waits for them where the world sees it, on a
/// [`WaitQueue`](crate::sched::WaitQueue), for the
/// [`Resource::Request`](crate::event::Resource::Request) of a request's number:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use reclaimdep::kernel::block::{Bio, BlockDevice, read_at};
/// use reclaimdep::kernel::event::Resource;
/// use reclaimdep::kernel::host::{HostFile, IoOptions};
/// use reclaimdep::kernel::sched::{WaitQueue, Waiting};
/// use reclaimdep::kernel::units::Sectors;
/// use reclaimdep::{Tier, World};
///
/// let report = World::builder().tier(Tier::Native).run(|world| {
///     let sched = world.sched();
///     let options = IoOptions::default();
///     let device = HostFile::temp(sched, "disk", 1 << 20, options).expect("a temp file");
///     let (written, queue) = (Arc::new(AtomicU32::new(0)), WaitQueue::new(sched));
///     let write = |block: u64| {
///         let (written, queue) = (Arc::clone(&written), queue.clone());
///         // It runs on a thread of the device and must not wait.
///         let end_io = Box::new(move |_memory, outcome: Result<(), _>| {
///             outcome.expect("the block is written");
///             written.fetch_add(1, Ordering::AcqRel);
///             queue.wake_all();
///         });
///         Bio::write(Sectors(block * 8), &[7; 4096], end_io)
///     };
///     let mut bios: Vec<Bio> = (0..100).map(write).collect();
///     let last = bios[99].number(sched);
///     device.submit_all(bios);
///     let waiting = Waiting::on(Resource::Request(last), "the writes");
///     let all = || written.load(Ordering::Acquire) == 100;
///     queue.wait_until(waiting, all).expect("this wait is not breakable");
///     let mut back = [0; 4096];
///     read_at(&device, 99 * 4096, &mut back).expect("it was written");
///     assert_eq!(back, [7; 4096]);
///     device.stop();
/// });
/// assert!(report.expect("the run works").is_quiet());
/// ```
pub struct HostFile {
    requests: Arc<Requests>,
    direct: bool,
    lead: SpinLock<Option<JoinHandle<()>>>,
}

impl HostFile {
    /// A device of `bytes` bytes, rounded down to sectors, on a new, unlinked, sparse temp file.
    ///
    /// # Errors
    /// `Os` if the temp file cannot be made; else as [`HostFile::on`].
    pub fn temp(sched: &Sched, name: &str, bytes: u64, options: IoOptions) -> Result<Self> {
        let make = || -> std::io::Result<std::fs::File> {
            let file = tempfile::tempfile()?;
            file.set_len(bytes / SECTOR_SIZE * SECTOR_SIZE)?;
            Ok(file)
        };
        let file = make().map_err(|error| {
            let dir = std::env::temp_dir();
            Error::os(format!("cannot make a temp file of {bytes} bytes in {}", dir.display()))
                .because(error)
                .advice("set TMPDIR to a directory with room")
        })?;
        Self::on(sched, name, file.as_fd(), Sectors(bytes / SECTOR_SIZE), options)
    }

    /// A device of `sectors` sectors on an open regular file. Its open file description gets
    /// `O_DIRECT` if the filesystem supports that. Sectors behind the end of the file cannot be
    /// read; a write there makes the file longer.
    ///
    /// # Errors
    /// `Misuse` in a world on the controlled engine, whose tasks are not threads; `Input` if the
    /// file is not a regular file or `options` are invalid; `Os` if no thread can be started.
    pub fn on(
        sched: &Sched,
        name: &str,
        file: BorrowedFd<'_>,
        sectors: Sectors,
        options: IoOptions,
    ) -> Result<Self> {
        if sched.is_controlled() {
            return Err(Error::misuse(format!("`{name}` on a real file in the model tier"))
                .advice("use a MemoryDevice there, or the native tier"));
        }
        let os = |error| Error::os(format!("`{name}`: its file has no status")).because(error);
        let stat = rustix::fs::fstat(file).map_err(os)?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Error::input(format!("`{name}` should be on a regular file"))
                .advice("only block devices that the harness made are opened: HostLoop::attach"));
        }
        let direct =
            fcntl_getfl(file).and_then(|flags| fcntl_setfl(file, flags | OFlags::DIRECT)).is_ok();
        let kind = RequestsOptions { sectors, serves: true, trouble: |_, _| None };
        let requests = Arc::new(Requests::new(sched, name, kind));
        let (report, started) = channel();
        let theirs = Arc::clone(&requests);
        let body = move |table: std::io::Result<Vec<OwnedFd>>| {
            let table = table
                .map_err(|error| Error::os("cannot leave the process's file table").because(error));
            match table.and_then(|table| Ok((table, Pool::new(options)?))) {
                Err(error) => drop(report.send(Err(error))),
                Ok((table, pool)) => {
                    if report.send(Ok(())).is_ok() {
                        pool.serve(table[0].as_fd(), &theirs);
                    }
                }
            }
        };
        let lead = spawn_private(name, &[file], body).map_err(|error| {
            Error::os(format!("cannot start a thread for `{name}`")).because(error)
        })?;
        started.recv().map_err(|error| {
            Error::os(format!("a thread of `{name}` panicked")).because(error)
        })??;
        Ok(Self { requests, direct, lead: SpinLock::new(Some(lead)) })
    }

    /// Whether its requests bypass the page cache.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.direct
    }

    /// The first error of the device itself since the last call.
    #[must_use]
    pub fn take_trouble(&self) -> Option<Error> {
        self.requests.take_trouble()
    }

    pub(super) fn join(&self) {
        self.requests.stop();
        let lead = self.lead.lock().take();
        if lead.is_some_and(|lead| lead.join().is_err()) {
            self.requests
                .note(Error::os(format!("a thread of `{}` panicked", self.requests.name())));
        }
    }
}

impl BlockDevice for HostFile {
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

    /// Waits until every request is complete (a wait that judges see); then ends the threads.
    fn stop(&self) {
        if Sched::of_current().is_some() {
            self.requests.drain();
        }
        self.join();
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        self.join();
    }
}
