//! The filesystem on memory devices, in a native world with one task. Each test runs with the
//! metadata in core, in dm-bufio as it was in 2014, and in dm-bufio as it is now.

mod crash;
mod damage;
mod metadata;
mod operations;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::image::{BLOCK_SIZE, Image};
use super::{Format, Fs, Metadata, mkfs_with};
use crate::block::{Bio, BlockDevice, Queue};
use crate::bufio::Bufio;
use crate::era::Era;
use crate::error::Result;
use crate::event::{Event, Names, Observer, Op, Reaction};
use crate::inject::{Plan, PlanSpec};
use crate::mm::{Mm, MmOptions};
use crate::sched::{Sched, SpinLock};
use crate::units::{Pages, Sectors};

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
    fn device(&self, bytes: u64) -> Arc<Recorder> {
        self.device_of(BTreeMap::new(), bytes)
    }

    fn device_of(&self, blocks: Blocks, bytes: u64) -> Arc<Recorder> {
        Arc::new(Recorder {
            queue: Queue::new(&self.sched, "vda"),
            sectors: Sectors::from_bytes(bytes),
            state: SpinLock::new(DiskContents { blocks, history: Vec::new() }),
        })
    }

    fn mount(&self, device: &Arc<Recorder>) -> Result<Fs> {
        let Self { sched, mm, plan, metadata } = self;
        Fs::mount_with(sched, mm, plan, "lower", Arc::clone(device) as _, metadata.clone())
    }

    /// A new, mounted filesystem on a device of `bytes` bytes.
    fn fs(&self, bytes: u64, format: Format) -> (Arc<Recorder>, Fs) {
        let device = self.device(bytes);
        mkfs_with(&*device, format).unwrap();
        let fs = self.mount(&device).unwrap();
        (device, fs)
    }
}

type Blocks = BTreeMap<u64, Image>;

/// A write or a flush of a device.
#[derive(Clone)]
enum DiskStep {
    Write { block: u64, data: Vec<u8> },
    Flush,
}

struct DiskContents {
    blocks: Blocks,
    history: Vec<DiskStep>,
}

/// A device in memory that records every write and flush, in whole blocks of the filesystem.
struct Recorder {
    queue: Queue,
    sectors: Sectors,
    state: SpinLock<DiskContents>,
}

fn apply(blocks: &mut Blocks, step: &DiskStep) {
    if let DiskStep::Write { block, data } = step {
        for (i, image) in data.as_chunks::<BLOCK_SIZE>().0.iter().enumerate() {
            blocks.insert(block + i as u64, *image);
        }
    }
}

impl Recorder {
    fn blocks(&self) -> Blocks {
        self.state.lock().blocks.clone()
    }

    /// Clears the record; returns the blocks as they are now.
    fn mark(&self) -> Blocks {
        let mut state = self.state.lock();
        state.history.clear();
        state.blocks.clone()
    }

    fn history(&self) -> Vec<DiskStep> {
        self.state.lock().history.clone()
    }

    fn damage(&self, block: u64, byte: usize, xor: u8) {
        self.state.lock().blocks.entry(block).or_insert([0; BLOCK_SIZE])[byte] ^= xor;
    }
}

impl BlockDevice for Recorder {
    fn name(&self) -> &str {
        "vda"
    }

    fn sectors(&self) -> Sectors {
        self.sectors
    }

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn submit(&self, mut bio: Bio) {
        bio.submitted(&self.queue.sched, self.queue.id);
        let (block, end) = (bio.sector().bytes() / BLOCK, bio.sector().0 + bio.sectors().0);
        assert!(bio.sector().bytes().is_multiple_of(BLOCK), "the filesystem does whole blocks");
        assert!(end <= self.sectors.0, "the filesystem stays on its device");
        let mut state = self.state.lock();
        match bio.op() {
            Op::Read => {
                for (i, to) in bio.data_mut().chunks_exact_mut(BLOCK_SIZE).enumerate() {
                    to.copy_from_slice(
                        state.blocks.get(&(block + i as u64)).unwrap_or(&[0; BLOCK_SIZE]),
                    );
                }
            }
            Op::Write => {
                let step = DiskStep::Write { block, data: bio.data().to_vec() };
                apply(&mut state.blocks, &step);
                state.history.push(step);
            }
            Op::Flush => state.history.push(DiskStep::Flush),
            Op::Discard => unreachable!("the filesystem discards nothing"),
        }
        drop(state);
        bio.complete(Ok(()));
    }
}

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
