//! A cache of notes that gives memory back when memory is short.

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::{self as scope, Gfp, Layer, Mutex, Shrinker, Stop};

/// Notes of a filesystem of ours, kept in memory.
pub struct NoteCache {
    notes: Mutex<Vec<String>>,
    len: AtomicU64,
}

impl NoteCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self { notes: Mutex::new("notes", Vec::new()), len: AtomicU64::new(0) }
    }

    /// Keeps a note.
    pub fn add(&self, note: &str) {
        let _layer = scope::enter(Layer::FS, 0); // what follows is filesystem code
        let _nofs = scope::nofs(); // no allocation here may come back into a filesystem
        self.notes.lock().push(note.to_owned());
        self.len.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shrinker for NoteCache {
    fn name(&self) -> &str {
        "notes"
    }

    fn count(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        if !mask.contains(Gfp::FS) {
            return Err(Stop); // the allocation is inside our own scope: not now
        }
        let mut notes = self.notes.lock();
        let kept = notes.len().saturating_sub(nr_to_scan as usize);
        let freed = notes.drain(kept..).count() as u64;
        self.len.fetch_sub(freed, Ordering::Relaxed);
        Ok(freed)
    }
}
