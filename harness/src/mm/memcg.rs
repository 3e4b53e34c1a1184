//! A memory cgroup (memcg): one cgroup with a limit, its own lists of pages, and limit reclaim in
//! the charging task.
//!
//! Key types: [`Memcg`], [`MemcgSpec`]. Requests with `__GFP_ACCOUNT` are charged to it. Limit
//! reclaim runs with the request's own effective mask, so an accounted NOFS allocation enters NOFS
//! reclaim. A reclaimer bypasses the limit; NOFAIL and HIGH requests overshoot it. Unlike the
//! global OOM killer, that of the memcg may kill for a NOFS request. Mirrors `mm/memcontrol.c`;
//! written from docs/kernel/reclaim.md, "Memory cgroups".
//!
//! Locking: the usage is a leaf.

use super::lru::Lruvec;
use super::memory::Mm;
use super::reclaim::Scan;
use super::slow_path::{AllocRequest, MAX_RECLAIM_RETRIES, PAGE_ALLOC_COSTLY_ORDER};
use crate::error::{Error, Result};
use crate::event::{Gfp, ReclaimKind};
use crate::sched::SpinLock;
use crate::units::Pages;

/// A memcg, as data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct MemcgSpec {
    /// The most pages that can be charged to it; above 0.
    pub limit: Pages,
    /// Global reclaim leaves it alone up to this many charged pages, as long as it frees others
    /// (`memory.low`).
    #[serde(default)]
    pub low: Pages,
    /// Whether it is a cgroup of version 1, whose limit reclaim waits for writeback.
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
    pub(super) lists: Lruvec,
    charged: SpinLock<Pages>,
}

impl Memcg {
    pub(super) fn new(spec: MemcgSpec) -> Result<Self> {
        if spec.limit.0 == 0 || spec.low > spec.limit {
            let MemcgSpec { limit, low, .. } = spec;
            return Err(Error::input(format!("a memcg with limit {limit} and low {low} pages"))
                .advice("give it a limit above 0 and no less than low"));
        }
        Ok(Self { spec, lists: Lruvec::default(), charged: SpinLock::new(Pages(0)) })
    }

    pub(super) fn charged(&self) -> Pages {
        *self.charged.lock()
    }

    /// Whether `memory.low` protects it from global reclaim.
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
    /// Charges the pages of a request to the memcg (`try_charge`); returns whether that succeeded.
    pub(super) fn charge(&self, memcg: &Memcg, request: &AllocRequest) -> bool {
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
            let retries = request.order <= PAGE_ALLOC_COSTLY_ORDER && !mask.contains(Gfp::NORETRY);
            if retries && rounds_without_progress <= MAX_RECLAIM_RETRIES {
                self.sched().point();
                continue;
            }
            let may_kill = retries && !mask.contains(Gfp::RETRY_MAYFAIL);
            if may_kill && self.kill_victim() {
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
