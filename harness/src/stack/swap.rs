//! Swap areas of a stack: on memory, on a loop device, or a file that its filesystem writes itself.
//!
//! Key types: [`OnDevice`], [`InFile`]. What a page holds is of no interest to a world, so zeroes are written:
//! what counts is the way there.

use std::sync::Arc;

use crate::block::{BackingFile, Bio, BlockDevice};
use crate::error::Errno;
use crate::event::{Gfp, Op, Origin, Resource, WaitId};
use crate::mm::{Mm, Page, SwapIo};
use crate::units::{PAGE_SIZE, Sectors};

const ZEROES: [u8; 4096] = [0; 4096];
const _: () = assert!(ZEROES.len() as u64 == PAGE_SIZE, "a page of zeroes is a page");

/// A swap area on a block device: the write is submitted and ends later.
pub(super) struct OnDevice {
    pub(super) mm: Mm,
    pub(super) device: Arc<dyn BlockDevice>,
}

impl SwapIo for OnDevice {
    fn write(&self, page: &Arc<Page>, slot: u64, _mask: Gfp) -> Result<(), Errno> {
        let sector = Sectors(slot * Sectors::from_bytes(PAGE_SIZE).0);
        let (mm, theirs) = (self.mm.clone(), Arc::clone(page));
        let end_io = Box::new(move |_, outcome| {
            theirs.end_writeback(outcome);
            mm.page_written();
        });
        let origin = Origin { what: "swap slot", item: slot };
        let mut bio = Bio::new(Op::Write, sector, ZEROES.to_vec(), end_io).with_origin(origin);
        page.start_writeback(Resource::Request(bio.number(self.mm.sched())));
        self.device.submit(bio);
        Ok(())
    }
}

/// A swap file that its filesystem writes itself (`SWP_FS_OPS`): reclaim enters the filesystem.
pub(super) struct InFile {
    pub(super) mm: Mm,
    pub(super) file: Arc<dyn BackingFile>,
    /// What a wait for such a write is a wait for.
    pub(super) written: WaitId,
}

impl SwapIo for InFile {
    fn write(&self, page: &Arc<Page>, slot: u64, _mask: Gfp) -> Result<(), Errno> {
        page.start_writeback(Resource::Condition(self.written));
        let outcome = self.file.write_at(slot * PAGE_SIZE, &ZEROES);
        page.end_writeback(outcome);
        self.mm.page_written();
        outcome
    }
}
