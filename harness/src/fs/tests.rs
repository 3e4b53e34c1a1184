//! The filesystem on memory devices, in a native world with one task. Each test runs with the
//! metadata in core, in dm-bufio as it was in 2014, and in dm-bufio as it is now.

mod crash;
mod damage;
mod metadata;
mod operations;

use std::sync::Arc;

use super::image::BLOCK_SIZE;
use super::{Format, Fs, Metadata, mkfs_with};
use crate::block::{CrashDevice, DiskImage};
use crate::bufio::Bufio;
use crate::era::Era;
use crate::error::Result;
use crate::event::{Event, Names, Observer, Reaction};
use crate::inject::{Plan, PlanSpec};
use crate::mm::{Mm, MmOptions};
use crate::sched::Sched;
use crate::units::Pages;

const BLOCK: u64 = BLOCK_SIZE as u64;
const MIB: u64 = 1 << 20;

struct Deaf;

impl Observer for Deaf {
    fn observe(&mut self, _event: &Event, _names: &Names) -> Reaction {
        Reaction::Go
    }
}

/// The world of a test.
struct Rig {
    sched: Sched,
    mm: Mm,
    plan: Plan,
    metadata: Metadata,
}

/// Where the metadata is kept: in core, or in dm-bufio of an era.
const KEEPERS: [Option<Era>; 3] = [None, Some(Era::V3_10), Some(Era::V6_12)];

/// Runs `body` as the main task of a world with `plan`, once for each of `keepers`.
#[track_caller]
fn kept_by(keepers: &[Option<Era>], plan: &PlanSpec, body: impl Fn(&Rig)) {
    for keeper in keepers {
        let sched = Sched::native(1, Box::new(Deaf));
        let done = sched.run_main(|| {
            let plan = Plan::arm(&sched, plan.clone()).unwrap();
            let mm = Mm::new(&sched, &MmOptions::new(Pages(1 << 16)), plan.clone()).unwrap();
            let metadata = keeper.map_or(Metadata::Core, |era| {
                let bufio = Bufio::new(&sched, &mm, &plan, era.knobs(), None);
                Metadata::Bufio { bufio, node: None }
            });
            body(&Rig { sched: sched.clone(), mm, plan, metadata });
        });
        let trouble = sched.panic_message().unwrap_or_default();
        assert!(done.is_some(), "metadata kept by {keeper:?}: {trouble}");
    }
}

#[track_caller]
fn with_plan(plan: &PlanSpec, body: impl Fn(&Rig)) {
    kept_by(&KEEPERS, plan, body);
}

#[track_caller]
fn run(body: impl Fn(&Rig)) {
    with_plan(&PlanSpec::default(), body);
}

impl Rig {
    fn device(&self, bytes: u64) -> Arc<CrashDevice> {
        self.device_of(Blocks::new(), bytes)
    }

    fn device_of(&self, blocks: Blocks, bytes: u64) -> Arc<CrashDevice> {
        Arc::new(CrashDevice::with_image(&self.sched, "vda", bytes, blocks))
    }

    fn mount(&self, device: &Arc<CrashDevice>) -> Result<Fs> {
        let Self { sched, mm, plan, metadata } = self;
        Fs::mount_with(sched, mm, plan, "lower", Arc::clone(device) as _, metadata.clone())
    }

    /// A new, mounted filesystem on a device of `bytes` bytes.
    fn fs(&self, bytes: u64, format: Format) -> (Arc<CrashDevice>, Fs) {
        let device = self.device(bytes);
        mkfs_with(&*device, format).unwrap();
        let fs = self.mount(&device).unwrap();
        (device, fs)
    }
}

type Blocks = DiskImage;

/// `len` bytes that differ from block to block and from seed to seed.
fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| seed ^ u8::try_from((i / 512 + i) % 251).expect("below 251")).collect()
}

#[track_caller]
fn contents(fs: &Fs, name: &str) -> Vec<u8> {
    let ino = fs.lookup(name).unwrap();
    let size = usize::try_from(fs.stat(ino).unwrap().size).unwrap();
    let mut bytes = vec![0xEE; size];
    assert_eq!(fs.read(ino, 0, &mut bytes), Ok(size));
    bytes
}
