//! Direct compaction: moving pages together for a request of more than one page.
//!
//! Key type: [`CompactResult`]. Memory in the model is not fragmented, so compaction succeeds if
//! enough pages are free. The part that can recurse is modelled: compaction calls the release hooks
//! of filesystems with the request's mask while PF_MEMALLOC is set. Mirrors
//! `__alloc_pages_direct_compact`; written from docs/kernel/allocation.md, "The slow path" (steps
//! 2, 7 and 11) and "The bracket around direct reclaim", and docs/kernel/reclaim.md, "The decision
//! for each page".

use std::sync::atomic::Ordering;

use reclaimdep_scope::{self as scope, legacy};

use super::memory::Mm;
use super::slow_path::AllocRequest;
use crate::event::{EventKind, Gfp, ReclaimKind, ScopeKind, TaskFlags};

/// After each failure twice as many attempts are deferred, at most this many.
const MAX_DEFERRED: u32 = 64;

/// The result of one attempt (`enum compact_result`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CompactResult {
    /// The mask lacks IO, or too few pages are free to move others.
    Skipped,
    /// An earlier attempt failed, so this one was deferred.
    Deferred,
    /// It ran.
    Done,
}

impl Mm {
    /// Compacts for `request`, with its mask.
    pub(super) fn compact(&self, request: &AllocRequest) -> CompactResult {
        let enough = self.free().0 >= self.watermarks().min.0 + (2 << request.order);
        if !request.mask.contains(Gfp::IO) || !enough {
            self.0.compaction_failed.fetch_max(1, Ordering::AcqRel);
            return CompactResult::Skipped;
        }
        let considered = self.0.compaction_considered.fetch_add(1, Ordering::AcqRel);
        if !considered.is_multiple_of(self.0.compaction_failed.load(Ordering::Acquire).max(1)) {
            return CompactResult::Deferred;
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
        CompactResult::Done
    }

    /// An allocation below compaction must not reclaim, so compaction sets PF_MEMALLOC and restores
    /// its previous value. Until 2017 it cleared the flag at its end even if a caller had set it.
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
        self.compact(&AllocRequest { order: 0, requested, mask, flags, task });
    }

    /// Calls the release hook of every page that has private data; returns whether all released it.
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
