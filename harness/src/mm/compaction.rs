//! Direct compaction: moving pages together for a request of more than one.
//!
//! Key type: [`Compacted`]. The model's memory is not fragmented, so that compaction succeeds where
//! enough is free; what it keeps of the real thing is what can recurse: it calls filesystems'
//! release hooks with the request's mask, inside a bracket of PF_MEMALLOC. Mirrors
//! `__alloc_pages_direct_compact`; written from the project's description, 3.3 (S2, S7, S11), 3.4
//! and 4.2.

use std::sync::atomic::Ordering;

use reclaimdep_scope::{self as scope, legacy};

use super::memory::Mm;
use super::slow_path::Request;
use crate::event::{EventKind, Gfp, ReclaimKind, ScopeKind, TaskFlags};

/// After a failure the next attempts are deferred, each time twice as many, at the most this many.
const MAX_DEFERRED: u32 = 64;

/// What compaction came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compacted {
    /// It may not, or there is too little to move.
    Skipped,
    /// It failed lately.
    Deferred,
    /// It moved what it could.
    Done,
}

impl Mm {
    /// Compacts for `request`, with its mask.
    pub(super) fn compact(&self, request: &Request) -> Compacted {
        let enough = self.free().0 >= self.watermarks().min.0 + (2 << request.order);
        if !request.mask.contains(Gfp::IO) || !enough {
            self.0.compaction_failed.fetch_max(1, Ordering::AcqRel);
            return Compacted::Skipped;
        }
        let considered = self.0.compaction_considered.fetch_add(1, Ordering::AcqRel);
        if !considered.is_multiple_of(self.0.compaction_failed.load(Ordering::Acquire).max(1)) {
            return Compacted::Deferred;
        }
        let kind = ReclaimKind::Compaction;
        self.sched().emit(EventKind::ReclaimEnter { kind, mask: request.mask });
        let moved = self.in_compaction(|| self.move_pages(request.mask));
        self.sched().emit(EventKind::ReclaimExit { freed: 0, priority: 0 });
        if moved {
            self.0.compaction_failed.store(0, Ordering::Release);
        } else {
            let failed = self.0.compaction_failed.load(Ordering::Acquire).max(1);
            self.0.compaction_failed.store((failed * 2).min(MAX_DEFERRED), Ordering::Release);
        }
        Compacted::Done
    }

    /// Compaction is as exempt from reclaim as reclaim is, and says so by a nested save. Until 2017
    /// it cleared the flag when it was done, whoever had set it.
    fn in_compaction<R>(&self, move_pages: impl FnOnce() -> R) -> R {
        if self.knobs().compaction_nests {
            let _reclaimer = scope::noreclaim();
            return move_pages();
        }
        let (kind, style) = (ScopeKind::Noreclaim, legacy::Style::Previous);
        let was_reclaimer = scope::context::flags().contains(TaskFlags::MEMALLOC);
        let token = legacy::save(kind, style);
        let moved = move_pages();
        legacy::restore(token);
        if was_reclaimer {
            legacy::restore(legacy::Token::zero(kind, style));
        }
        moved
    }

    /// Compacts all memory on the running task, as writing to `/proc/sys/vm/compact_memory` does.
    pub fn compact_memory(&self) {
        let (requested, flags) = (Gfp::KERNEL, scope::context::flags());
        let (mask, task) = (self.effective(requested), self.sched().current());
        self.compact(&Request { order: 0, requested, mask, flags, task });
    }

    /// Asks every owner to let go of what it keeps with its pages; says whether all did.
    fn move_pages(&self, mask: Gfp) -> bool {
        let mut all = true;
        for page in self.pages() {
            let state = page.state();
            if !state.private || state.pinned {
                continue;
            }
            let Some(_locked) = page.try_lock() else {
                continue;
            };
            let released = page.release(mask);
            page.update(|state| state.private &= !released);
            all &= released;
        }
        all
    }
}
