//! What all clients of a world share: their list and its lock, the knobs, the accounts, the queue.
//!
//! Key type: [`Bufio`]. Neighbours: [`super::sweep`] cleans all clients, [`super::queue`] keeps
//! their common order. Locking: `clients` ("dm_bufio_clients_lock") > a client's lock; creation and
//! destruction take it, so they can stall behind a cleanup that waits for I/O (1.8).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::client::{Client, Inner};
use super::context::Marks;
use super::memory::Accounts;
use super::options::ClientOptions;
use super::queue::GlobalQueue;
use super::{order, sweep};
use crate::block::BlockDevice;
use crate::era::{BufioGeneration, Knobs};
use crate::error::Result;
use crate::inject::{Failpoint, Plan};
use crate::mm::Mm;
use crate::mm::policy::Node;
use crate::sched::{JoinHandle, Mutex, Sched, SpinLock, Work, WorkQueue, quiet};
use crate::units::{PAGE_SIZE, Ticks};

/// The default size of all caches, in percent of memory (DM_BUFIO_MEMORY_PERCENT).
const MEMORY_PERCENT: u64 = 2;
/// The size that forbids new buffers: what a client gets is its reserve and what it has.
const DEBUG_SIZE: u64 = 1;

pub(super) struct Shared {
    pub(super) sched: Sched,
    pub(super) mm: Mm,
    pub(super) plan: Plan,
    pub(super) knobs: Knobs,
    pub(super) clients: Mutex<Vec<Weak<Inner>>>,
    /// As many as there are in `clients`.
    pub(super) count: AtomicU64,
    pub(super) cleaner: Option<WorkQueue>,
    pub(super) cleanup: OnceLock<Work>,
    pub(super) accounts: Accounts,
    pub(super) queue: GlobalQueue,
    pub(super) marks: Marks,
    size: AtomicU64,
    /// The size as it was when a share was last computed.
    latched: AtomicU64,
    max_age: AtomicU64,
    pub(super) aging: SpinLock<Option<JoinHandle<()>>>,
    pub(super) stop_aging: sweep::Stop,
    next_client: AtomicU32,
}

/// dm-bufio in a world: what its clients share. Cheap to clone.
#[derive(Clone)]
pub struct Bufio(pub(super) Arc<Shared>);

impl std::fmt::Debug for Bufio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bufio").field("accounts", self.accounts()).finish_non_exhaustive()
    }
}

impl Bufio {
    /// dm-bufio of a world with these behaviours. Work is done on `cleaner`; without one the
    /// shrinkers that need it stop at once, and nothing is cleaned in the background.
    #[must_use]
    pub fn new(
        sched: &Sched,
        mm: &Mm,
        plan: &Plan,
        knobs: Knobs,
        cleaner: Option<WorkQueue>,
    ) -> Self {
        let _ours = quiet();
        let this = Self(Arc::new(Shared {
            sched: sched.clone(),
            mm: mm.clone(),
            plan: plan.clone(),
            knobs,
            clients: Mutex::new(sched, order::CLIENTS, "dm-bufio", Vec::new()),
            count: AtomicU64::new(0),
            cleaner,
            cleanup: OnceLock::new(),
            accounts: Accounts::default(),
            queue: GlobalQueue::new(sched, knobs.bufio_generation),
            marks: Marks::default(),
            size: AtomicU64::new(0),
            latched: AtomicU64::new(0),
            max_age: AtomicU64::new(knobs.bufio_generation.max_age().0),
            aging: SpinLock::new(None),
            stop_aging: sweep::Stop::new(sched),
            next_client: AtomicU32::new(0),
        }));
        let weak = Arc::downgrade(&this.0);
        let cleanup = Work::new("do_global_cleanup", move || {
            if let Some(shared) = weak.upgrade() {
                Self(shared).global_cleanup();
            }
        });
        this.0.cleanup.get_or_init(|| cleanup);
        this
    }

    /// Makes a client of `device` and registers its shrinker (`dm_bufio_client_create`). `node` is
    /// where it stands in the stack, for policies.
    ///
    /// # Errors
    /// If the options are none that a client on this device can have, or if there is no memory for
    /// the reserved buffers.
    pub fn create(
        &self,
        device: Arc<dyn BlockDevice>,
        node: Option<Node>,
        options: ClientOptions,
    ) -> Result<Client> {
        let _ours = quiet();
        let number = self.0.next_client.fetch_add(1, Ordering::AcqRel);
        Client::open(self, number, device, node, options)
    }

    /// What all buffers use.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// Sets the size of all caches together in bytes; 0 for the default, 1 for "never allocate a
    /// new buffer" (`max_cache_size_bytes`).
    pub fn set_max_cache_size(&self, bytes: u64) {
        self.0.size.store(bytes, Ordering::Release);
    }

    /// The size of all caches together in bytes, as it is in force.
    #[must_use]
    pub fn max_cache_size(&self) -> u64 {
        match self.0.size.load(Ordering::Acquire) {
            0 => self.0.mm.total().0 * PAGE_SIZE * MEMORY_PERCENT / 100,
            bytes => bytes,
        }
    }

    /// Sets after what time unused a clean buffer may go (`max_age_seconds`).
    pub fn set_max_age(&self, age: Ticks) {
        self.0.max_age.store(age.0, Ordering::Release);
    }

    /// After what time unused a clean buffer may go.
    #[must_use]
    pub fn max_age(&self) -> Ticks {
        Ticks(self.0.max_age.load(Ordering::Acquire))
    }

    pub(super) fn generation(&self) -> BufioGeneration {
        self.0.knobs.bufio_generation
    }

    /// Whether the size was changed since this was last asked.
    pub(super) fn size_changed(&self) -> bool {
        let size = self.0.size.load(Ordering::Acquire);
        self.0.latched.swap(size, Ordering::AcqRel) != size
    }

    /// Whether new buffers may be allocated at all.
    pub(super) fn allocates(&self) -> bool {
        self.0.size.load(Ordering::Relaxed) != DEBUG_SIZE
    }

    /// Passes a failpoint; says whether it fired.
    pub(super) fn fires(&self, point: Failpoint) -> bool {
        self.0.plan.pass(&self.0.sched, point).is_err()
    }

    /// The clients that there are, in the order in which they were made. The caller holds the
    /// clients' lock.
    pub(super) fn alive(clients: &[Weak<Inner>]) -> Vec<Client> {
        clients.iter().filter_map(Weak::upgrade).map(Client).collect()
    }

    pub(super) fn link(&self, client: &Client) {
        let mut clients = self.0.clients.lock();
        // Those that were dropped without their end take no share.
        clients.retain(|known| known.strong_count() > 0);
        clients.push(Arc::downgrade(&client.0));
        self.0.count.store(clients.len() as u64, Ordering::Release);
    }

    pub(super) fn unlink(&self, client: &Client) {
        let mut clients = self.0.clients.lock();
        clients.retain(|known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(&client.0)));
        self.0.count.store(clients.len() as u64, Ordering::Release);
    }
}
