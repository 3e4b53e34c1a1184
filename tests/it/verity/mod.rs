//! The verity target, compared with images made by the tests and with `veritysetup`.
//!
//! | module | holds |
//! |---|---|
//! | [`image`] | makes images without using the target's code |
//! | [`oracle`] | the same images and the same verdicts as `veritysetup` |
//! | [`target`] | reads, failures, eviction of hash blocks, the block device |
//! | [`pressure`] | verification under memory pressure |

mod image;
mod oracle;
mod pressure;
mod target;

use std::sync::Arc;

use reclaimdep::kernel::block::{BlockDevice, MemoryDevice, write_at};
use reclaimdep::kernel::bufio::ClientOptions;
use reclaimdep::kernel::verity::{Digest, Target, TargetOptions, TargetParts};
use reclaimdep::{Builder, Result, World};

use image::Image;

/// A device in memory that holds `bytes`.
fn device(world: &World, name: &str, bytes: &[u8]) -> Arc<MemoryDevice> {
    let device = MemoryDevice::new(world.sched(), name, bytes.len() as u64);
    write_at(&device, 0, bytes).expect("memory takes it");
    Arc::new(device)
}

fn parts(world: &World, data: &Arc<MemoryDevice>, hash: &Arc<MemoryDevice>) -> TargetParts {
    let dynamic =
        |device: &Arc<MemoryDevice>| Arc::<MemoryDevice>::clone(device) as Arc<dyn BlockDevice>;
    TargetParts {
        sched: world.sched().clone(),
        mm: world.mm().clone(),
        plan: world.plan().clone(),
        knobs: world.knobs(),
        data: dynamic(data),
        hash: dynamic(hash),
        node: None,
        cleaner: None,
    }
}

/// An image's two devices.
struct Devices {
    data: Arc<MemoryDevice>,
    hash: Arc<MemoryDevice>,
}

impl Devices {
    fn of(world: &World, image: &Image) -> Self {
        Self { data: device(world, "data", &image.data), hash: device(world, "hash", &image.hash) }
    }

    fn open(&self, world: &World, root: Digest) -> Result<Target> {
        self.open_with(world, root, &TargetOptions::default())
    }

    fn open_with(&self, world: &World, root: Digest, options: &TargetOptions) -> Result<Target> {
        Target::open(parts(world, &self.data, &self.hash), "vroot", root, options)
    }
}

/// A cache that has room for so many hash blocks.
fn room_for(max_buffers: u64) -> TargetOptions {
    let cache = ClientOptions { max_buffers, retain_bytes: 0, ..ClientOptions::default() };
    TargetOptions { cache, ..TargetOptions::default() }
}

/// Runs `body`; the run must be quiet.
#[track_caller]
fn quiet(builder: Builder, body: impl Fn(&World) + Send + Sync + 'static) {
    reclaimdep_tests::check_codes(&[], builder, body);
}
