//! The page budget and the allocator's path through it.
//!
//! Key types: [`Mm`], [`PageBlock`], [`Marks`]. Steps and their order are those of the project's
//! description, 3.1, 3.3 (S1, S3-S6, S8 and the no-progress counter of S10; no compaction, OOM or
//! kswapd) and 3.4.

use std::sync::Arc;

use reclaimdep_scope as scope;

use super::shrinker::{Registration, Registry, Shrinker};
use crate::event::{AllocOutcome, EventKind, Gfp, ReclaimKind, Site};
use crate::inject::Plan;
use crate::sched::{Sched, SpinLock};
use crate::units::Pages;

/// Direct reclaim starts at this priority and goes down to 0.
const DEF_PRIORITY: u32 = 12;
/// Direct reclaim stops when it freed this many objects.
const SWAP_CLUSTER_MAX: u64 = 32;
/// Rounds without progress after which an allocation gives up (S10).
const MAX_RECLAIM_RETRIES: u32 = 16;

/// The budget's marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// The slow path may go down to here.
    pub min: Pages,
    /// The fast path may go down to here.
    pub low: Pages,
    /// kswapd would stop here.
    pub high: Pages,
}

impl Marks {
    /// Marks for `total` pages in the kernel's proportions: low = min + min/4, high = low + min/4.
    #[must_use]
    pub fn for_total(total: Pages) -> Self {
        let min = (total.0 / 64).max(1);
        let step = (min / 4).max(1);
        Self { min: Pages(min), low: Pages(min + step), high: Pages(min + 2 * step) }
    }
}

struct Inner {
    sched: Sched,
    plan: Plan,
    marks: Marks,
    free: SpinLock<Pages>,
    registry: Arc<Registry>,
}

/// A world's memory. Cheap to clone.
#[derive(Clone)]
pub struct Mm(Arc<Inner>);

/// Pages that were allocated; dropping them frees them.
#[must_use = "the pages are freed when this is dropped"]
pub struct PageBlock {
    mm: Mm,
    pages: Pages,
}

impl Drop for PageBlock {
    fn drop(&mut self) {
        *self.mm.0.free.lock() += self.pages;
    }
}

impl Mm {
    /// Memory of `total` pages; `plan` says which allocations find it short.
    #[must_use]
    pub fn new(sched: &Sched, total: Pages, plan: Plan) -> Self {
        Self(Arc::new(Inner {
            sched: sched.clone(),
            plan,
            marks: Marks::for_total(total),
            free: SpinLock::new(total),
            registry: Arc::default(),
        }))
    }

    /// Pages that are free now.
    #[must_use]
    pub fn free(&self) -> Pages {
        *self.0.free.lock()
    }

    /// The marks.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.0.marks
    }

    /// Registers a shrinker.
    pub fn register_shrinker(&self, shrinker: Arc<dyn Shrinker>) -> Registration {
        self.0.registry.register(&self.0.sched, shrinker)
    }

    /// Allocates `2^order` pages with `requested`, as the running task (`__alloc_pages`).
    ///
    /// `None` where the mask does not let the allocation wait for memory, or where reclaim made no
    /// progress. A NOFAIL request that may reclaim, of a task that is not a
    /// reclaimer itself, never gets `None`.
    #[track_caller]
    pub fn alloc(&self, order: u32, requested: Gfp) -> Option<PageBlock> {
        let Inner { sched, plan, .. } = &*self.0;
        sched.point();
        let effective = scope::effective(requested);
        let site = Site::here();
        sched.emit(EventKind::AllocBegin { order, requested, effective, site });
        let short = plan.memory_is_short(sched, effective);
        let fast = if short { None } else { self.take(order, self.0.marks.low) };
        let block = fast.or_else(|| self.slow_path(order, effective, short));
        let outcome = if block.is_some() { AllocOutcome::Ok } else { AllocOutcome::Failed };
        sched.emit(EventKind::AllocEnd { outcome });
        block
    }

    /// Takes pages if that leaves more than `mark` free.
    fn take(&self, order: u32, mark: Pages) -> Option<PageBlock> {
        let pages = Pages(1 << order);
        let mut free = self.0.free.lock();
        if free.0 < mark.0 + pages.0 {
            return None;
        }
        *free = *free - pages;
        Some(PageBlock { mm: self.clone(), pages })
    }

    /// The mark that this request may go down to (3.2).
    fn reduced_min(&self, mask: Gfp) -> Pages {
        let min = self.0.marks.min.0;
        let high = mask.contains(Gfp::HIGH);
        Pages(match (high, mask.allow_blocking()) {
            (true, true) => min / 2,
            (true, false) => min * 3 / 8,
            (false, _) => min,
        })
    }

    /// Whether the task or the mask may take every last page.
    fn no_watermarks(mask: Gfp) -> bool {
        let reclaimer = scope::context::flags().contains(scope::TaskFlags::MEMALLOC);
        (reclaimer || mask.contains(Gfp::MEMALLOC)) && !mask.contains(Gfp::NOMEMALLOC)
    }

    fn slow_path(&self, order: u32, mask: Gfp, short: bool) -> Option<PageBlock> {
        let mark = self.reduced_min(mask);
        // S1: between the low and the min mark there is memory without reclaim, unless the plan says not.
        if !short && let Some(block) = self.take(order, mark) {
            return Some(block);
        }
        let mut rounds_without_progress = 0;
        loop {
            if Self::no_watermarks(mask)
                && let Some(block) = self.take(order, Pages(0))
            {
                return Some(block);
            }
            if !mask.allow_blocking() {
                return self.take(order, mark);
            }
            if scope::context::flags().contains(scope::TaskFlags::MEMALLOC) {
                return None;
            }
            let freed = self.direct_reclaim(mask);
            if let Some(block) = self.take(order, mark) {
                return Some(block);
            }
            rounds_without_progress = if freed > 0 { 0 } else { rounds_without_progress + 1 };
            let give_up = mask.contains(Gfp::NORETRY) || rounds_without_progress > MAX_RECLAIM_RETRIES;
            if give_up && !mask.contains(Gfp::NOFAIL) {
                return None;
            }
            self.0.sched.point();
        }
    }

    /// The task frees memory itself. The flag is set inside the bracket and by a nested save, so an
    /// outer PF_MEMALLOC survives (3.4).
    fn direct_reclaim(&self, mask: Gfp) -> u64 {
        let Inner { sched, registry, .. } = &*self.0;
        let mask = scope::effective(mask);
        sched.emit(EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask });
        let mut freed = 0;
        {
            let _reclaimer = scope::noreclaim();
            for priority in (0..=DEF_PRIORITY).rev() {
                freed += registry.shrink(sched, mask, priority);
                if freed >= SWAP_CLUSTER_MAX {
                    break;
                }
            }
        }
        sched.emit(EventKind::ReclaimExit { freed });
        freed
    }
}
