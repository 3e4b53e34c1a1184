//! A cache of notes over a filesystem of its own: what a small storage crate looks like to its
//! author.
//!
//! Key types: [`NoteCache`], [`Memory`], and [`Notebook`] on the heap. It links reclaimdep-scope
//! and nothing else of the harness: scopes where an allocation must not come back, a layer frame
//! where filesystem code begins. Whoever embeds the cache asks it to shrink with the mask of the
//! allocation that is short.

mod notebook;

pub use notebook::Notebook;

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::{self as scope, Gfp, Layer};

/// Where the cache gets its pages.
pub trait Memory: Send + Sync {
    /// Gets a page; says whether there was one. It may ask the cache to shrink first.
    fn page(&self, mask: Gfp) -> bool;
}

/// Notes that were changed and not yet written.
#[derive(Debug, Default)]
pub struct NoteCache {
    /// Which filesystem this is, where there are several.
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

    /// Changes a note. The change needs a page, and must not be written back to get it.
    pub fn edit(&self, memory: &dyn Memory, mask: Gfp) -> bool {
        let _fs = scope::enter(Layer::FS, self.id);
        let _nofs = scope::nofs();
        let got = memory.page(mask);
        if got {
            self.dirty.fetch_add(1, Ordering::Relaxed);
        }
        got
    }

    /// Notes that shrinking could write back.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
    }

    /// Notes that were written back.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes back up to `count` notes for an allocation with `mask`; none if it may not call us.
    pub fn shrink(&self, mask: Gfp, count: u64) -> Option<u64> {
        mask.contains(Gfp::FS).then(|| self.write_back(count))
    }

    /// Writes back up to `count` notes, whoever asks.
    pub fn write_back(&self, count: u64) -> u64 {
        let _fs = scope::enter(Layer::FS, self.id);
        let count = count.min(self.dirty());
        self.dirty.fetch_sub(count, Ordering::Relaxed);
        self.written.fetch_add(count, Ordering::Relaxed);
        count
    }
}
