//! The buffer cache and those that it is measured beside, each with the same blocks.
//!
//! Key types: [`Cached`], [`Caches`], [`Ours`]. A hit takes the block's value as the cache hands it
//! out (a held buffer, a counted reference, an entry) and gives it back; a miss brings in a block
//! of 4 KiB, filled, and lets another go.
#![allow(dead_code, reason = "each bench uses a part")]

use std::hint::black_box;
use std::sync::Arc;

use reclaimdep::block::{BlockDevice, MemoryDevice};
use reclaimdep::bufio::{Bufio, Client, ClientOptions};
use reclaimdep::era::Era;
use reclaimdep::inject::{Plan, PlanSpec};
use reclaimdep::mm::{Mm, MmOptions};
use reclaimdep::sched::{Adopted, Sched};
use reclaimdep::units::Pages;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;
/// A block as the other caches keep it.
pub(crate) type Page = Arc<[u8; BLOCK]>;

/// A cache of blocks.
pub(crate) trait Cached: Sync {
    /// Takes a block that is there and gives it back; says whether it was there.
    fn hit(&self, block: u64) -> bool;
}

/// A world that nobody observes, of which this thread is a task.
pub(crate) struct Quiet {
    pub(crate) sched: Sched,
    task: Adopted,
}

/// Makes one.
pub(crate) fn world() -> Quiet {
    let sched = Sched::unobserved(1);
    let task = sched.adopt("bench");
    Quiet { sched, task }
}

/// A client of the newest era in a world that nobody observes.
pub(crate) struct Ours {
    pub(crate) sched: Sched,
    pub(crate) client: Client,
    _task: Adopted,
}

impl Ours {
    /// A client that keeps at most `buffers`, over a device in memory of `blocks`.
    pub(crate) fn new(blocks: u64, buffers: u64) -> Self {
        let world = world();
        let device = MemoryDevice::new(&world.sched, "ram0", blocks * BLOCK as u64);
        Self::over(world, Arc::new(device), buffers)
    }

    /// The same over another device of `world`.
    pub(crate) fn over(world: Quiet, device: Arc<dyn BlockDevice>, buffers: u64) -> Self {
        let Quiet { sched, task } = world;
        let plan = Plan::arm(&sched, PlanSpec::default()).expect("an empty plan");
        let mm = Mm::new(&sched, &MmOptions::new(Pages(1 << 20)), plan.clone()).expect("memory");
        let bufio = Bufio::new(&sched, &mm, &plan, Era::V6_12.knobs(), None);
        let options = ClientOptions { max_buffers: buffers, ..ClientOptions::default() };
        let client = bufio.create(device, None, options).expect("a client of 4 KiB blocks");
        Self { sched, client, _task: task }
    }
}

impl Cached for Client {
    #[inline]
    fn hit(&self, block: u64) -> bool {
        black_box(self.get(block)).is_some()
    }
}

/// quick_cache, as it is by default.
pub(crate) type Quick = quick_cache::sync::Cache<u64, Page>;

impl Cached for Quick {
    #[inline]
    fn hit(&self, block: u64) -> bool {
        black_box(self.get(&block)).is_some()
    }
}

impl Cached for moka::sync::Cache<u64, Page> {
    #[inline]
    fn hit(&self, block: u64) -> bool {
        black_box(self.get(&block)).is_some()
    }
}

impl Cached for foyer_memory::Cache<u64, Page> {
    #[inline]
    fn hit(&self, block: u64) -> bool {
        black_box(self.get(&block)).is_some()
    }
}

/// All of them, with the same blocks.
pub(crate) struct Caches {
    pub(crate) ours: Ours,
    pub(crate) quick: Quick,
    pub(crate) moka: moka::sync::Cache<u64, Page>,
    pub(crate) foyer: foyer_memory::Cache<u64, Page>,
}

impl Caches {
    /// Blocks `0..blocks` in all of them. Each may keep twice as many: those that split their
    /// capacity among shards would lose some otherwise.
    pub(crate) fn filled(blocks: u64) -> Self {
        let capacity = usize::try_from(2 * blocks).expect("a size");
        let caches = Self {
            ours: Ours::new(blocks, 2 * blocks),
            quick: Quick::new(capacity),
            moka: moka::sync::Cache::new(capacity as u64),
            foyer: foyer_memory::CacheBuilder::new(capacity).build(),
        };
        for block in 0..blocks {
            drop(caches.ours.client.read(block).expect("memory does not fail"));
            caches.quick.insert(block, Arc::new([0; BLOCK]));
            caches.moka.insert(block, Arc::new([0; BLOCK]));
            drop(caches.foyer.insert(block, Arc::new([0; BLOCK])));
        }
        caches.moka.run_pending_tasks();
        for cached in caches.all() {
            assert!((0..blocks).all(|block| cached.hit(block)), "every block is in every cache");
        }
        caches
    }

    fn all(&self) -> [&dyn Cached; 4] {
        [&self.ours.client, &self.quick, &self.moka, &self.foyer]
    }
}
