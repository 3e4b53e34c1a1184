//! Allocations of memory that is not the world's: those on the process's heap.
//!
//! They are told and judged as others are, and where the plan says that memory is short the task
//! reclaims for them; but no page leaves the budget, because the memory is the process's
//! allocator's, and none fails. There is no scheduling point unless reclaim is run: an allocation
//! may be made under any lock and any borrow.

use super::memory::Mm;
use super::reclaim::Scan;
use super::slow_path::Request;
use crate::event::{AllocOutcome, EventKind, Gfp, Site, TaskFlags};
use crate::inject::{AllocPoint, AllocSource};

impl Mm {
    /// Makes what code under test allocates on the heap allocations that may reclaim here. It is
    /// heard of where [`crate::Heap`] is the process's allocator.
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
        let (mask, flags) = self.tell_begin(order, requested, site);
        let _told = End(self);
        let point = AllocPoint { order, mask, flags, site, of: AllocSource::Heap };
        let Some(pressed) = self.plan().press(sched, &point) else {
            return;
        };
        if pressed.by_kswapd() {
            // kswapd itself would never come to rest.
            if !flags.contains(TaskFlags::MEMALLOC) {
                self.force_kswapd();
            }
            return;
        }
        let request = Request { order, requested, mask, flags, task: sched.current() };
        self.reclaim(&Scan::of(&request).pressed(Some(&pressed)));
    }
}

/// An allocation that ends when this is dropped, also where its reclaim unwinds.
struct End<'a>(&'a Mm);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0
            .sched()
            .emit(EventKind::AllocEnd { outcome: AllocOutcome::Elsewhere, left: self.0.free() });
    }
}
