//! A bufio client: creation, sizes, the small operations.
//!
//! Key types: [`Client`], [`Inner`]. Neighbours: [`super::lookup`] for what it is there for,
//! [`super::destroy`] for its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::cache::{Cache, List};
use super::global::Bufio;
use super::memory::Slab;
use super::options::{ClientOptions, Parts};
use super::slot::Slot;
use super::slots::Slots;
use super::trees::Trees;
use super::{order, shrinker};
use crate::block::BlockDevice;
use crate::era::{BufioGeneration, Knobs};
use crate::error::{Errno, Error, Result};
use crate::event::{Gfp, Layer, LayerRef, Site, WaitId};
use crate::mm::policy::Node;
use crate::mm::{Mm, Registration};
use crate::sched::{Mutex, Sched, SpinLock, WaitQueue, quiet};
use crate::units::{SECTOR_SIZE, Sectors};

/// Buffers that a client keeps at the least (DM_BUFIO_MIN_BUFFERS).
const MIN_BUFFERS: u64 = 8;
/// Wait queues for bits, shared by the buffers that hash to them.
const BIT_QUEUES: u32 = 16;

pub(super) struct Inner {
    pub(super) bufio: Bufio,
    pub(super) number: u32,
    pub(super) device: Arc<dyn BlockDevice>,
    pub(super) node: Option<Node>,
    pub(super) options: ClientOptions,
    pub(super) layer: LayerRef,
    pub(super) cache: Mutex<Cache>,
    /// The index of the modern form.
    pub(super) trees: Option<Trees>,
    pub(super) slots: Slots,
    pub(super) slab: Slab,
    pub(super) bits: Box<[WaitQueue]>,
    pub(super) free_wait: WaitQueue,
    /// What a task that waits for a free buffer waits for.
    pub(super) free_buffer: WaitId,
    /// Tasks that wait for a free buffer, or are about to.
    pub(super) waiting: AtomicU32,
    /// How often somebody was told of a free buffer, so that a waiter can tell a new one from none.
    pub(super) freed: AtomicU64,
    /// Clean and dirty buffers, for the forms that count without the lock.
    pub(super) counts: [AtomicU64; 2],
    pub(super) async_write_error: SpinLock<Option<Errno>>,
    pub(super) write_failures: AtomicU64,
    start: AtomicU64,
    minimum: AtomicU64,
    /// Where holds were taken, by number.
    sites: SpinLock<Vec<Site>>,
    pub(super) shrinker: SpinLock<Option<(Registration, Arc<dyn shrinker::Form>)>>,
}

/// A cache of one device's blocks. Cheap to clone. End it with [`destroy`](Client::destroy): when
/// the last clone is merely dropped, what is dirty is not written, as when the machine stops.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("layer", &self.0.layer).finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn generation(&self) -> BufioGeneration {
        self.bufio.generation()
    }
}

impl Drop for Inner {
    /// What a client that was not destroyed still has is no longer in the accounts.
    fn drop(&mut self) {
        for slot in self.slots.all() {
            let memory = slot.contents.lock().memory.take();
            memory.into_iter().for_each(|memory| self.free_memory(memory));
        }
    }
}

impl Client {
    /// Makes a client that shares nothing with others; [`Bufio::create`] makes those that do.
    ///
    /// # Errors
    /// As [`Bufio::create`].
    pub fn create(parts: Parts, options: ClientOptions) -> Result<Self> {
        let (bufio, device, node) = parts.split();
        bufio.create(device, node, options)
    }

    pub(super) fn open(
        bufio: &Bufio,
        number: u32,
        device: Arc<dyn BlockDevice>,
        node: Option<Node>,
        options: ClientOptions,
    ) -> Result<Self> {
        options.check(&*device, bufio.generation())?;
        let (sched, name) = (&bufio.0.sched, device.name().to_owned());
        let modern = bufio.generation() == BufioGeneration::V6_4;
        let layer = sched.add_layer(Layer::BUFIO, &name);
        let (start, reserved) = (options.start.0, options.reserved_buffers);
        let free_buffer =
            sched.names(|names| names.add_condition(format!("free buffer of bufio:{name}")));
        let client = Self(Arc::new(Inner {
            bufio: bufio.clone(),
            number,
            node,
            layer,
            cache: Mutex::new(sched, order::CLIENT, &format!("bufio:{name}"), Cache::default()),
            trees: modern.then(|| Trees::new(sched, &options, &name)),
            slots: Slots::new(),
            slab: Slab::default(),
            bits: (0..BIT_QUEUES).map(|_| WaitQueue::new(sched)).collect(),
            free_wait: WaitQueue::new(sched),
            free_buffer,
            waiting: AtomicU32::new(0),
            freed: AtomicU64::new(0),
            counts: Default::default(),
            async_write_error: SpinLock::new(None),
            write_failures: AtomicU64::new(0),
            start: AtomicU64::new(start),
            minimum: AtomicU64::new(MIN_BUFFERS),
            sites: SpinLock::default(),
            shrinker: SpinLock::new(None),
            device,
            options,
        }));
        client.fill_reserve(reserved)?;
        if let Some(node) = node {
            client.mm().part_takes(node, client.0.cache.id());
        }
        let form = shrinker::form(&client);
        let registration = client.mm().register_port_shrinker(Arc::clone(&form).as_shrinker());
        *client.0.shrinker.lock() = Some((registration, form));
        bufio.link(&client);
        Ok(client)
    }

    fn fill_reserve(&self, buffers: usize) -> Result<()> {
        // Without the lock: this allocation may reclaim, and reclaim may want it.
        for _ in 0..buffers {
            let memory = self.0.alloc_memory(Gfp::KERNEL);
            let mut cache = self.lock();
            let Some(memory) = memory else {
                self.drop_reserve(&mut cache);
                let what = format!(
                    "bufio client on {}: no memory for its reserved buffers",
                    self.device_name()
                );
                return Err(Error::input(what).advice("give the world more pages"));
            };
            let slot = self.fill_slot(&mut cache, memory);
            cache.reserved.push(slot);
        }
        Ok(())
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_size(&self) -> usize {
        self.0.options.block_size as usize
    }

    /// Buffers in the cache now.
    #[must_use]
    pub fn buffers(&self) -> u64 {
        self.count(List::Clean) + self.count(List::Dirty)
    }

    /// Buffers that are dirty or being written, or were when somebody last looked.
    #[must_use]
    pub fn dirty_buffers(&self) -> u64 {
        self.count(List::Dirty)
    }

    /// Writes that failed since the client was made. Unlike the error that
    /// [`write_dirty_buffers`](Client::write_dirty_buffers) gives once, it stays: whoever reads a
    /// block and then finds 0 here knows that the block is not older than what was last written to
    /// it.
    #[must_use]
    pub fn write_failures(&self) -> u64 {
        self.0.write_failures.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self, list: List) -> u64 {
        self.0.counts[list as usize].load(Ordering::Acquire)
    }

    /// Whole blocks of the device from the client's start on.
    #[must_use]
    pub fn device_blocks(&self) -> u64 {
        self.device_sectors() / self.sectors_per_block()
    }

    fn device_sectors(&self) -> u64 {
        self.0.device.sectors().0.saturating_sub(self.0.start.load(Ordering::Acquire))
    }

    /// Whether the device has the whole block: as [`Client::device_blocks`] says, without a
    /// division.
    pub(super) fn is_inside(&self, block: u64) -> bool {
        let end =
            block.checked_add(1).and_then(|blocks| blocks.checked_mul(self.sectors_per_block()));
        end.is_some_and(|end| end <= self.device_sectors())
    }

    /// The device that it caches.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn BlockDevice> {
        &self.0.device
    }

    /// What it shares with the other clients.
    #[must_use]
    pub fn bufio(&self) -> &Bufio {
        &self.0.bufio
    }

    /// Moves block 0 to sector `start` of the device (`dm_bufio_set_sector_offset`). No I/O may be
    /// in flight.
    pub fn set_sector_offset(&self, start: Sectors) {
        self.0.start.store(start.0, Ordering::Release);
    }

    /// Sets how many buffers the client keeps whatever its share of memory
    /// (`dm_bufio_set_minimum_buffers`).
    pub fn set_minimum_buffers(&self, buffers: u64) {
        self.0.minimum.store(buffers, Ordering::Release);
    }

    pub(super) fn minimum(&self) -> u64 {
        self.0.minimum.load(Ordering::Acquire)
    }

    fn sectors_per_block(&self) -> u64 {
        u64::from(self.0.options.block_size) / SECTOR_SIZE
    }

    /// The first sector of a block.
    pub(super) fn sector(&self, block: u64) -> Sectors {
        Sectors(self.0.start.load(Ordering::Acquire) + block * self.sectors_per_block())
    }

    /// Buffers that the retain target is.
    pub(super) fn retain(&self) -> u64 {
        self.0.options.retain_bytes / u64::from(self.0.options.block_size)
    }

    #[inline]
    pub(super) fn slot(&self, number: u32) -> &Slot {
        self.0.slots.get(number)
    }

    /// The number under which a site is kept, from 1.
    pub(super) fn site_number(&self, site: Site) -> u32 {
        let mut sites = self.0.sites.lock();
        let index = sites.iter().position(|known| *known == site).unwrap_or_else(|| {
            sites.push(site);
            sites.len() - 1
        });
        u32::try_from(index + 1).unwrap_or(0)
    }

    pub(super) fn site(&self, number: u32) -> Option<Site> {
        self.0.sites.lock().get((number as usize).checked_sub(1)?).copied()
    }

    /// The time in ticks.
    pub(super) fn tick(&self) -> u64 {
        let _ours = quiet();
        self.sched().now().0
    }

    pub(super) fn sched(&self) -> &Sched {
        &self.0.bufio.0.sched
    }

    pub(super) fn mm(&self) -> &Mm {
        &self.0.bufio.0.mm
    }

    pub(super) fn knobs(&self) -> &Knobs {
        &self.0.bufio.0.knobs
    }

    pub(super) fn device_name(&self) -> &str {
        self.0.device.name()
    }
}
