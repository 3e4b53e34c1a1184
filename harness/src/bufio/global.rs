//! dm-bufio in a world: the list of clients, the limits that they share, the cleanup.
//!
//! Key type: [`Bufio`]. Neighbours: [`super::sweep`] cleans all clients, [`super::lifecycle`] makes
//! and ends them. Locking: `clients` ("dm_bufio_clients_lock") > a client's lock; creation and
//! destruction take it, so they can stall behind a cleanup that waits for I/O
//! (docs/kernel/dm-bufio.md, "Lock order").

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::client::{Client, ClientState};
use super::context::{Atomic, InRequest};
use super::memory::Accounts;
use super::order;
use super::shared::Shared;
use crate::era::{BufioGeneration, Knobs};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::sched::{JoinHandle, Mutex, Sched, SpinLock, WaitQueue, Work, WorkQueue};
use crate::units::{PAGE_SIZE, Ticks};

/// The default size of all caches, in percent of memory (DM_BUFIO_MEMORY_PERCENT).
const MEMORY_PERCENT: u64 = 2;
/// The size that forbids new buffers: a client then only has its reserve and its present buffers.
const DEBUG_SIZE: u64 = 1;

/// The task that ages buffers, and how it is told to end.
pub(super) struct Aging {
    pub(super) stop: AtomicBool,
    pub(super) wake: WaitQueue,
    pub(super) task: SpinLock<Option<JoinHandle<()>>>,
}

pub(super) struct BufioState {
    shared: Arc<Shared>,
    pub(super) clients: Mutex<Vec<Weak<ClientState>>>,
    /// The length of `clients`.
    count: AtomicU64,
    next_client: AtomicU32,
    /// The queue that background work is done on.
    pub(super) cleaner: Option<WorkQueue>,
    pub(super) cleanup: OnceLock<Work>,
    /// The size of all caches in bytes, 0 for the default.
    size: AtomicU64,
    /// The size as it was when a share was last computed.
    latched: AtomicU64,
    max_age: AtomicU64,
    pub(super) aging: Aging,
}

/// dm-bufio in a world: the state that its clients share. Cheap to clone.
#[derive(Clone)]
pub struct Bufio(pub(super) Arc<BufioState>);

impl std::fmt::Debug for Bufio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bufio").field("accounts", self.accounts()).finish_non_exhaustive()
    }
}

impl BufioState {
    pub(super) fn new(
        sched: &Sched,
        mm: &Mm,
        plan: &Plan,
        knobs: Knobs,
        cleaner: Option<WorkQueue>,
    ) -> Self {
        let clients = Mutex::new(sched, order::CLIENTS, "dm-bufio", Vec::new());
        Self {
            shared: Shared::new(sched, mm, plan, knobs),
            clients,
            count: AtomicU64::new(0),
            next_client: AtomicU32::new(0),
            cleaner,
            cleanup: OnceLock::new(),
            size: AtomicU64::new(0),
            latched: AtomicU64::new(0),
            max_age: AtomicU64::new(knobs.bufio_generation.max_age().0),
            aging: Aging {
                stop: AtomicBool::new(false),
                wake: WaitQueue::new(sched),
                task: SpinLock::new(None),
            },
        }
    }
}

impl Bufio {
    /// The bytes that all buffers use.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.0.shared.accounts
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
            0 => self.0.shared.mm.total().0 * PAGE_SIZE * MEMORY_PERCENT / 100,
            bytes => bytes,
        }
    }

    /// Sets the time after which an unused clean buffer may go (`max_age_seconds`).
    pub fn set_max_age(&self, age: Ticks) {
        self.0.max_age.store(age.0, Ordering::Release);
    }

    /// The time after which an unused clean buffer may go.
    #[must_use]
    pub fn max_age(&self) -> Ticks {
        Ticks(self.0.max_age.load(Ordering::Acquire))
    }

    /// The running task begins to map a request (`current->bio_list`).
    ///
    /// # Panics
    /// If it maps one already: a task has one list.
    pub fn in_request(&self) -> InRequest {
        InRequest::begin(&self.0.shared.marks)
    }

    /// The running task enters a place where nothing may sleep, such as a softirq. Only `get`, of a
    /// client in no-sleep mode, is legal there.
    ///
    /// # Panics
    /// If it is in one already.
    pub fn atomic(&self) -> Atomic {
        Atomic::begin(&self.0.shared.marks)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn generation(&self) -> BufioGeneration {
        self.0.shared.generation()
    }

    /// Whether new buffers may be allocated at all.
    pub(super) fn allocates(&self) -> bool {
        self.0.size.load(Ordering::Relaxed) != DEBUG_SIZE
    }

    /// Bytes that one client may have: an equal share. When the size was changed, 2014 took the
    /// clients' lock for the count, below the client's.
    pub(super) fn share(&self) -> u64 {
        let count = if self.generation() == BufioGeneration::V2014 && self.size_changed() {
            self.0.clients.lock().len() as u64
        } else {
            self.0.count.load(Ordering::Acquire)
        };
        self.max_cache_size() / count.max(1)
    }

    /// Whether the size was changed since this was last asked.
    fn size_changed(&self) -> bool {
        let size = self.0.size.load(Ordering::Acquire);
        self.0.latched.swap(size, Ordering::AcqRel) != size
    }

    /// Queues the cleanup if all buffers together are too large.
    pub(super) fn check_size(&self) {
        let sweeps = self.generation() >= BufioGeneration::V5_4;
        if sweeps
            && self.accounts().current() > self.max_cache_size()
            && let (Some(queue), Some(work)) = (&self.0.cleaner, self.0.cleanup.get())
        {
            queue.queue(work);
        }
    }

    /// Waits for the cleanup, if it is under way.
    pub(super) fn finish_cleanup(&self) {
        if let (Some(queue), Some(work)) = (&self.0.cleaner, self.0.cleanup.get()) {
            queue.flush(work);
        }
    }

    pub(super) fn next_client(&self) -> u32 {
        self.0.next_client.fetch_add(1, Ordering::AcqRel)
    }

    /// The clients that still exist, in the order in which they were made. The caller holds the
    /// clients' lock.
    pub(super) fn alive(clients: &[Weak<ClientState>]) -> Vec<Client> {
        clients.iter().filter_map(Weak::upgrade).map(Client).collect()
    }

    pub(super) fn link(&self, client: &Client) {
        let mut clients = self.0.clients.lock();
        // A client that was dropped and not destroyed takes no share.
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
