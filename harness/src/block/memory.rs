//! `MemoryDevice`: a sparse block device in memory.
//!
//! Key type: [`MemoryDevice`]. A sector that was never written reads as zero and takes no memory.
//! Mirrors `drivers/block/brd.c`: a bio is complete before `submit` returns, on the submitter's
//! task.
//!
//! Locking: the leaf lock of the pages.

use std::collections::BTreeMap;

use super::bio::Bio;
use super::device::{BlockDevice, Queue, in_range};
use crate::error::Errno;
use crate::event::Op;
use crate::sched::{Sched, SpinLock, harness_side};
use crate::units::{PAGE_SIZE, SECTOR_SIZE, Sectors};

const PAGE: usize = 4096;
const _: () = assert!(PAGE as u64 == PAGE_SIZE, "both are the size of a page");

/// A device whose sectors live in memory.
pub struct MemoryDevice {
    name: String,
    queue: Queue,
    sectors: Sectors,
    pages: SpinLock<BTreeMap<u64, Box<[u8; PAGE]>>>,
}

impl MemoryDevice {
    /// A device of `bytes` bytes, rounded down to sectors.
    #[must_use]
    pub fn new(sched: &Sched, name: &str, bytes: u64) -> Self {
        Self {
            name: name.to_owned(),
            queue: Queue::new(sched, name),
            sectors: Sectors(bytes / SECTOR_SIZE),
            pages: SpinLock::default(),
        }
    }

    /// Frees whole pages, and zeroes the part of a page at either end.
    fn discard(pages: &mut BTreeMap<u64, Box<[u8; PAGE]>>, start: u64, len: u64) {
        let (mut at, end) = (start, start + len);
        while at < end {
            let (page, within) = (at / PAGE_SIZE, at % PAGE_SIZE);
            let count = (PAGE_SIZE - within).min(end - at);
            if count == PAGE_SIZE {
                pages.remove(&page);
            } else if let Some(page) = pages.get_mut(&page) {
                let (from, to) = (usize::try_from(within), usize::try_from(within + count));
                page[from.expect("below a page")..to.expect("at most a page")].fill(0);
            }
            at += count;
        }
    }

    fn transfer(&self, bio: &mut Bio) {
        let start = bio.sector().bytes();
        let mut pages = self.pages.lock();
        if bio.op() == Op::Discard {
            return Self::discard(&mut pages, start, bio.sectors().bytes());
        }
        let (op, len) = (bio.op(), bio.data().len());
        let mut done = 0;
        while done < len {
            let position = start + done as u64;
            let within = usize::try_from(position % PAGE_SIZE).expect("below a page");
            let count = (PAGE - within).min(len - done);
            let page = position / PAGE_SIZE;
            match op {
                Op::Write => {
                    let page = pages.entry(page).or_insert_with(|| Box::new([0; PAGE]));
                    page[within..within + count].copy_from_slice(&bio.data()[done..done + count]);
                }
                Op::Read => {
                    let to = &mut bio.data_mut()[done..done + count];
                    match pages.get(&page) {
                        Some(page) => to.copy_from_slice(&page[within..within + count]),
                        None => to.fill(0),
                    }
                }
                Op::Flush | Op::Discard => {}
            }
            done += count;
        }
    }
}

impl BlockDevice for MemoryDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> Sectors {
        self.sectors
    }

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        bio.submitted(&self.queue.sched, self.queue.id);
        if !in_range(self, &bio) {
            bio.complete(Err(Errno::EIO));
            return;
        }
        self.transfer(&mut bio);
        bio.complete(Ok(()));
    }
}
