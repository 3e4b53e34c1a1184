//! The traits of a block device and of a loop device's backing file; submitting and waiting.
//!
//! Key types: [`BlockDevice`], [`BackingFile`], [`Queue`].
//!
//! Locking: a leaf lock around the outcome of a request that is waited for.

use std::sync::Arc;

use super::bio::{Bio, EndIo};
use crate::error::Errno;
use crate::event::{Op, QueueId, Resource, Site};
use crate::sched::{Sched, SpinLock, WaitQueue, Waiting, harness_side};
use crate::units::{SECTOR_SIZE, Sectors};

/// A device that serves requests.
pub trait BlockDevice: Send + Sync {
    /// Its name in reports: `loop0`, `vda`.
    fn name(&self) -> &str;

    /// Its size.
    fn sectors(&self) -> Sectors;

    /// Its request queue.
    fn queue(&self) -> &Queue;

    /// Submits a bio. It is completed once, now or later, on this or on another task.
    fn submit(&self, bio: Bio);

    /// Submits the bios of a plug, in the order in which they are to start.
    fn submit_all(&self, bios: Vec<Bio>) {
        bios.into_iter().for_each(|bio| self.submit(bio));
    }

    /// Completes what is in flight and ends the device's tasks. No bio may be submitted afterwards.
    fn stop(&self) {}
}

/// A device's request queue, as events name it.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The world.
    pub sched: Sched,
    /// Its number.
    pub id: QueueId,
}

impl Queue {
    /// Registers the queue of device `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str) -> Self {
        Self { sched: sched.clone(), id: sched.add_queue(name) }
    }
}

/// A file that a loop device can sit on.
pub trait BackingFile: Send + Sync {
    /// Its name in reports: `lower/disk.img`.
    fn name(&self) -> &str;

    /// Its size in bytes.
    ///
    /// # Errors
    /// Any errno of the filesystem.
    fn size(&self) -> Result<u64, Errno>;

    /// Reads at byte `offset` until `buf` is full. Past the end of the file it reads zeroes.
    ///
    /// # Errors
    /// Any errno of the filesystem.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno>;

    /// Writes all of `data` at byte `offset`.
    ///
    /// # Errors
    /// Any errno of the filesystem.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno>;

    /// Makes earlier writes durable.
    ///
    /// # Errors
    /// Any errno of the filesystem.
    fn fsync(&self) -> Result<(), Errno>;
}

/// Whether `bio` lies inside `device`.
pub(crate) fn in_range(device: &dyn BlockDevice, bio: &Bio) -> bool {
    let end = bio.sector().0.checked_add(bio.sectors().0);
    end.is_some_and(|end| end <= device.sectors().0)
}

/// The data and the outcome of a request.
type Completed = (Vec<u8>, Result<(), Errno>);

/// A waiting submitter and its completion share this.
struct PendingRequest {
    done: SpinLock<Option<Completed>>,
    wake: WaitQueue,
}

/// Submits one request and waits for it; returns the data.
fn submit_and_wait(
    device: &dyn BlockDevice,
    site: Site,
    make: impl FnOnce(EndIo) -> Bio,
) -> Result<Vec<u8>, Errno> {
    let sched = device.queue().sched.clone();
    let shared =
        Arc::new(PendingRequest { done: SpinLock::new(None), wake: WaitQueue::new(&sched) });
    let theirs = Arc::clone(&shared);
    let end_io = Box::new(move |data, outcome| {
        *theirs.done.lock() = Some((data, outcome));
        theirs.wake.wake_all();
    });
    let mut bio = make(end_io).with_site(site);
    let request = bio.number(&sched);
    device.submit(bio);
    let waiting =
        Waiting { resource: Resource::Request(request), why: "request", breakable: false, site };
    let waited = shared.wake.wait_until(waiting, || shared.done.lock().is_some());
    debug_assert!(waited.is_ok(), "an I/O wait is never broken");
    let (data, outcome) = shared.done.lock().take().expect("the wait saw it");
    outcome.map(|()| data)
}

/// Reads `buf` from byte `offset` of `device`, and waits.
///
/// # Errors
/// `EINVAL` for an extent that is not whole sectors; else the device's errno.
#[track_caller]
pub fn read_at(device: &dyn BlockDevice, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
    read_at_site(device, offset, buf, Site::here())
}

/// As [`read_at`], for a call at `site`.
pub(crate) fn read_at_site(
    device: &dyn BlockDevice,
    offset: u64,
    buf: &mut [u8],
    site: Site,
) -> Result<(), Errno> {
    let _side = harness_side();
    let sector = whole_sectors(offset, buf.len())?;
    let data = vec![0; buf.len()];
    let data = submit_and_wait(device, site, |end| Bio::new(Op::Read, sector, data, end))?;
    buf.copy_from_slice(&data);
    Ok(())
}

/// Writes `data` at byte `offset` of `device`, and waits.
///
/// # Errors
/// `EINVAL` for an extent that is not whole sectors; else the device's errno.
#[track_caller]
pub fn write_at(device: &dyn BlockDevice, offset: u64, data: &[u8]) -> Result<(), Errno> {
    write_at_site(device, offset, data, Site::here())
}

/// As [`write_at`], for a call at `site`.
pub(crate) fn write_at_site(
    device: &dyn BlockDevice,
    offset: u64,
    data: &[u8],
    site: Site,
) -> Result<(), Errno> {
    let _side = harness_side();
    let sector = whole_sectors(offset, data.len())?;
    submit_and_wait(device, site, |end| Bio::write(sector, data, end)).map(drop)
}

/// Makes earlier writes to `device` durable, and waits.
///
/// # Errors
/// The device's errno.
#[track_caller]
pub fn flush(device: &dyn BlockDevice) -> Result<(), Errno> {
    let (site, _side) = (Site::here(), harness_side());
    submit_and_wait(device, site, |end| Bio::new(Op::Flush, Sectors(0), Vec::new(), end)).map(drop)
}

/// Discards `sectors` sectors of `device` from `sector` on, and waits.
///
/// # Errors
/// `EOPNOTSUPP` where the device has no discard; else the device's errno.
#[track_caller]
pub fn discard(device: &dyn BlockDevice, sector: Sectors, sectors: Sectors) -> Result<(), Errno> {
    let _side = harness_side();
    submit_and_wait(device, Site::here(), |end| Bio::discard(sector, sectors, end)).map(drop)
}

fn whole_sectors(offset: u64, len: usize) -> Result<Sectors, Errno> {
    let whole = offset.is_multiple_of(SECTOR_SIZE) && (len as u64).is_multiple_of(SECTOR_SIZE);
    if whole { Ok(Sectors(offset / SECTOR_SIZE)) } else { Err(Errno::EINVAL) }
}
