//! Reclaim: the bracket around it, the priorities, the node.
//!
//! Key types: [`Scan`], [`Progress`]. Direct reclaim goes from priority 12 to 0 and stops at 32
//! pages; each step takes a share of every list of pages, then of every shrinker. Where nothing
//! came of it, it goes round again with forced deactivation, then ignoring `memory.low`. kswapd
//! stops at priority 1. Mirrors `__perform_reclaim`, `do_try_to_free_pages` and `shrink_node`;
//! written from the project's description of reclaim, 3.4 and 4.1.
//!
//! Order of the bracket: say that reclaim begins, set PF_MEMALLOC by a nested save, reclaim,
//! restore, say that it ended. A reclaimer is exempt from the annotation, so the annotation is the
//! outer one.

use std::sync::atomic::{AtomicBool, Ordering};

use reclaimdep_scope as scope;

use super::annotation::annotation;
use super::lru::{List, Lists};
use super::memory::{Inner, Mm};
use super::policy::{Holder, Reclaimer, Target};
use super::shrinker::{PortShrinker, ShrinkerWalk};
use super::slow_path::Request;
use super::throttle::Cause;
use crate::era::ShrinkerProgress;
use crate::event::{EventKind, Gfp, Levels, ReclaimKind, ScopeKind};
use crate::inject::{Bug, PressureHit};

/// Reclaim starts at this priority.
const DEF_PRIORITY: u32 = 12;
/// Direct reclaim stops when it freed this many.
pub(super) const SWAP_CLUSTER_MAX: u64 = 32;

/// What the node looks like to reclaim, for kswapd's next decisions.
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
    /// What the allocation wrote, before scopes.
    pub(super) requested: Gfp,
    /// What reclaim may do.
    pub(super) mask: Gfp,
    /// It stops when it freed this many.
    pub(super) goal: u64,
    pub(super) priority: u32,
    /// What the plan chose, if the plan asked for this reclaim.
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
    pub(super) fn of(request: &Request) -> Self {
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

/// What reclaim came to.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) freed: u64,
    /// Something was left out that another round would not.
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
        // The scope is applied once more: what runs between the request and here may have entered
        // one.
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
        self.0.reclaim_states.note(me, progress.freed);
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
            self.0.reclaim_states.came_to(self.sched().current(), priority);
            if sum.freed >= scan.goal {
                break;
            }
            if priority == 1 && sum.freed == 0 && !scan.is_kswapd() && self.has_pages() {
                self.throttle(Cause::NoProgress);
            }
        }
        sum
    }

    /// One step over every list and every shrinker (`shrink_node`).
    fn shrink_node(&self, scan: &Scan<'_>) -> Progress {
        let Inner { lists, memcg, .. } = &*self.0;
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

    fn shrink_lists(&self, lists: &Lists, scan: &Scan<'_>, left_out: &mut bool) -> u64 {
        let mut freed = 0;
        for list in List::ALL {
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
        let credited = || self.0.reclaim_states.pages(self.sched().current());
        let before = credited();
        let claimed = self.0.registry.shrink(&walk);
        match self.knobs().progress {
            ShrinkerProgress::Claimed => claimed,
            ShrinkerProgress::ReclaimState => credited() - before,
        }
    }

    /// The mask with which this reclaim may work on `target`; the policy decides.
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
                ReclaimKind::Kswapd => Reclaimer::Kswapd,
                ReclaimKind::Memcg => Reclaimer::Memcg,
                ReclaimKind::Direct | ReclaimKind::Compaction => Reclaimer::Direct,
            },
            ..Holder::new(scan.requested, scope::context::flags())
        };
        self.0.policy.mask_for(&holder, target, &self.0.topology.lock())
    }

    fn has_pages(&self) -> bool {
        List::ALL.iter().any(|list| self.0.lists.size(*list) > 0) || self.0.memcg.is_some()
    }

    pub(super) fn clear_node_flags(&self) {
        let NodeFlags { dirty_heavy, writeback_heavy, congested } = &self.0.node;
        for flag in [dirty_heavy, writeback_heavy, congested] {
            flag.store(false, Ordering::Release);
        }
    }
}

/// Reclaim that is told to have begun; dropping it tells the end, also while a world unwinds.
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

    /// What is taken, and given up, as things are now: by condition, but for kswapd.
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
