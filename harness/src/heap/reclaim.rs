//! A heap allocation as an allocation of the world's memory.
//!
//! Key function: [`allocate`]. It is told and judged as others are, and where the plan says that
//! memory is short the task reclaims for it. No page leaves the budget, because the memory is the
//! inner allocator's, and no allocation fails. There is no scheduling point unless reclaim runs:
//! code under test may allocate under any lock and any borrow.

use crate::event::{AllocOutcome, EventKind, Gfp, Site};
use crate::inject::{AllocPoint, AllocSource};
use crate::mm::Mm;

/// The running task allocates `2^order` pages on the heap, with GFP_KERNEL after its scopes.
pub(super) fn allocate(mm: &Mm, order: u32, site: Site) {
    let _added = mm.plan().added_scope(site);
    let (mask, flags) = mm.tell_begin(order, Gfp::KERNEL, site);
    let _told = AllocEnd(mm);
    let point = AllocPoint { order, mask, flags, site, of: AllocSource::Heap };
    if let Some(hit) = mm.plan().press(mm.sched(), &point) {
        mm.reclaim_for(Gfp::KERNEL, &point, &hit);
    }
}

/// An allocation that ends when this is dropped, also where its reclaim unwinds.
struct AllocEnd<'a>(&'a Mm);

impl Drop for AllocEnd<'_> {
    fn drop(&mut self) {
        let (outcome, left) = (AllocOutcome::Elsewhere, self.0.free());
        self.0.sched().emit(EventKind::AllocEnd { outcome, left });
    }
}
