//! Swap areas of a stack: in memory, on a loop device, or in a file that its filesystem writes.
//!
//! Key types: [`OnDevice`], [`InFile`]. A world's pages have no contents, so zeroes are written:
//! what matters is the path that the write takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builder::{Parts, Stack, make_file};
use super::named::below;
use super::spec::SwapSpec;
use crate::block::{BackingFile, Bio, BlockDevice, MemoryDevice};
use crate::error::{Errno, Error, Result};
use crate::event::{Gfp, Op, Origin, Resource};
use crate::mm::policy::{self, NodeKind};
use crate::mm::{Mm, Page, SwapArea, SwapIo};
use crate::sched::{Condition, SpinLock};
use crate::units::{PAGE_SIZE, Sectors};

const ZEROES: [u8; 4096] = [0; 4096];
const _: () = assert!(ZEROES.len() as u64 == PAGE_SIZE, "a page of zeroes is a page");

impl Stack {
    /// Makes the swap area, and its file if it has one.
    pub(super) fn make_swap(&self, parts: &Parts, spec: &SwapSpec) -> Result<SwapArea> {
        let (mm, bytes) = (parts.mm.clone(), (spec.pages as u64).saturating_mul(PAGE_SIZE));
        let (place, io): (_, Arc<dyn SwapIo>) = match (&spec.device, &spec.fs) {
            (Some(_), Some(_)) => {
                let what = format!("swap area `{}` on a device and on a filesystem", spec.name);
                return Err(
                    Error::input(what).advice("give it `device` or `fs`, or neither for memory")
                );
            }
            (Some(name), None) => {
                let user = format!("swap area `{}`", spec.name);
                let device = Arc::clone(below(&user, &self.devices, "loop device", name)?);
                if device.sectors().bytes() < bytes {
                    let what =
                        format!("swap area `{}` of {} pages on `{name}`", spec.name, spec.pages);
                    return Err(
                        Error::input(what).advice("the device is shorter: give it fewer pages")
                    );
                }
                (policy::SwapPlace::Device(self.nodes[name]), Arc::new(OnDevice { mm, device }))
            }
            (None, Some(fs)) => {
                let fs = below(&format!("swap area `{}`", spec.name), &self.fs, "filesystem", fs)?;
                make_file(fs, &spec.name, bytes).map_err(|errno| {
                    Error::input(format!("swap area `{}`: making its file", spec.name))
                        .because(errno)
                })?;
                let file = fs.open(&spec.name).map_err(|errno| {
                    Error::os(format!("swap area `{}`: opening its file", spec.name)).because(errno)
                })?;
                let (name, file) = (spec.name.clone(), Arc::new(file));
                let written = SpinLock::default();
                (
                    policy::SwapPlace::File(fs.superblock()),
                    Arc::new(InFile { mm, name, file, written }),
                )
            }
            (None, None) => {
                let device = MemoryDevice::new(&parts.sched, &spec.name, bytes);
                let node = parts.mm.topology(|stack| stack.add_node(NodeKind::Device, &spec.name));
                (
                    policy::SwapPlace::Device(node),
                    Arc::new(OnDevice { mm, device: Arc::new(device) }),
                )
            }
        };
        SwapArea::new(&spec.name, place, spec.pages, io)
    }
}

/// A swap area on a block device: the write is submitted and ends later.
struct OnDevice {
    mm: Mm,
    device: Arc<dyn BlockDevice>,
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
struct InFile {
    mm: Mm,
    name: String,
    file: Arc<dyn BackingFile>,
    /// By slot, the condition for which a task waits that waits for the write of its page.
    written: SpinLock<BTreeMap<u64, Condition>>,
}

impl InFile {
    /// The condition that the page of `slot` is written. One task at a time writes a slot, so that
    /// a task that waits depends on that task alone.
    fn condition(&self, slot: u64) -> Condition {
        let known = self.written.lock().get(&slot).cloned();
        known.unwrap_or_else(|| {
            let made = Condition::new(self.mm.sched(), &format!("write to {}", self.name));
            self.written.lock().insert(slot, made.clone());
            made
        })
    }
}

impl SwapIo for InFile {
    fn write(&self, page: &Arc<Page>, slot: u64, _mask: Gfp) -> Result<(), Errno> {
        let written = self.condition(slot);
        let promise = written.promise();
        page.start_writeback(Resource::Condition(written.id()));
        let outcome = self.file.write_at(slot * PAGE_SIZE, &ZEROES);
        page.end_writeback(outcome);
        drop(promise);
        self.mm.page_written();
        outcome
    }
}
