//! Allocations on the process's heap, by code under test.
//!
//! They are reported and judged as other allocations are, and where the plan says that memory is
//! short the task reclaims for them. No page leaves the budget, because the memory comes from the
//! process's allocator, and no such allocation fails. There is no scheduling point unless reclaim
//! runs: the code may allocate under any lock and any borrow.

use super::memory::Mm;
use super::reclaim::Scan;
use super::slow_path::AllocRequest;
use crate::event::{AllocOutcome, EventKind, Gfp, Site, TaskFlags};
use crate::inject::{AllocPoint, AllocSource};

impl Mm {
    /// Makes allocations of code under test on the heap reclaim in this memory. This has an effect
    /// only if [`crate::Heap`] is the process's allocator.
    pub fn watch_heap(&self) {
        let memory = std::sync::Arc::downgrade(&self.0);
        self.sched().on_heap(move |order, site| {
            if let Some(inner) = memory.upgrade() {
                Self(inner).alloc_on_heap(order, site);
            }
        });
    }

    /// The running task allocates on the heap, with GFP_KERNEL after its scopes.
    fn alloc_on_heap(&self, order: u32, site: Site) {
        let _added = self.plan().added_scope(site);
        let (requested, sched) = (Gfp::KERNEL, self.sched());
        let (mask, flags) = self.emit_begin(order, requested, site);
        let _allocation = HeapAllocation(self);
        let point = AllocPoint { order, mask, flags, site, of: AllocSource::Heap };
        let Some(pressed) = self.plan().press(sched, &point) else {
            return;
        };
        if pressed.by_kswapd() {
            // An allocation of kswapd must not wake kswapd again, or it would never sleep.
            if !flags.contains(TaskFlags::MEMALLOC) {
                self.force_kswapd();
            }
            return;
        }
        let request = AllocRequest { order, requested, mask, flags, task: sched.current() };
        self.reclaim(&Scan::of(&request).pressed(Some(&pressed)));
    }
}

/// A heap allocation; dropping it reports the end, also if its reclaim unwinds.
struct HeapAllocation<'a>(&'a Mm);

impl Drop for HeapAllocation<'_> {
    fn drop(&mut self) {
        self.0
            .sched()
            .emit(EventKind::AllocEnd { outcome: AllocOutcome::Elsewhere, left: self.0.free() });
    }
}
