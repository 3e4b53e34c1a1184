//! A memory cgroup (memcg): one,  with a limit, its own lists of pages, and limit reclaim in the
//! charging task.
//!
//! Key types: [`Memcg`], [`MemcgSpec`]. Requests with `__GFP_ACCOUNT` are charged to it. Limit
//! reclaim runs with the request's own effective mask, so an accounted NOFS allocation enters NOFS
//! reclaim; a reclaimer bypasses the limit, NOFAIL and HIGH overshoot it; and, unlike the global
//! killer, the memcg's may kill for a NOFS request. Mirrors `mm/memcontrol.c`; written from the
//! project's description of reclaim, 4.3 (last paragraph).
//!
//! Locking: the usage is a leaf.

use super::lru::Lists;
use super::memory::Mm;
use super::reclaim::Scan;
use super::slow_path::{MAX_RECLAIM_RETRIES, PAGE_ALLOC_COSTLY_ORDER, Request};
use crate::error::{Error, Result};
use crate::event::{Gfp, ReclaimKind};
use crate::sched::SpinLock;
use crate::units::Pages;

/// What memcg to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemcgSpec {
    /// Pages that it may be charged for.
    pub limit: Pages,
    /// Pages that global reclaim leaves it as long as others have any (`memory.low`).
    #[serde(default)]
    pub low: Pages,
    /// It is a cgroup of version 1, whose limit reclaim waits for writeback.
    #[serde(default)]
    pub legacy: bool,
}

impl MemcgSpec {
    /// A memcg of version 2 that may be charged for `limit` pages, none of them protected.
    #[must_use]
    pub const fn new(limit: Pages) -> Self {
        Self { limit, low: Pages(0), legacy: false }
    }

    /// Pages that global reclaim leaves it as long as others have any (`memory.low`).
    #[must_use]
    pub const fn low(mut self, low: Pages) -> Self {
        self.low = low;
        self
    }

    /// Makes it a cgroup of version 1, whose limit reclaim waits for writeback.
    #[must_use]
    pub const fn legacy(mut self) -> Self {
        self.legacy = true;
        self
    }
}

/// The world's memcg.
pub(super) struct Memcg {
    pub(super) spec: MemcgSpec,
    pub(super) lists: Lists,
    charged: SpinLock<Pages>,
}

impl Memcg {
    pub(super) fn new(spec: MemcgSpec) -> Result<Self> {
        if spec.limit.0 == 0 || spec.low > spec.limit {
            let MemcgSpec { limit, low, .. } = spec;
            return Err(Error::input(format!("a memcg with limit {limit} and low {low} pages"))
                .advice("give it a limit above 0 and no less than low"));
        }
        Ok(Self { spec, lists: Lists::default(), charged: SpinLock::new(Pages(0)) })
    }

    pub(super) fn charged(&self) -> Pages {
        *self.charged.lock()
    }

    /// Whether global reclaim should leave it alone.
    pub(super) fn is_protected(&self) -> bool {
        let charged = self.charged();
        charged.0 > 0 && charged <= self.spec.low
    }

    fn charge_within_limit(&self, pages: Pages) -> bool {
        let mut charged = self.charged.lock();
        let fits = charged.0 + pages.0 <= self.spec.limit.0;
        if fits {
            *charged += pages;
        }
        fits
    }

    fn overshoot(&self, pages: Pages) {
        *self.charged.lock() += pages;
    }

    pub(super) fn uncharge(&self, pages: Pages) {
        let mut charged = self.charged.lock();
        *charged = *charged - pages;
    }
}

impl Mm {
    /// Charges the pages of a request to the memcg (`try_charge`); says whether it may have them.
    pub(super) fn charge(&self, memcg: &Memcg, request: &Request) -> bool {
        let (pages, mask) = (Pages(1 << request.order), request.mask);
        let mut rounds_without_progress = 0;
        loop {
            if memcg.charge_within_limit(pages) {
                return true;
            }
            if request.is_reclaimer() {
                memcg.overshoot(pages);
                return true;
            }
            let may_fail = !mask.contains(Gfp::NOFAIL) && !mask.contains(Gfp::HIGH);
            if !mask.allow_blocking() {
                return Self::overshoot_or_fail(memcg, pages, may_fail);
            }
            let scan = Scan { kind: ReclaimKind::Memcg, mask, ..Scan::of(request) };
            let progress = self.reclaim(&scan).freed > 0;
            if memcg.charge_within_limit(pages) {
                return true;
            }
            rounds_without_progress = if progress { 0 } else { rounds_without_progress + 1 };
            let stubborn = request.order <= PAGE_ALLOC_COSTLY_ORDER && !mask.contains(Gfp::NORETRY);
            if stubborn && rounds_without_progress <= MAX_RECLAIM_RETRIES {
                self.sched().point();
                continue;
            }
            let may_kill = stubborn && !mask.contains(Gfp::RETRY_MAYFAIL);
            if may_kill && self.kill_somebody() {
                rounds_without_progress = 0;
                self.sched().point();
                continue;
            }
            return Self::overshoot_or_fail(memcg, pages, may_fail);
        }
    }

    fn overshoot_or_fail(memcg: &Memcg, pages: Pages, may_fail: bool) -> bool {
        if !may_fail {
            memcg.overshoot(pages);
        }
        !may_fail
    }
}
