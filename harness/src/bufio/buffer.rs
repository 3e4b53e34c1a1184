//! A buffer: one cached block, its state bits, and the handle of whoever holds it.
//!
//! Key types: [`Buf`], [`Buffer`], [`State`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::client::Client;
use crate::error::Errno;
use crate::event::{RequestId, Resource, Site};
use crate::mm::PageBlock;
use crate::sched::{SpinLock, WaitQueue, Waiting, quiet};

/// The three state bits; none set is clean and idle.
pub(super) struct State;

impl State {
    /// A read is in flight. Only ever on the clean list.
    pub(super) const READING: u8 = 1;
    /// The data is newer than the device.
    pub(super) const DIRTY: u8 = 2;
    /// A write is in flight; a mutex for writes.
    pub(super) const WRITING: u8 = 4;
}

/// A cached block.
///
/// # Invariants
/// On the clean list neither DIRTY nor WRITING is set; on the dirty list READING is not. DIRTY with
/// WRITING is legal: dirtied again while being written. Only the completion of the request in
/// `request` clears READING or WRITING.
pub(super) struct Buf {
    pub(super) block: u64,
    pub(super) data: SpinLock<Vec<u8>>,
    pub(super) pages: SpinLock<Option<PageBlock>>,
    pub(super) hold: AtomicU32,
    pub(super) stamp: AtomicU64,
    pub(super) read_error: SpinLock<Option<Errno>>,
    pub(super) write_error: SpinLock<Option<Errno>>,
    pub(super) request: SpinLock<Option<RequestId>>,
    state: AtomicU8,
    bits: WaitQueue,
}

impl Buf {
    pub(super) fn new(client: &Client, block: u64, state: u8, pages: PageBlock) -> Arc<Self> {
        Arc::new(Self {
            block,
            data: SpinLock::new(vec![0; client.block_size()]),
            pages: SpinLock::new(Some(pages)),
            hold: AtomicU32::new(0),
            stamp: AtomicU64::new(0),
            read_error: SpinLock::new(None),
            write_error: SpinLock::new(None),
            request: SpinLock::new(None),
            state: AtomicU8::new(state),
            bits: WaitQueue::new(client.sched()),
        })
    }

    pub(super) fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    pub(super) fn has(&self, bits: u8) -> bool {
        self.state() & bits != 0
    }

    /// Sets bits; returns the state before.
    pub(super) fn set(&self, bits: u8) -> u8 {
        self.state.fetch_or(bits, Ordering::AcqRel)
    }

    /// Clears bits; returns the state before. A waiter for them must be woken by the caller.
    pub(super) fn clear(&self, bits: u8) -> u8 {
        self.state.fetch_and(!bits, Ordering::AcqRel)
    }

    /// Ends the request in flight: clears its bit and wakes whoever waits for it.
    pub(super) fn end_request(&self, bit: u8) {
        self.clear(bit);
        self.bits.wake_all();
    }

    /// Lets whoever waits for a bit look again.
    pub(super) fn wake(&self) {
        self.bits.wake_all();
    }

    /// Waits until none of `bits` is set (`wait_on_bit_io`), uninterruptibly.
    pub(super) fn wait_clear(&self, bits: u8, why: &'static str, site: Site) {
        while self.has(bits) {
            let request = *self.request.lock();
            let resource = request.map_or(Resource::Timer, Resource::Request);
            let waiting = Waiting { resource, why, breakable: false, site };
            // A new request may have taken the bit by the time this one is complete; the wait is
            // then for that one, and says so.
            let this_one = || !self.has(bits) || *self.request.lock() != request;
            let waited = self.bits.wait_until(waiting, this_one);
            debug_assert!(waited.is_ok(), "a bit wait is never broken");
        }
    }

    pub(super) fn held(&self) -> bool {
        self.hold.load(Ordering::Acquire) != 0
    }

    pub(super) fn failed(&self) -> bool {
        self.read_error.lock().is_some() || self.write_error.lock().is_some()
    }
}

/// A held buffer; dropping it releases the hold.
#[must_use = "the hold is released when this is dropped"]
pub struct Buffer {
    pub(super) client: Client,
    pub(super) buf: Arc<Buf>,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("block", &self.buf.block).finish_non_exhaustive()
    }
}

impl Buffer {
    /// INVARIANT: the caller holds the client lock, so no eviction can come between the lookup and
    /// the hold.
    pub(super) fn hold(client: &Client, buf: &Arc<Buf>) -> Self {
        buf.hold.fetch_add(1, Ordering::AcqRel);
        Self { client: client.clone(), buf: Arc::clone(buf) }
    }

    /// The block it caches.
    #[must_use]
    pub fn block(&self) -> u64 {
        self.buf.block
    }

    /// Reads the data. `f` must not wait; what it allocates on the heap does not reclaim, because reclaim may
    /// want this very buffer.
    pub fn with_data<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        let _ours = quiet();
        f(&self.buf.data.lock())
    }

    /// Changes the data; follow with [`Buffer::mark_dirty`]. `f` must not wait, as in [`Buffer::with_data`].
    pub fn with_data_mut<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let _ours = quiet();
        f(&mut self.buf.data.lock())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.buf.hold.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.client.buffer_freed();
        }
    }
}
