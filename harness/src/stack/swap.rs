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
                return on_device(&mm, &spec.name, device, self.nodes[name], spec.pages);
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
                let device = Arc::new(MemoryDevice::new(&parts.sched, &spec.name, bytes));
                let node = mm.topology(|stack| stack.add_node(NodeKind::Device, &spec.name));
                return on_device(&mm, &spec.name, device, node, spec.pages);
            }
        };
        SwapArea::new(&spec.name, place, spec.pages, io)
    }
}

/// A swap area called `name` with `pages` slots on `device`, whatever serves that. `node` is the
/// device's place in the stack.
///
/// # Errors
/// The device is shorter than the area, or the number of slots is not valid.
pub(crate) fn on_device(
    mm: &Mm,
    name: &str,
    device: Arc<dyn BlockDevice>,
    node: policy::Node,
    pages: usize,
) -> Result<SwapArea> {
    if device.sectors().bytes() < (pages as u64).saturating_mul(PAGE_SIZE) {
        let what = format!("swap area `{name}` of {pages} pages on `{}`", device.name());
        return Err(Error::input(what).advice("the device is shorter: give it fewer pages"));
    }
    let io = Arc::new(OnDevice { mm: mm.clone(), device });
    SwapArea::new(name, policy::SwapPlace::Device(node), pages, io)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::LateDevice;
    use crate::event::EventKind;
    use crate::inject::{Plan, PlanSpec, Pressure};
    use crate::mm::{MmOptions, PageClass, PageIo, PageState};
    use crate::sched::Sched;
    use crate::sched::log::Log;
    use crate::units::{Pages, Ticks};

    #[test]
    fn reclaim_swaps_to_a_device_that_a_task_of_its_own_serves() {
        let log = Log::default();
        let sched = Sched::native(1, Box::new(log.clone()));
        let swapped = sched.run_main(|| {
            let rule = Pressure::every_allocation().task("main");
            let plan = Plan::arm(&sched, PlanSpec::default().pressure(rule)).unwrap();
            let mm = Mm::new(&sched, &MmOptions::new(Pages(1024)), plan).unwrap();
            let disk = Arc::new(MemoryDevice::new(&sched, "crypt", 4 * PAGE_SIZE));
            let device: Arc<dyn BlockDevice> =
                Arc::new(LateDevice::new(&sched, disk, Ticks(0), Ticks(0)));
            let node = mm.topology(|stack| stack.add_node(NodeKind::Device, "crypt"));
            let too_long = on_device(&mm, "swap0", Arc::clone(&device), node, 5);
            assert!(too_long.is_err_and(|error| error.to_string().contains("on `crypt`")));
            let area = on_device(&mm, "swap0", Arc::clone(&device), node, 4).unwrap();
            mm.add_swap(area.clone());
            let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
            let anon = PageState::CLEAN_FILE.with(PageClass::Anon, PageIo::Dirty);
            let page = mm.add_page(block, anon, None);
            assert!(mm.alloc(0, Gfp::KERNEL).is_some());
            device.stop();
            assert_eq!(page.state().io, PageIo::Clean);
            area.used()
        });
        assert_eq!(swapped, Some(1));
        assert_eq!(log.count(|kind| matches!(kind, EventKind::RequestServed { .. })), 1);
    }
}
