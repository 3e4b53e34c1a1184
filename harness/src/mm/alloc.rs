//! One allocation, from the request to its pages.
//!
//! Key type: [`PageBlock`]. The order of steps is that of docs/kernel/allocation.md, "The order of
//! steps": the global mask, the task's scopes, the annotation ([`EventKind::AllocBegin`] reports it
//! for every request, on the fast path too), the injected failure, the fast path against the low
//! watermark, the slow path. Mirrors `__alloc_pages`.

use super::memory::{MemoryState, Mm};
use super::slow_path::{AllocRequest, flags};
use crate::event::{AllocOutcome, EventKind, Gfp, Site, TaskFlags};
use crate::inject::{AllocPoint, AllocSource, Bug, Failpoint, PressureHit};
use crate::sched::harness_side;
use crate::units::Pages;

/// The largest order that an allocation can have (MAX_PAGE_ORDER).
pub const MAX_ORDER: u32 = 10;

/// Allocated pages; dropping the block frees them.
#[must_use = "the pages are freed when this is dropped"]
pub struct PageBlock {
    mm: Mm,
    /// Free pages right after this allocation. No memory has more than `MAX_PAGES`.
    left: u32,
    order: u8,
    movable: bool,
    charged: bool,
}

// Page caches and buffer caches keep one block for each page.
const _: () = assert!(size_of::<PageBlock>() <= 16);

impl std::fmt::Debug for PageBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageBlock").field("pages", &self.pages()).finish_non_exhaustive()
    }
}

impl PageBlock {
    const fn pages(&self) -> Pages {
        Pages(1 << self.order)
    }

    /// Whether the pages lie in a movable zone, so that they must not be pinned.
    #[must_use]
    pub const fn is_movable(&self) -> bool {
        self.movable
    }

    pub(super) const fn is_charged(&self) -> bool {
        self.charged
    }
}

impl Drop for PageBlock {
    fn drop(&mut self) {
        let _side = harness_side();
        let MemoryState { free, reclaim_states, memcg, .. } = &*self.mm.0;
        *free.lock() += self.pages();
        if let (true, Some(memcg)) = (self.charged, memcg) {
            memcg.uncharge(self.pages());
        }
        if let Some(me) = self.mm.sched().try_current() {
            reclaim_states.page_freed(me, self.pages().0);
        }
    }
}

impl Mm {
    /// The effective mask of a request of the running task: `requested` within the world's allowed
    /// mask ([`Mm::allowed`]), then within the task's scopes, as the policy reads them.
    #[must_use]
    pub fn effective(&self, requested: Gfp) -> Gfp {
        self.in_scopes(self.allowed().constrained(requested))
    }

    fn in_scopes(&self, mask: Gfp) -> Gfp {
        let (policy, flags) = (&self.0.policy, flags());
        if self.plan().has(Bug::ScopeIgnored) {
            return mask;
        }
        if self.knobs().noio_clears_fs || !flags.contains(TaskFlags::MEMALLOC_NOIO) {
            return policy.effective(mask, flags);
        }
        // From 3.9 to 3.17 a NOIO scope left FS, and reclaim through it started I/O.
        policy.effective(mask, flags.without(TaskFlags::MEMALLOC_NOIO)) - Gfp::IO
    }

    /// Emits the begin of an allocation by the running task; returns the effective mask and the
    /// task's flags.
    pub(crate) fn emit_begin(&self, order: u32, requested: Gfp, site: Site) -> (Gfp, TaskFlags) {
        let (sched, flags) = (self.sched(), flags());
        let allowed = self.allowed().constrained(requested);
        let effective = self.in_scopes(allowed);
        if allowed != requested {
            sched.emit(EventKind::AllocConstrained { mask: allowed });
        }
        sched.emit(EventKind::AllocBegin { order, requested, effective, flags, site });
        (effective, flags)
    }

    /// Allocates `2^order` pages with `requested`, as the running task (`__alloc_pages`).
    ///
    /// Returns `None` if memory is short and the mask does not permit waiting for it, if the
    /// request may fail and reclaim made no progress, if the plan injects a failure, or if `order`
    /// is above [`MAX_ORDER`]. A NOFAIL request that may reclaim never gets `None`; another small
    /// request that may reclaim gets it only when the OOM killer finds no victim.
    #[track_caller]
    pub fn alloc(&self, order: u32, requested: Gfp) -> Option<PageBlock> {
        self.alloc_at(order, requested, Site::here())
    }

    /// As [`Mm::alloc`], for an allocation whose call is at `site`.
    pub(crate) fn alloc_at(&self, order: u32, requested: Gfp, site: Site) -> Option<PageBlock> {
        let _side = harness_side();
        let sched = self.sched();
        sched.point();
        let _added = self.plan().added_scope(site);
        let task = sched.current();
        self.emit_policy_masks(&AllocRequest {
            order,
            requested,
            mask: self.effective(requested),
            flags: flags(),
            task,
        });
        let (mask, flags) = self.emit_begin(order, requested, site);
        let request = AllocRequest { order, requested, mask, flags, task };
        let mut block = self.alloc_pages(&request, site);
        if let Some(memcg) = self.0.memcg.as_ref().filter(|_| requested.contains(Gfp::ACCOUNT)) {
            block = block.filter(|_| self.charge(memcg, &request));
            if let Some(block) = &mut block {
                block.charged = true;
            }
        }
        let outcome = if block.is_some() { AllocOutcome::Ok } else { AllocOutcome::Failed };
        let left = block.as_ref().map_or_else(|| self.free(), |block| Pages(block.left.into()));
        sched.emit(EventKind::AllocEnd { outcome, left });
        block
    }

    fn alloc_pages(&self, request: &AllocRequest, site: Site) -> Option<PageBlock> {
        let AllocRequest { order, mask, .. } = *request;
        let (sched, plan) = (self.sched(), self.plan());
        if order > MAX_ORDER {
            return None;
        }
        let may_fail = !mask.contains(Gfp::NOFAIL) || plan.has(Bug::NofailFails);
        if may_fail && plan.pass(sched, Failpoint::MmAlloc).is_err() {
            return None;
        }
        let point = AllocPoint { order, mask, flags: request.flags, site, of: AllocSource::Pages };
        let pressed = plan.press(sched, &point);
        if pressed.as_ref().is_some_and(PressureHit::wakes_kswapd) {
            self.force_kswapd();
            sched.point();
        }
        let pressed = pressed.filter(|pressed| !pressed.by_kswapd() && point.may_reclaim());
        if pressed.is_none() {
            // Below the low watermark the slow path wakes kswapd.
            let placed = if self.knobs().scope_on_fast_path { mask } else { request.requested };
            if let Some(mut block) = self.take(request, self.watermarks().low) {
                block.movable = placed.contains(Gfp::MOVABLE);
                return Some(block);
            }
        }
        self.slow_path(request, pressed.as_ref())
    }

    /// Takes pages if at least `watermark` pages stay free.
    pub(super) fn take(&self, request: &AllocRequest, watermark: Pages) -> Option<PageBlock> {
        let MemoryState { free, low_point, .. } = &*self.0;
        let pages = Pages(1 << request.order);
        let left = {
            let mut free = free.lock();
            if free.0 < watermark.0.saturating_add(pages.0) {
                return None;
            }
            *free = *free - pages;
            *free
        };
        low_point.fetch_min(left.0, std::sync::atomic::Ordering::AcqRel);
        let movable = request.mask.contains(Gfp::MOVABLE);
        let left = u32::try_from(left.0).expect("no memory has more than MAX_PAGES");
        let order = u8::try_from(request.order).expect("no order is above MAX_ORDER");
        Some(PageBlock { mm: self.clone(), left, order, movable, charged: false })
    }
}
