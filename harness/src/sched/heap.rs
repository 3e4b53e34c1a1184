//! What the heap hook needs of a world: who hears of an allocation, its number, and whether
//! anything was found.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Sched;
use crate::event::{HeapPlace, Site, heap_site};

type Hook = dyn Fn(u32, Site) + Send + Sync;

/// A world's side of the heap hook.
#[derive(Default)]
pub(super) struct Heap {
    hook: OnceLock<Box<Hook>>,
    count: AtomicU32,
}

impl Sched {
    /// Calls `hook` with the order and the site of each heap allocation that code under test makes,
    /// on its task. Only the first hook of a world is kept.
    pub(crate) fn on_heap(&self, hook: impl Fn(u32, Site) + Send + Sync + 'static) {
        self.0.heap.hook.get_or_init(|| Box::new(hook));
    }

    /// The running task allocates on the heap; returns which allocation of the world that is.
    pub(crate) fn next_heap_allocation(&self) -> u32 {
        self.0.heap.count.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells whoever is to hear of heap allocation number `number`.
    pub(crate) fn heap_allocation(&self, number: u32, order: u32) {
        if let Some(hook) = self.0.heap.hook.get() {
            hook(order, heap_site(number));
        }
    }

    /// Says where heap allocation number `number` was made.
    pub(crate) fn place_heap_allocation(&self, number: u32, place: HeapPlace) {
        self.names(|names| names.place_heap_allocation(number, place));
    }

    /// Heap allocations of the code under test that the world heard of: none unless [`crate::Heap`]
    /// is the process's allocator.
    #[must_use]
    pub fn heap_allocations(&self) -> u32 {
        self.0.heap.count.load(Ordering::Relaxed)
    }

    /// How much was found so far.
    pub(crate) fn found(&self) -> usize {
        self.0.hub.lock().observer.found()
    }
}
