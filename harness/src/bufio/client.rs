//! A bufio client: creation, knobs, destruction.
//!
//! Key types: [`Client`], [`ClientOptions`], [`Cache`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buffer::{Buf, State};
use super::shrinker;
use crate::block::BlockDevice;
use crate::era::Knobs;
use crate::error::{Errno, Error, Result};
use crate::event::{Layer, LayerRef, WaitId};
use crate::inject::Plan;
use crate::mm::policy::Node;
use crate::mm::{Mm, PageBlock, Registration};
use crate::sched::{Mutex, Sched, SpinLock, WaitQueue, WorkQueue, quiet};
use crate::units::{PAGE_SIZE, SECTOR_SIZE};

/// Buffers that a client keeps at the least (DM_BUFIO_MIN_BUFFERS).
const MIN_BUFFERS: u64 = 8;
/// Bytes that the shrinker leaves a client (the `retain_bytes` knob's default since 2016).
pub const RETAIN_BYTES: u64 = 256 * 1024;

/// How to make a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Bytes of a block: a power of two, at least 512.
    pub block_size: u32,
    /// Buffers that are allocated at once and kept for when memory is short.
    pub reserved_buffers: usize,
    /// Buffers the client may have before it evicts its own.
    pub max_buffers: u64,
    /// Bytes that the work-queue shrinker leaves.
    pub retain_bytes: u64,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { block_size: 4096, reserved_buffers: 1, max_buffers: 1024, retain_bytes: RETAIN_BYTES }
    }
}

/// What a client is made from.
pub struct Parts {
    /// The world.
    pub sched: Sched,
    /// Its memory.
    pub mm: Mm,
    /// Its plan.
    pub plan: Plan,
    /// The era's behaviours.
    pub knobs: Knobs,
    /// The device to cache.
    pub device: Arc<dyn BlockDevice>,
    /// Where it stands in the stack, for policies; none where nobody recorded it.
    pub node: Option<Node>,
    /// The queue that the work-queue shrinker form evicts on.
    pub cleaner: Option<WorkQueue>,
}

/// The index and the two LRU lists; everything here is under the client lock.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) index: BTreeMap<u64, Arc<Buf>>,
    /// Least recently used first, by stamp.
    pub(super) clean: BTreeMap<u64, Arc<Buf>>,
    pub(super) dirty: BTreeMap<u64, Arc<Buf>>,
    pub(super) reserved: Vec<PageBlock>,
    next_stamp: u64,
}

impl Cache {
    fn stamp(&mut self, buf: &Buf) -> u64 {
        self.next_stamp += 1;
        buf.stamp.store(self.next_stamp, Ordering::Relaxed);
        self.next_stamp
    }

    pub(super) fn unlist(&mut self, buf: &Buf) {
        let stamp = buf.stamp.load(Ordering::Relaxed);
        if self.clean.remove(&stamp).is_none() {
            self.dirty.remove(&stamp);
        }
    }

    /// Moves the buffer to the most recent end of the list that its state asks for.
    pub(super) fn relist(&mut self, buf: &Arc<Buf>) {
        self.unlist(buf);
        let stamp = self.stamp(buf);
        let list = if buf.has(State::DIRTY | State::WRITING) { &mut self.dirty } else { &mut self.clean };
        list.insert(stamp, Arc::clone(buf));
    }

    pub(super) fn total(&self) -> u64 {
        (self.clean.len() + self.dirty.len()) as u64
    }
}

pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) options: ClientOptions,
    pub(super) layer: LayerRef,
    pub(super) cache: Mutex<Cache>,
    pub(super) free_wait: WaitQueue,
    /// What a task that waits for a free buffer waits for.
    pub(super) free_buffer: WaitId,
    /// How often a buffer became free, so that a waiter can tell a new one from none.
    pub(super) freed: AtomicU64,
    /// Buffers in the cache, for the forms that count without the lock.
    pub(super) total: AtomicU64,
    pub(super) async_write_error: SpinLock<Option<Errno>>,
    pub(super) shrinker: SpinLock<Option<(Registration, Arc<dyn shrinker::Form>)>>,
}

/// A cache of one device's blocks. Cheap to clone.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("layer", &self.0.layer).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client and registers its shrinker (`dm_bufio_client_create`).
    ///
    /// # Errors
    /// If the block size is not a power of two of at least a sector, if the device is shorter than
    /// a block, or if there is no memory for the reserved buffers.
    pub fn create(parts: Parts, options: ClientOptions) -> Result<Self> {
        let _ours = quiet();
        let name = parts.device.name().to_owned();
        let size = u64::from(options.block_size);
        if !size.is_power_of_two() || size < SECTOR_SIZE {
            return Err(Error::input(format!("bufio client on {name}: a block of {size} bytes"))
                .advice("use a power of two of at least 512"));
        }
        if parts.device.sectors().bytes() < size {
            let bytes = parts.device.sectors().bytes();
            return Err(Error::input(format!(
                "bufio client on {name}: the device has {bytes} bytes, fewer than one block of {size}"
            )));
        }
        let layer = parts.sched.add_layer(Layer::BUFIO, &name);
        let cache = Mutex::new(&parts.sched, "dm_bufio_client", &format!("bufio:{name}"), Cache::default());
        let free_wait = WaitQueue::new(&parts.sched);
        let free_buffer =
            parts.sched.names(|names| names.add_condition(format!("free buffer of bufio:{name}")));
        let client = Self(Arc::new(Inner {
            parts,
            options,
            layer,
            cache,
            free_wait,
            free_buffer,
            freed: AtomicU64::new(0),
            total: AtomicU64::new(0),
            async_write_error: SpinLock::new(None),
            shrinker: SpinLock::new(None),
        }));
        client.fill_reserve()?;
        if let Some(node) = client.0.parts.node {
            client.mm().part_takes(node, client.0.cache.id());
        }
        let form = shrinker::form(&client);
        let registration = client.mm().register_shrinker(Arc::clone(&form).as_shrinker());
        *client.0.shrinker.lock() = Some((registration, form));
        Ok(client)
    }

    fn fill_reserve(&self) -> Result<()> {
        let mut cache = self.0.cache.lock();
        for _ in 0..self.0.options.reserved_buffers {
            let pages = self.mm().alloc(self.order(), crate::event::Gfp::KERNEL).ok_or_else(|| {
                Error::input(format!(
                    "bufio client on {}: no memory for its reserved buffers",
                    self.device_name()
                ))
                .advice("give the world more pages")
            })?;
            cache.reserved.push(pages);
        }
        Ok(())
    }

    /// Writes everything, frees every buffer, unregisters the shrinker (`dm_bufio_client_destroy`).
    ///
    /// # Errors
    /// If buffers are still held (a leak: each is named), or if a write failed.
    pub fn destroy(&self) -> Result<()> {
        let _ours = quiet();
        let written = self.write_dirty_buffers();
        let leaked = self.drop_unheld();
        let shrinker = self.0.shrinker.lock().take();
        if let Some((registration, form)) = shrinker {
            registration.unregister();
            form.flush();
        }
        let name = self.device_name();
        if !leaked.is_empty() {
            let leaks = leaked.iter().map(|(block, hold)| format!("block {block} (hold count {hold})"));
            return Err(Error::misuse(format!(
                "bufio client on {name} was destroyed while buffers are held: {}",
                leaks.collect::<Vec<_>>().join(", ")
            ))
            .advice("drop every Buffer before the client"));
        }
        written.map_err(|errno| {
            Error::os(format!("bufio client on {name}: writing dirty buffers failed")).because(errno)
        })
    }

    /// Frees what nobody holds; returns the rest as (block, hold count).
    fn drop_unheld(&self) -> Vec<(u64, u32)> {
        let mut cache = self.0.cache.lock();
        let all: Vec<_> = cache.index.values().cloned().collect();
        let mut leaked = Vec::new();
        for buf in all {
            match buf.hold.load(Ordering::Acquire) {
                0 => self.free(&mut cache, &buf),
                hold => leaked.push((buf.block, hold)),
            }
        }
        cache.reserved.clear();
        leaked
    }

    /// Takes an idle buffer out of the cache; its memory refills the reserve first.
    pub(super) fn free(&self, cache: &mut Cache, buf: &Arc<Buf>) {
        cache.unlist(buf);
        cache.index.remove(&buf.block);
        self.0.total.fetch_sub(1, Ordering::AcqRel);
        let pages = buf.pages.lock().take();
        self.give_back(cache, pages);
    }

    /// Memory that is not needed after all refills the reserve first: it is what progress rests on.
    pub(super) fn give_back(&self, cache: &mut Cache, pages: Option<PageBlock>) {
        if cache.reserved.len() < self.0.options.reserved_buffers {
            cache.reserved.extend(pages);
        }
        self.buffer_freed();
    }

    /// Somebody may find a free buffer now.
    pub(super) fn buffer_freed(&self) {
        self.0.freed.fetch_add(1, Ordering::AcqRel);
        self.0.free_wait.wake_all();
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_size(&self) -> usize {
        self.0.options.block_size as usize
    }

    /// Buffers in the cache now.
    #[must_use]
    pub fn buffers(&self) -> u64 {
        self.0.total.load(Ordering::Acquire)
    }

    /// Blocks of the device.
    #[must_use]
    pub fn device_blocks(&self) -> u64 {
        self.0.parts.device.sectors().bytes() / u64::from(self.0.options.block_size)
    }

    /// Buffers that may stay before the client evicts its own.
    pub(super) fn limit(&self) -> u64 {
        self.0.options.max_buffers.max(MIN_BUFFERS)
    }

    pub(super) fn order(&self) -> u32 {
        u64::from(self.0.options.block_size).div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros()
    }

    pub(super) fn sched(&self) -> &Sched {
        &self.0.parts.sched
    }

    pub(super) fn mm(&self) -> &Mm {
        &self.0.parts.mm
    }

    pub(super) fn knobs(&self) -> &Knobs {
        &self.0.parts.knobs
    }

    pub(super) fn device_name(&self) -> &str {
        self.0.parts.device.name()
    }
}
