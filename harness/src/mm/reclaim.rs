//! Reclaim: the bracket around it, the priorities, the node.
//!
//! Key types: [`Scan`], [`Progress`]. Direct reclaim goes from priority 12 to 0 and stops when it
//! has freed 32 pages. At each priority it takes a share of every list of pages, then of every
//! shrinker. If it freed nothing, it starts again with forced deactivation, then also without
//! `memory.low`. kswapd stops at priority 1. Mirrors `__perform_reclaim`, `do_try_to_free_pages`
//! and `shrink_node`; written from docs/kernel/allocation.md, "The bracket around direct reclaim",
//! and docs/kernel/reclaim.md, "Direct reclaim and kswapd".
//!
//! Order of the bracket: acquire the annotation, set PF_MEMALLOC, reclaim, restore PF_MEMALLOC,
//! release the annotation. A task with PF_MEMALLOC is exempt from the annotation, so the annotation
//! must be the outer one.

use std::sync::atomic::{AtomicBool, Ordering};

use reclaimdep_scope as scope;

use super::annotation::annotation;
use super::lru::{LruList, Lruvec};
use super::memory::{MemoryState, Mm};
use super::policy::{Holder, ReclaimerKind, Target};
use super::shrinker::{PortShrinker, ShrinkerWalk};
use super::slow_path::AllocRequest;
use super::throttle::ThrottleReason;
use crate::era::ShrinkerProgress;
use crate::event::{EventKind, Gfp, Levels, ReclaimKind, ScopeKind};
use crate::inject::{Bug, PressureHit};

/// Reclaim starts at this priority.
const DEF_PRIORITY: u32 = 12;
/// Direct reclaim stops when it has freed this many pages.
pub(super) const SWAP_CLUSTER_MAX: u64 = 32;

/// The state of the node as reclaim found it, for kswapd's next decisions.
#[derive(Default)]
pub(super) struct NodeFlags {
    pub(super) dirty_heavy: AtomicBool,
    pub(super) writeback_heavy: AtomicBool,
    pub(super) congested: AtomicBool,
}

/// One reclaim (`struct scan_control`).
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    pub(super) kind: ReclaimKind,
    /// The mask of the request, before scopes.
    pub(super) requested: Gfp,
    /// What reclaim may do.
    pub(super) mask: Gfp,
    /// It stops when it has freed this many pages.
    pub(super) goal: u64,
    pub(super) priority: u32,
    /// The plan's rule, if the plan asked for this reclaim.
    pub(super) pressed: Option<&'a PressureHit>,
    pub(super) force_deactivate: bool,
    pub(super) ignore_low: bool,
}

impl Scan<'static> {
    pub(super) const EMPTY: Self = Self {
        kind: ReclaimKind::Direct,
        requested: Gfp::EMPTY,
        mask: Gfp::EMPTY,
        goal: SWAP_CLUSTER_MAX,
        priority: DEF_PRIORITY,
        pressed: None,
        force_deactivate: false,
        ignore_low: false,
    };
}

impl<'a> Scan<'a> {
    /// Direct reclaim for a request.
    pub(super) fn of(request: &AllocRequest) -> Self {
        Self { requested: request.requested, mask: request.mask, ..Scan::EMPTY }
    }

    pub(super) const fn pressed(self, pressed: Option<&'a PressureHit>) -> Self {
        Self { pressed, ..self }
    }

    pub(super) fn is_kswapd(&self) -> bool {
        self.kind == ReclaimKind::Kswapd
    }

    fn in_memcg(&self) -> bool {
        self.kind == ReclaimKind::Memcg
    }
}

/// The result of a reclaim.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) freed: u64,
    /// What this round did not reclaim from and another one can.
    left_out: LeftOut,
}

#[derive(Clone, Copy, Default)]
struct LeftOut {
    deactivation: bool,
    protected: bool,
}

impl Mm {
    /// The running task reclaims (`__perform_reclaim`, `balance_pgdat`,
    /// `try_to_free_mem_cgroup_pages`).
    pub(super) fn reclaim(&self, scan: &Scan<'_>) -> Progress {
        let me = self.sched().current();
        // The scopes are applied once more: code between the request and here may have entered one.
        let mask = if scan.is_kswapd() { scan.mask } else { self.effective(scan.mask) };
        let scan = Scan { mask, ..*scan };
        let bracket = scope::Bracket::open();
        let mut annotated = Annotated::begin(self, &scan);
        let reclaimer = scope::noreclaim();
        if scan.kind == ReclaimKind::Direct {
            self.throttle_on_reserves(mask);
        }
        let mut progress = self.rounds(&scan);
        if progress.freed > 0 && !scan.is_kswapd() {
            self.reset_kswapd_failures();
        }
        if self.knobs().progress == ShrinkerProgress::Claimed {
            progress.freed = progress.freed.max(self.0.reclaim_states.pages(me));
        }
        self.0.reclaim_states.set_freed(me, progress.freed);
        if self.plan().has(Bug::AnnotationInside) {
            annotated.release();
        }
        drop(reclaimer);
        drop(annotated);
        bracket.close();
        progress
    }

    fn rounds(&self, scan: &Scan<'_>) -> Progress {
        let mut progress = self.priorities(scan);
        if scan.is_kswapd() || progress.freed > 0 {
            return progress;
        }
        if progress.left_out.deactivation {
            progress = self.priorities(&Scan { force_deactivate: true, ..*scan });
        }
        if progress.freed == 0 && progress.left_out.protected {
            progress = self.priorities(&Scan { force_deactivate: true, ignore_low: true, ..*scan });
        }
        progress
    }

    fn priorities(&self, scan: &Scan<'_>) -> Progress {
        let last = if scan.is_kswapd() { 1 } else { 0 };
        let mut sum = Progress::default();
        for priority in (last..=DEF_PRIORITY).rev() {
            let step = self.shrink_node(&Scan { priority, ..*scan });
            sum.freed = sum.freed.saturating_add(step.freed);
            sum.left_out.deactivation |= step.left_out.deactivation;
            sum.left_out.protected |= step.left_out.protected;
            self.0.reclaim_states.set_priority(self.sched().current(), priority);
            if sum.freed >= scan.goal {
                break;
            }
            if priority == 1 && sum.freed == 0 && !scan.is_kswapd() && self.has_pages() {
                self.throttle(ThrottleReason::NoProgress);
            }
        }
        sum
    }

    /// One step over every list and every shrinker (`shrink_node`).
    fn shrink_node(&self, scan: &Scan<'_>) -> Progress {
        let MemoryState { lists, memcg, .. } = &*self.0;
        let mut progress = Progress::default();
        if !scan.in_memcg() {
            progress.freed += self.shrink_lists(lists, scan, &mut progress.left_out.deactivation);
            progress.freed = progress.freed.saturating_add(self.shrink_slab(scan, false));
        }
        if let Some(memcg) = memcg {
            if !scan.in_memcg() && !scan.ignore_low && memcg.is_protected() {
                progress.left_out.protected = true;
                return progress;
            }
            progress.freed +=
                self.shrink_lists(&memcg.lists, scan, &mut progress.left_out.deactivation);
            progress.freed = progress.freed.saturating_add(self.shrink_slab(scan, true));
        }
        progress
    }

    fn shrink_lists(&self, lists: &Lruvec, scan: &Scan<'_>, left_out: &mut bool) -> u64 {
        let mut freed = 0;
        for list in LruList::ALL {
            let mut left = lists.size(list) >> scan.priority;
            while left > 0 && freed < scan.goal {
                let chunk = usize::try_from(left.min(SWAP_CLUSTER_MAX)).expect("32 at the most");
                lists.deactivate(list, chunk, scan.force_deactivate);
                let Some(step) = self.shrink_inactive(lists, list, chunk, scan) else {
                    break;
                };
                freed += step;
                left -= chunk as u64;
            }
            *left_out |= lists.size(list) > lists.inactive(list);
        }
        freed
    }

    fn shrink_slab(&self, scan: &Scan<'_>, in_memcg: bool) -> u64 {
        let only = scan.pressed.and_then(|pressed| pressed.shrinkers());
        let mask = |shrinker: &dyn PortShrinker| match shrinker.target() {
            Some(target) => self.mask_for(scan, &target),
            None => scan.mask,
        };
        let walk = ShrinkerWalk {
            mask: &mask,
            priority: scan.priority,
            in_memcg,
            only,
            plan: self.plan(),
        };
        let reclaimed_pages = || self.0.reclaim_states.pages(self.sched().current());
        let before = reclaimed_pages();
        let claimed = self.0.registry.shrink(&walk);
        match self.knobs().progress {
            ShrinkerProgress::Claimed => claimed,
            ShrinkerProgress::ReclaimState => reclaimed_pages() - before,
        }
    }

    /// The mask with which this reclaim may work on `target`, by the policy.
    pub(super) fn mask_for(&self, scan: &Scan<'_>, target: &Target) -> Gfp {
        if !self.asks_policy() {
            return scan.mask;
        }
        let contexts: Vec<_> = scope::context::reclaim_contexts().collect();
        let plain_nofs = scope::context::scopes().any(|scope| scope.kind == ScopeKind::Nofs);
        let holder = Holder {
            contexts: &contexts,
            plain_nofs,
            kind: match scan.kind {
                ReclaimKind::Kswapd => ReclaimerKind::Kswapd,
                ReclaimKind::Memcg => ReclaimerKind::Memcg,
                ReclaimKind::Direct | ReclaimKind::Compaction => ReclaimerKind::Direct,
            },
            ..Holder::new(scan.requested, scope::context::flags())
        };
        self.0.policy.mask_for(&holder, target, &self.0.topology.lock())
    }

    fn has_pages(&self) -> bool {
        LruList::ALL.iter().any(|list| self.0.lists.size(*list) > 0) || self.0.memcg.is_some()
    }

    pub(super) fn clear_node_flags(&self) {
        let NodeFlags { dirty_heavy, writeback_heavy, congested } = &self.0.node;
        for flag in [dirty_heavy, writeback_heavy, congested] {
            flag.store(false, Ordering::Release);
        }
    }
}

/// A reclaim whose begin was reported; dropping it reports the end, also while a world unwinds.
struct Annotated<'a> {
    mm: &'a Mm,
    kind: ReclaimKind,
    mask: Gfp,
    released: bool,
}

impl<'a> Annotated<'a> {
    fn begin(mm: &'a Mm, scan: &Scan<'_>) -> Self {
        let Scan { kind, mask, .. } = *scan;
        mm.0.reclaim_states.open(mm.sched().current());
        mm.sched().emit(EventKind::ReclaimEnter { kind, mask });
        let this = Self { mm, kind, mask, released: false };
        if this.is_annotated() {
            mm.sched().emit(EventKind::ReclaimAcquire { levels: this.levels() });
        }
        this
    }

    /// Limit reclaim takes no pseudo-lock.
    fn is_annotated(&self) -> bool {
        self.kind != ReclaimKind::Memcg
    }

    /// The pseudo-locks that are acquired or released now. kswapd takes all; for other reclaimers
    /// they depend on the mask and the flags of this moment.
    fn levels(&self) -> Levels {
        if self.kind == ReclaimKind::Kswapd {
            return Levels::ALL;
        }
        annotation(
            self.mm.effective(self.mask),
            scope::context::flags(),
            self.mm.knobs().annotation_by_task,
        )
    }

    fn release(&mut self) {
        if self.is_annotated() && !self.released {
            self.released = true;
            self.mm.sched().emit(EventKind::ReclaimRelease { levels: self.levels() });
        }
    }
}

impl Drop for Annotated<'_> {
    fn drop(&mut self) {
        self.release();
        let (freed, priority) = self.mm.0.reclaim_states.close(self.mm.sched().current());
        self.mm.sched().emit(EventKind::ReclaimExit { freed, priority });
    }
}
