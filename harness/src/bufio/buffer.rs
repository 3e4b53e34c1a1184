//! `Buffer`: a held buffer.
//!
//! Key type: [`Buffer`]. It borrows its client.

use super::client::Client;
use super::lists::List;
use super::options::Contents;
use super::slot::{Slot, SlotContents, State};
use crate::event::Site;
use crate::sched::harness_side;

/// A held buffer; dropping it releases the hold (`dm_bufio_release`).
///
/// A hold cannot be given back twice, nor to another client:
///
/// ```compile_fail
/// # fn twice(buffer: reclaimdep::kernel::bufio::Buffer<'_>) {
/// drop(buffer);
/// drop(buffer);
/// # }
/// ```
#[must_use = "the hold is released when this is dropped"]
pub struct Buffer<'c> {
    pub(super) client: &'c Client,
    pub(super) slot: &'c Slot,
}

impl std::fmt::Debug for Buffer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("block", &self.slot.block()).finish_non_exhaustive()
    }
}

impl<'c> Buffer<'c> {
    /// INVARIANT: the caller has taken a hold of the slot, and hands it over.
    pub(super) fn new(client: &'c Client, slot: &'c Slot, site: Site) -> Self {
        slot.contents.lock().holder = client.site_number(site);
        Self { client, slot }
    }

    /// The block it caches.
    #[must_use]
    pub fn block(&self) -> u64 {
        self.slot.block()
    }

    /// The client it belongs to.
    #[must_use]
    pub const fn client(&self) -> &'c Client {
        self.client
    }

    /// Reads the data. `f` must not wait; its heap allocations do not reclaim, because reclaim
    /// may want this very buffer.
    pub fn with_data<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        let _side = harness_side();
        f(&self.slot.contents.lock().data)
    }

    /// Changes the data; follow with [`Buffer::mark_dirty`]. `f` must not wait, as in
    /// [`Buffer::with_data`].
    pub fn with_data_mut<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let _side = harness_side();
        f(&mut self.slot.contents.lock().data)
    }

    /// Reads or changes the bytes beside the data (`dm_bufio_get_aux_data`). They are as the last
    /// holder left them, and zero when the memory is new; an alloc callback can set them. `f` must
    /// not wait.
    pub fn with_aux<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let _side = harness_side();
        f(&mut self.slot.contents.lock().aux)
    }

    /// Data and aux together. `f` must not wait.
    pub fn with_contents<R>(&self, f: impl FnOnce(&mut Contents<'_>) -> R) -> R {
        let _side = harness_side();
        let mut contents = self.slot.contents.lock();
        let SlotContents { data, aux, .. } = &mut *contents;
        f(&mut Contents { block: self.slot.block(), data, aux })
    }

    /// Says that all the data changed (`dm_bufio_mark_buffer_dirty`). It is written when too
    /// much of the client is dirty, and by [`Client::write_dirty_buffers`] at the latest.
    ///
    /// # Panics
    /// If the buffer is being read: its holder cannot have seen the data it claims to have changed.
    #[track_caller]
    pub fn mark_dirty(&self) {
        self.mark_partial_dirty(0, self.client.block_size());
    }

    /// Says that bytes `start..end` changed (`dm_bufio_mark_partial_buffer_dirty`). A write
    /// covers the union of the marked ranges, widened to a unit that suits the device.
    ///
    /// # Panics
    /// If the range is empty or not inside the block; if the buffer is being read.
    #[track_caller]
    pub fn mark_partial_dirty(&self, start: usize, end: usize) {
        let (client, slot, size) = (self.client, self.slot, self.client.block_size());
        assert!(start < end && end <= size, "bytes {start}..{end} of a block of {size}");
        let _layer = client.enter();
        client.may_sleep("marking a buffer dirty");
        let mut lists = client.lock();
        let block = slot.block();
        assert!(!slot.has(State::READING), "block {block} is marked dirty while it is being read");
        let narrow = |at: usize| u32::try_from(at).expect("a block's size is a u32");
        slot.contents.lock().dirty(narrow(start), narrow(end));
        let before = slot.set(State::DIRTY);
        if before & State::DIRTY == 0 {
            client.0.cache.move_to(&mut lists, slot, List::Dirty);
        }
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.client.0.pool.put(self.slot);
    }
}
