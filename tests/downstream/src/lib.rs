//! A cache of notes over its own filesystem: an example of a small storage crate.
//!
//! Key types: [`NoteCache`], [`Memory`], and [`Notebook`] on the heap. The crate links
//! reclaimdep-scope and nothing else of the harness. It enters a scope where an allocation must not
//! reclaim from the cache, and a layer frame where filesystem code begins. The program that embeds
//! the cache asks it to shrink, with the mask of the allocation that finds memory short.

mod notebook;

pub use notebook::Notebook;

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::{self as scope, Gfp, Layer};

/// The source of the cache's pages.
pub trait Memory: Send + Sync {
    /// Allocates a page; returns whether that succeeded. It may ask the cache to shrink first.
    fn page(&self, mask: Gfp) -> bool;
}

/// Notes that were changed and not yet written back.
#[derive(Debug, Default)]
pub struct NoteCache {
    /// The number of the filesystem, if there are several.
    id: u32,
    dirty: AtomicU64,
    written: AtomicU64,
}

impl NoteCache {
    /// A cache for filesystem number `id`.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self { id, ..Self::default() }
    }

    /// Changes a note. The change needs a page; no note may be written back to get that page.
    pub fn edit(&self, memory: &dyn Memory, mask: Gfp) -> bool {
        let _fs = scope::enter(Layer::FS, self.id);
        let _nofs = scope::nofs();
        let got = memory.page(mask);
        if got {
            self.dirty.fetch_add(1, Ordering::Relaxed);
        }
        got
    }

    /// The number of notes that shrinking could write back.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
    }

    /// The number of notes that were written back.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes back up to `count` notes for an allocation with `mask`; `None` if the mask forbids
    /// it.
    pub fn shrink(&self, mask: Gfp, count: u64) -> Option<u64> {
        mask.contains(Gfp::FS).then(|| self.write_back(count))
    }

    /// Writes back up to `count` notes, whatever the mask.
    pub fn write_back(&self, count: u64) -> u64 {
        let _fs = scope::enter(Layer::FS, self.id);
        let count = count.min(self.dirty());
        self.dirty.fetch_sub(count, Ordering::Relaxed);
        self.written.fetch_add(count, Ordering::Relaxed);
        count
    }
}
