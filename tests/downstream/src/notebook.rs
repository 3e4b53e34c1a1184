//! Notes that live on the heap: what allocates here is a `Vec` that grows.

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::{self as scope, Gfp, Layer, Mutex};

/// Notes and how many of them are not written.
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

    /// Adds a note. It must not be written back to make room for itself.
    pub fn add(&self, note: String) {
        let _fs = scope::enter(Layer::FS, self.id);
        let _nofs = scope::nofs();
        self.notes.lock().push(note);
        self.dirty.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that could be written back.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
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
        count
    }
}
