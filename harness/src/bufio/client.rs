//! A bufio client: its parts, its sizes, the layer that it is.
//!
//! Key types: [`Client`], `ClientState`. Neighbours: [`super::lookup`] gets buffers,
//! [`super::lifecycle`] makes and destroys clients. Locking: the list of sites and the shrinker are
//! leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope as scope;

use super::cache::{Cache, Locked};
use super::global::Bufio;
use super::io::ClientIo;
use super::lists::List;
use super::options::ClientOptions;
use super::pool::Pool;
use super::shared::Shared;
use super::slot::Slot;
use crate::block::BlockDevice;
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::{Layer, LayerRef, Site};
use crate::mm::policy::Node;
use crate::mm::{PortShrinker, Registration};
use crate::sched::{OnSide, Sched, SpinLock, harness_side};
use crate::units::Sectors;

/// Buffers that a client keeps at least (DM_BUFIO_MIN_BUFFERS).
const MIN_BUFFERS: u64 = 8;

/// The shrinker of a client, whichever form it has.
pub(super) trait ClientShrinker: PortShrinker {
    /// Waits for the work that scans have queued.
    fn flush(&self) {}
}

pub(super) struct ClientState {
    pub(super) bufio: Bufio,
    pub(super) number: u32,
    pub(super) node: Option<Node>,
    pub(super) options: ClientOptions,
    layer: LayerRef,
    pub(super) cache: Cache,
    pub(super) io: Arc<ClientIo>,
    pub(super) pool: Arc<Pool>,
    minimum: AtomicU64,
    /// Where holds were taken, by number.
    sites: SpinLock<Vec<Site>>,
    pub(super) shrinker: SpinLock<Option<(Registration, Arc<dyn ClientShrinker>)>>,
}

impl ClientState {
    pub(super) fn new(
        bufio: &Bufio,
        number: u32,
        device: Arc<dyn BlockDevice>,
        node: Option<Node>,
        options: ClientOptions,
    ) -> Self {
        let (shared, name) = (bufio.shared(), device.name().to_owned());
        let layer = shared.sched.add_layer(Layer::BUFIO, &name);
        let pool = Arc::new(Pool::new(shared, &options, &name));
        Self {
            bufio: bufio.clone(),
            number,
            node,
            layer,
            cache: Cache::new(shared, &pool, number, &options, &name),
            io: ClientIo::new(shared, &pool, device, &options),
            pool,
            minimum: AtomicU64::new(MIN_BUFFERS),
            sites: SpinLock::default(),
            shrinker: SpinLock::new(None),
            options,
        }
    }
}

/// A cache of one device's blocks. Cheap to clone. End it with [`destroy`](Client::destroy): when
/// the last clone is merely dropped, dirty buffers are not written, as when the machine stops.
///
/// ```
/// use std::sync::Arc;
///
/// use reclaimdep::World;
/// use reclaimdep::kernel::block::MemoryDevice;
/// use reclaimdep::kernel::bufio::{Bufio, ClientOptions};
///
/// let report = World::builder().schedules(10).run(|world| {
///     let device = Arc::new(MemoryDevice::new(world.sched(), "vda", 16 << 20));
///     let bufio = Bufio::new(world.sched(), world.mm(), world.plan(), world.knobs(), None);
///     let client = bufio.create(device, None, ClientOptions::default());
///     let client = client.expect("the device has blocks of 4 KiB");
///     let buffer = client.new_block(7).expect("it is on the device");
///     buffer.with_data_mut(|data| data.fill(1));
///     buffer.mark_dirty();
///     drop(buffer);
///     client.write_dirty_buffers().expect("the device is healthy");
///     assert_eq!(client.read(7).expect("it is cached").with_data(|data| data[0]), 1);
///     client.destroy().expect("no task holds a buffer");
/// });
/// assert!(report.expect("the run works").is_quiet());
/// ```
///
/// Its device is any [`BlockDevice`](crate::block::BlockDevice); those on a real file and on a loop
/// device are `host::HostFile` and `host::HostLoop` (Linux, feature `loop`).
#[derive(Clone)]
pub struct Client(pub(super) Arc<ClientState>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("layer", &self.0.layer).finish_non_exhaustive()
    }
}

impl Client {
    /// Bytes of a block.
    #[must_use]
    pub fn block_size(&self) -> usize {
        self.0.options.block_size as usize
    }

    /// Buffers in the cache now.
    #[must_use]
    pub fn buffers(&self) -> u64 {
        self.0.cache.count(List::Clean) + self.0.cache.count(List::Dirty)
    }

    /// Buffers that are dirty or being written. One whose write is complete counts until process
    /// context moves it to the clean list.
    #[must_use]
    pub fn dirty_buffers(&self) -> u64 {
        self.0.cache.count(List::Dirty)
    }

    /// Writes that failed since the client was made. Unlike the error that
    /// [`write_dirty_buffers`](Client::write_dirty_buffers) returns once, it stays: a caller that
    /// reads a block and then finds 0 here knows that the block is not older than the last write.
    #[must_use]
    pub fn write_failures(&self) -> u64 {
        self.0.io.write_failures()
    }

    /// Whole blocks of the device from the client's start on.
    #[must_use]
    pub fn device_blocks(&self) -> u64 {
        self.0.io.device_blocks()
    }

    /// The device that it caches.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn BlockDevice> {
        &self.0.io.device
    }

    /// dm-bufio of its world, which it shares with the other clients.
    #[must_use]
    pub fn bufio(&self) -> &Bufio {
        &self.0.bufio
    }

    /// Moves block 0 to sector `start` of the device (`dm_bufio_set_sector_offset`). No I/O may be
    /// in flight.
    pub fn set_sector_offset(&self, start: Sectors) {
        self.0.io.set_start(start);
    }

    /// Sets how many buffers the client keeps whatever its share of memory
    /// (`dm_bufio_set_minimum_buffers`).
    pub fn set_minimum_buffers(&self, buffers: u64) {
        self.0.minimum.store(buffers, Ordering::Release);
    }

    pub(super) fn minimum(&self) -> u64 {
        self.0.minimum.load(Ordering::Acquire)
    }

    /// Buffers that age-out and the shrinker leave.
    pub(super) fn retain(&self) -> u64 {
        self.0.options.retain_bytes / u64::from(self.0.options.block_size)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.0.bufio.shared()
    }

    pub(super) fn sched(&self) -> &Sched {
        &self.shared().sched
    }

    pub(super) fn generation(&self) -> BufioGeneration {
        self.shared().generation()
    }

    pub(super) fn device_name(&self) -> &str {
        self.0.io.device.name()
    }

    pub(super) fn slot(&self, number: u32) -> &Slot {
        self.0.pool.slot(number)
    }

    /// Takes the client lock.
    #[track_caller]
    pub(super) fn lock(&self) -> Locked<'_> {
        self.0.cache.lock()
    }

    /// Enters the client's layer on the running task; allocations there are the harness's.
    pub(super) fn enter(&self) -> (scope::LayerGuard, OnSide) {
        let ours = harness_side();
        let layer = self.0.layer;
        (scope::enter(layer.layer, layer.instance), ours)
    }

    /// Refuses an operation that may wait for a request to a task that must not.
    #[track_caller]
    pub(super) fn may_wait(&self, what: &str) -> Result<(), Errno> {
        self.shared().marks.may_wait(what, self.generation())
    }

    /// Refuses an operation that may sleep where nothing may sleep.
    #[track_caller]
    pub(super) fn may_sleep(&self, what: &str) {
        self.shared().marks.may_sleep(what);
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
}
