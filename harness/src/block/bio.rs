//! `Bio`: one request to a block device.
//!
//! Key types: [`Bio`], [`EndIo`]. A bio owns its data; its completion gives the data back to the
//! submitter. Dropping a bio completes it with EIO, so that no waiter waits for ever.

use crate::error::Errno;
use crate::event::{EventKind, Op, Origin, QueueId, RequestId, Site};
use crate::sched::Sched;
use crate::units::Sectors;

/// The submitter's completion: it gets the data and the outcome. For [`Bio::write`] the data is the
/// memory that held the copy.
///
/// The completion runs on the completing task, as in an interrupt handler: it must not wait.
pub type EndIo = Box<dyn FnOnce(Vec<u8>, Result<(), Errno>) + Send>;

/// Alignment of the data of [`Bio::write`], in bytes: enough for `O_DIRECT` on nearly every device.
const ALIGN: usize = 512;

/// One request: its operation and extent, its data, and its completion.
pub struct Bio {
    op: Op,
    sector: Sectors,
    sectors: Sectors,
    data: Vec<u8>,
    /// Where the data begins in `data`, for a copy that [`Bio::write`] made.
    copied_at: Option<u16>,
    origin: Option<Origin>,
    site: Site,
    id: Option<RequestId>,
    /// The world, once the request has a number.
    sched: Option<Sched>,
    /// The submission was emitted: a device that passes the bio on does not emit it again.
    emitted: bool,
    end_io: Option<EndIo>,
}

impl std::fmt::Debug for Bio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { op, sector, sectors, id, .. } = self;
        f.debug_struct("Bio")
            .field("id", &id)
            .field("op", op)
            .field("sector", sector)
            .field("sectors", sectors)
            .finish_non_exhaustive()
    }
}

impl Bio {
    /// A request. `data` is the buffer to fill for a read, and empty for a flush.
    ///
    /// # Panics
    /// If `data` is not a whole number of sectors.
    #[track_caller]
    #[must_use]
    pub fn new(op: Op, sector: Sectors, data: Vec<u8>, end_io: EndIo) -> Self {
        let sectors = Sectors::from_bytes(data.len() as u64);
        Self {
            op,
            sector,
            sectors,
            data,
            copied_at: None,
            origin: None,
            site: Site::here(),
            id: None,
            sched: None,
            emitted: false,
            end_io: Some(end_io),
        }
    }

    /// A write of a copy of `data`. The copy is aligned, so a device need not copy it again.
    ///
    /// # Panics
    /// If `data` is not a whole number of sectors.
    #[track_caller]
    #[must_use]
    pub fn write(sector: Sectors, data: &[u8], end_io: EndIo) -> Self {
        let mut copy: Vec<u8> = Vec::with_capacity(data.len() + ALIGN);
        let start = copy.as_ptr().align_offset(ALIGN).min(ALIGN);
        copy.resize(start, 0);
        copy.extend_from_slice(data);
        let mut bio = Self::new(Op::Write, sector, Vec::new(), end_io);
        bio.sectors = Sectors::from_bytes(data.len() as u64);
        (bio.data, bio.copied_at) =
            (copy, Some(u16::try_from(start).expect("at most the alignment")));
        bio
    }

    /// A discard: it has an extent and no data.
    #[track_caller]
    #[must_use]
    pub fn discard(sector: Sectors, sectors: Sectors, end_io: EndIo) -> Self {
        let mut bio = Self::new(Op::Discard, sector, Vec::new(), end_io);
        bio.sectors = sectors;
        bio
    }

    /// Sets what the submitter calls the request, for reports.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Sets the line of the request, for a submitter whose program has lines of its own.
    #[must_use]
    pub(crate) const fn with_site(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    /// The line of the request.
    #[must_use]
    pub(crate) const fn site(&self) -> Site {
        self.site
    }

    /// The operation.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.op
    }

    /// The first sector.
    #[must_use]
    pub const fn sector(&self) -> Sectors {
        self.sector
    }

    /// The number of sectors.
    #[must_use]
    pub const fn sectors(&self) -> Sectors {
        self.sectors
    }

    /// The data of a write.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data[self.start()..]
    }

    fn start(&self) -> usize {
        self.copied_at.map_or(0, usize::from)
    }

    /// The buffer of a read.
    pub fn data_mut(&mut self) -> &mut [u8] {
        let start = self.start();
        &mut self.data[start..]
    }

    /// The request's number, once it was submitted.
    #[must_use]
    pub fn id(&self) -> Option<RequestId> {
        self.id
    }

    /// Numbers the request and emits its submission, once. A device's `submit` calls this first.
    pub fn submitted(&mut self, sched: &Sched, queue: QueueId) -> RequestId {
        let request = self.id().unwrap_or_else(|| self.number(sched));
        let Self { op, sector, sectors, origin, site, .. } = *self;
        if !std::mem::replace(&mut self.emitted, true) {
            sched.emit(EventKind::RequestSubmit {
                request,
                queue,
                op,
                sector,
                sectors,
                origin,
                site,
            });
        }
        request
    }

    /// Gives the request its number before the submission, for a submitter that must publish it
    /// first.
    pub fn number(&mut self, sched: &Sched) -> RequestId {
        let request = sched.next_request();
        self.id = Some(request);
        self.sched = Some(sched.clone());
        request
    }

    /// Completes the request.
    pub fn complete(mut self, outcome: Result<(), Errno>) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Result<(), Errno>) {
        let Some(end_io) = self.end_io.take() else {
            return;
        };
        if let (true, Some(sched), Some(request)) = (self.emitted, &self.sched, self.id)
            && Sched::of_current().is_some()
        {
            sched.emit(EventKind::RequestComplete { request, error: outcome.err() });
        }
        end_io(std::mem::take(&mut self.data), outcome);
    }
}

impl Drop for Bio {
    fn drop(&mut self) {
        self.finish(Err(Errno::EIO));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sched::SpinLock;

    #[test]
    fn a_copy_is_aligned_and_its_memory_comes_back() {
        let theirs = Arc::new(SpinLock::new(None));
        let ended = Arc::clone(&theirs);
        let end_io = Box::new(move |data, outcome| *ended.lock() = Some((data, outcome)));
        let mut bio = Bio::write(Sectors(3), &[7; 1024], end_io);
        assert!(bio.data().as_ptr().addr().is_multiple_of(ALIGN));
        assert_eq!((bio.op(), bio.sectors(), bio.data()), (Op::Write, Sectors(2), &[7; 1024][..]));
        bio.data_mut()[1023] = 8;
        assert_eq!(bio.data()[1022..], [7, 8]);
        bio.complete(Ok(()));
        let (memory, outcome) = theirs.lock().take().expect("it is complete");
        assert_eq!((memory.len() >= 1024, outcome), (true, Ok(())));
    }
}
