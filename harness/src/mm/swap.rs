//! Swap areas: where reclaim writes anonymous pages.
//!
//! Key types: [`SwapArea`], [`SwapIo`], [`AddedArea`], [`SwapSlot`]. An area knows its place in the
//! stack, since that decides which requests may write to it: a plain device, a file that its
//! filesystem writes itself, or a device whose stack has a filesystem in it. A task that pages out
//! is in the layer of the area, so that a finding names it. That layer needs no permission of its
//! own: what is below it, I/O or a filesystem, does. Mirrors `mm/swapfile.c` and
//! `mm/page_io.c` as far as reclaim asks; written from docs/kernel/reclaim.md, "Swap", and
//! docs/kernel/proposals.md, "Join and swap-only I/O".
//!
//! Locking: the map of slots is a leaf.

use std::sync::Arc;

use reclaimdep_scope::{self as scope, Bracket};

use super::page::Page;
use super::policy;
use crate::error::{Errno, Error, Result};
use crate::event::{Gfp, LayerRef};
use crate::sched::{Side, SpinLock, harness_side};

/// Writes pages to a swap area.
pub trait SwapIo: Send + Sync {
    /// Starts to write the page to its slot: calls [`Page::start_writeback`], and when the write
    /// has ended [`Page::end_writeback`]. It must not wait for that end.
    ///
    /// # Errors
    /// The error of the write, if it could not be started.
    fn write(&self, page: &Arc<Page>, slot: u64, mask: Gfp) -> Result<(), Errno>;
}

struct SwapState {
    name: String,
    place: policy::SwapPlace,
    io: Arc<dyn SwapIo>,
    /// The side whose code `io` is.
    side: Side,
    used: SpinLock<Vec<bool>>,
}

/// A swap area. Cheap to clone.
#[derive(Clone)]
pub struct SwapArea(Arc<SwapState>);

impl std::fmt::Debug for SwapArea {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwapArea").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// The most slots of one area: 64 GiB.
pub(crate) const MAX_SLOTS: usize = 1 << 24;

impl SwapArea {
    /// An area called `name` with `slots` slots of one page each.
    ///
    /// # Errors
    /// `slots` is 0 or above 16 Mi (64 GiB).
    pub fn new(
        name: &str,
        place: policy::SwapPlace,
        slots: usize,
        io: Arc<dyn SwapIo>,
    ) -> Result<Self> {
        if slots == 0 || slots > MAX_SLOTS {
            return Err(Error::input(format!("swap area `{name}` of {slots} pages"))
                .advice(format!("give it between 1 and {MAX_SLOTS}")));
        }
        let side = Side::now();
        let _side = harness_side();
        let used = SpinLock::new(vec![false; slots]);
        Ok(Self(Arc::new(SwapState { name: name.to_owned(), place, io, side, used })))
    }

    /// Its place in the stack.
    #[must_use]
    pub fn place(&self) -> policy::SwapPlace {
        self.0.place
    }

    /// Whether it is a file that its filesystem writes itself (`SWP_FS_OPS`).
    #[must_use]
    pub fn fs_backed(&self) -> bool {
        matches!(self.0.place, policy::SwapPlace::File(_))
    }

    /// How many slots are in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.lock().iter().filter(|used| **used).count()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }
}

/// A swap area of a memory, with the layer that is entered to write to it.
#[derive(Clone)]
pub(super) struct AddedArea {
    pub(super) area: SwapArea,
    pub(super) layer: LayerRef,
}

impl AddedArea {
    pub(super) fn has_room(&self) -> bool {
        self.area.0.used.lock().iter().any(|used| !used)
    }

    /// Takes a free slot.
    pub(super) fn take(&self) -> Option<SwapSlot> {
        let mut used = self.area.0.used.lock();
        let index = used.iter().position(|used| !used)?;
        used[index] = true;
        let Self { area, layer } = self.clone();
        Some(SwapSlot(Arc::new(TakenSlot { area, layer, index })))
    }
}

struct TakenSlot {
    area: SwapArea,
    layer: LayerRef,
    index: usize,
}

impl Drop for TakenSlot {
    fn drop(&mut self) {
        self.area.0.used.lock()[self.index] = false;
    }
}

/// The slot of a page in a swap area; it is free again when the last clone is dropped.
#[derive(Clone)]
pub(super) struct SwapSlot(Arc<TakenSlot>);

impl SwapSlot {
    pub(super) fn area(&self) -> &SwapArea {
        &self.0.area
    }

    pub(super) fn write(&self, page: &Arc<Page>, mask: Gfp) -> Result<(), Errno> {
        let TakenSlot { area, layer, index } = &*self.0;
        let SwapState { io, side, .. } = &*area.0;
        let _swap = scope::enter(layer.layer, layer.instance);
        Bracket::around(|| side.call(|| io.write(page, *index as u64, mask)))
    }
}
