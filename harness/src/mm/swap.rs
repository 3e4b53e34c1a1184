//! Swap areas: where anonymous pages go.
//!
//! Key types: [`SwapArea`], [`SwapIo`], [`Slot`]. An area knows what it stands on, since that
//! decides who may write to it: a plain device, a file that its filesystem writes itself, or a
//! device whose stack has a filesystem in it. Mirrors `mm/swapfile.c` and `mm/page_io.c` as far as
//! reclaim asks; written from the project's description of reclaim, 4.2 and 7.4.
//!
//! Locking: the map of slots is a leaf.

use std::sync::Arc;

use super::page::Page;
use super::policy;
use crate::error::{Errno, Error, Result};
use crate::event::Gfp;
use crate::sched::{Side, SpinLock, quiet};

/// What writes a page of swap.
pub trait SwapIo: Send + Sync {
    /// Starts to write the page to its slot: calls [`Page::start_writeback`], and when it is stored
    /// [`Page::end_writeback`]. It must not wait for that.
    ///
    /// # Errors
    /// What the write was refused with.
    fn write(&self, page: &Arc<Page>, slot: u64, mask: Gfp) -> Result<(), Errno>;
}

struct Inner {
    name: String,
    place: policy::SwapArea,
    io: Arc<dyn SwapIo>,
    /// Whose code `io` is.
    side: Side,
    used: SpinLock<Vec<bool>>,
}

/// A swap area. Cheap to clone.
#[derive(Clone)]
pub struct SwapArea(Arc<Inner>);

impl std::fmt::Debug for SwapArea {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwapArea").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// The most pages of one area: 64 GiB.
const MAX_SLOTS: usize = 1 << 24;

impl SwapArea {
    /// An area of `slots` pages called `name`.
    ///
    /// # Errors
    /// If it has no page, or more than any world needs.
    pub fn new(
        name: &str,
        place: policy::SwapArea,
        slots: usize,
        io: Arc<dyn SwapIo>,
    ) -> Result<Self> {
        if slots == 0 || slots > MAX_SLOTS {
            return Err(Error::input(format!("swap area `{name}` of {slots} pages"))
                .advice(format!("give it between 1 and {MAX_SLOTS}")));
        }
        let side = Side::now();
        let _ours = quiet();
        let used = SpinLock::new(vec![false; slots]);
        Ok(Self(Arc::new(Inner { name: name.to_owned(), place, io, side, used })))
    }

    /// What it stands on.
    #[must_use]
    pub fn place(&self) -> policy::SwapArea {
        self.0.place
    }

    /// Whether its filesystem writes it itself (`SWP_FS_OPS`).
    #[must_use]
    pub fn fs_backed(&self) -> bool {
        matches!(self.0.place, policy::SwapArea::File(_))
    }

    /// Pages that are in it.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.lock().iter().filter(|used| **used).count()
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.used.lock().iter().any(|used| !used)
    }

    /// Takes a free slot.
    pub(super) fn take(&self) -> Option<Slot> {
        let mut used = self.0.used.lock();
        let index = used.iter().position(|used| !used)?;
        used[index] = true;
        Some(Slot(Arc::new(Taken { area: self.clone(), index })))
    }
}

struct Taken {
    area: SwapArea,
    index: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.area.0.used.lock()[self.index] = false;
    }
}

/// A page's place in swap; free again when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Slot(Arc<Taken>);

impl Slot {
    pub(super) fn area(&self) -> &SwapArea {
        &self.0.area
    }

    pub(super) fn write(&self, page: &Arc<Page>, mask: Gfp) -> Result<(), Errno> {
        let Inner { io, side, .. } = &*self.0.area.0;
        side.call(|| io.write(page, self.0.index as u64, mask))
    }
}
