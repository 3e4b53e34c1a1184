//! What a world keeps for the hook: its memory, and how many allocations the hook saw.
//!
//! Key type: [`Watch`], an extension of the world's scheduler, where the hook finds it from the
//! running task. It does not keep the memory, because the memory keeps the scheduler.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::mm::{Mm, WeakMm};
use crate::sched::Sched;

/// One world's heap allocations.
pub(super) struct Watch {
    memory: WeakMm,
    allocations: AtomicU32,
}

impl Watch {
    /// Counts an allocation.
    pub(super) fn count(&self) {
        self.allocations.fetch_add(1, Ordering::Relaxed);
    }

    /// The memory, until the world is taken down.
    pub(super) fn memory(&self) -> Option<Mm> {
        self.memory.upgrade()
    }
}

/// From now on the heap allocations of the user side are allocations of `mm` that may reclaim. The
/// hook sees them where [`crate::Heap`] is the process's allocator.
pub(crate) fn watch(mm: &Mm) {
    mm.sched().extend(Watch { memory: mm.downgrade(), allocations: AtomicU32::new(0) });
}

/// Heap allocations of the user side that the world of `sched` saw.
pub(crate) fn allocations(sched: &Sched) -> u32 {
    sched.extension::<Watch>().map_or(0, |watch| watch.allocations.load(Ordering::Relaxed))
}
