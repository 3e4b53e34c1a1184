//! Notes on the heap: a growing `Vec` makes the allocations.

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::{self as scope, Gfp, Layer, Mutex};

/// Notes, and the number of those that are not written back.
#[derive(Debug)]
pub struct Notebook {
    id: u32,
    notes: Mutex<Vec<String>>,
    dirty: AtomicU64,
}

impl Notebook {
    /// The notebook of filesystem number `id`.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self { id, notes: Mutex::new("notebook", Vec::new()), dirty: AtomicU64::new(0) }
    }

    /// Adds a note. No note may be written back to make room for it.
    pub fn add(&self, note: String) {
        let _fs = scope::enter(Layer::FS, self.id);
        let _nofs = scope::nofs();
        self.notes.lock().push(note);
        self.dirty.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of notes that could be written back.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
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
        count
    }
}
