//! The allocator's slow path, step by step.
//!
//! Key type: [`AllocRequest`]. The steps are those of docs/kernel/allocation.md, "The slow path";
//! per-CPU lists, which step 6 drains there, are not part of the model. Mirrors
//! `__alloc_pages_slowpath`.

use reclaimdep_scope as scope;

use super::alloc::PageBlock;
use super::compaction::CompactResult;
use super::lru::{LruList, Lruvec};
use super::memory::Mm;
use super::oom::OomStep;
use super::reclaim::Scan;
use super::watermarks::Reserves;
use crate::event::{EventKind, Gfp, TaskFlags, TaskId};
use crate::inject::{AllocPoint, Bug, PressureHit};
use crate::units::{Pages, Ticks};

/// Orders above this one are costly: their requests may fail although they may reclaim.
pub(super) const PAGE_ALLOC_COSTLY_ORDER: u32 = 3;
/// Rounds without progress after which reclaim is not tried again.
pub(super) const MAX_RECLAIM_RETRIES: u32 = 16;
/// Rounds after which compaction is not tried again.
const MAX_COMPACT_RETRIES: u32 = 16;

/// Rounds after which an allocation on OS threads counts as a hang.
const MAX_ROUNDS: u32 = 1 << 15;
/// Rounds without progress after which an allocation counts as a hang if no other task can run and
/// no time passes.
const MAX_IDLE_ROUNDS: u32 = 1 << 12;

/// One request for pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllocRequest {
    pub(super) order: u32,
    /// The mask that the caller wrote.
    pub(super) requested: Gfp,
    /// The effective mask, after the scopes.
    pub(super) mask: Gfp,
    pub(super) flags: TaskFlags,
    pub(super) task: TaskId,
}

impl AllocRequest {
    pub(super) const fn is_reclaimer(&self) -> bool {
        self.flags.contains(TaskFlags::MEMALLOC)
    }

    pub(super) const fn may_reclaim(&self) -> bool {
        self.mask.allow_blocking() && !self.is_reclaimer()
    }

    const fn is_costly(&self) -> bool {
        self.order > PAGE_ALLOC_COSTLY_ORDER
    }
}

/// Counts of the rounds of one request.
#[derive(Default)]
struct Rounds {
    no_progress: u32,
    compactions: u32,
    /// All rounds.
    all: u32,
    /// Consecutive rounds in which nothing was freed and no other task could run.
    idle: u32,
    solitude: Option<(usize, u64, Ticks)>,
    /// Whether the last round freed a page.
    freed: bool,
}

/// The result of one round.
enum Round {
    Got(PageBlock),
    Again,
    Fail,
}

impl Mm {
    /// Everything after the fast path. With `pressed` the plan makes memory short for this request:
    /// it gets no page before it has reclaimed once.
    pub(super) fn slow_path(
        &self,
        request: &AllocRequest,
        pressed: Option<&PressureHit>,
    ) -> Option<PageBlock> {
        // Step 1: wake kswapd, then try the min watermark.
        self.wake_kswapd_for(request);
        if pressed.is_none()
            && let Some(block) = self.take(request, self.ordinary_watermark(request))
        {
            return Some(block);
        }
        // Step 2: compact first, if the order asks for it.
        let mut rounds = Rounds::default();
        let high_order = request.order > 0 && !request.mask.contains(Gfp::MOVABLE);
        let compacts = request.mask.allow_blocking() && !self.reserves(request).emergency();
        if compacts && (request.is_costly() || high_order) {
            let compacted = self.compact(request);
            let may_take = compacted == CompactResult::Done && pressed.is_none();
            if let Some(block) = self.take_if(may_take, request) {
                return Some(block);
            }
            if request.is_costly()
                && request.mask.contains(Gfp::NORETRY)
                && compacted != CompactResult::Done
                && !Self::must_not_fail(request)
            {
                return None;
            }
        }
        let mut pressed = pressed;
        loop {
            match self.round(request, pressed.take(), &mut rounds) {
                Round::Got(block) => return Some(block),
                Round::Again => {}
                Round::Fail => {
                    let last = self.fail(request);
                    if last.is_some() || !Self::must_not_fail(request) {
                        return last;
                    }
                }
            }
            self.sched().point();
            if self.gives_up(&mut rounds) {
                return None;
            }
        }
    }

    /// Whether the request must end because the world ends. A world that unwinds still allocates in
    /// drops. An uncontrolled world has no step budget that ends an endless loop, so its rounds are
    /// counted here. A controlled world ends here if no other task can run and no time passes.
    fn gives_up(&self, rounds: &mut Rounds) -> bool {
        let sched = self.sched();
        rounds.all += 1;
        let solitude = sched.solitude();
        let alone = solitude.is_some() && solitude == rounds.solitude && !rounds.freed;
        rounds.idle = if alone { rounds.idle + 1 } else { 0 };
        rounds.solitude = solitude;
        let endless = rounds.all > MAX_ROUNDS && !sched.is_controlled();
        if (endless || rounds.idle > MAX_IDLE_ROUNDS) && !sched.is_aborted() {
            sched.emit(EventKind::Stall { step_budget: true });
            sched.abort();
            // A controlled task unwinds here, as it does when the step budget is spent.
            if !endless {
                sched.point();
            }
        }
        sched.is_aborted()
    }

    fn take_if(&self, condition: bool, request: &AllocRequest) -> Option<PageBlock> {
        condition.then(|| self.take(request, self.ordinary_watermark(request))).flatten()
    }

    const fn must_not_fail(request: &AllocRequest) -> bool {
        request.mask.contains(Gfp::NOFAIL) && request.mask.allow_blocking()
    }

    fn wake_kswapd_for(&self, request: &AllocRequest) {
        if request.mask.contains(Gfp::KSWAPD_RECLAIM) {
            self.wake_kswapd();
        }
    }

    fn reserves(&self, request: &AllocRequest) -> Reserves {
        Reserves::of(request.mask, request.flags, self.is_oom_victim(request.task))
    }

    /// Whether a planted mistake opens all reserves to the request.
    fn opens_reserves(&self, request: &AllocRequest) -> bool {
        let plan = self.plan();
        plan.has(Bug::ReservesOpen)
            || plan.has(Bug::NofailTakesAll) && request.mask.contains(Gfp::NOFAIL)
    }

    /// The watermark without emergency reserves.
    fn ordinary_watermark(&self, request: &AllocRequest) -> Pages {
        let reserves = Reserves { no_watermarks: false, oom: false, ..self.reserves(request) };
        reserves.reduce(self.watermarks().min)
    }

    /// Steps 3 to 14: one round of reclaim, compaction and the OOM step.
    fn round(
        &self,
        request: &AllocRequest,
        pressed: Option<&PressureHit>,
        rounds: &mut Rounds,
    ) -> Round {
        self.wake_kswapd_for(request);
        let reserves = self.reserves(request);
        if pressed.is_none() || reserves.emergency() {
            let watermark = if self.opens_reserves(request) {
                Pages(0)
            } else {
                reserves.reduce(self.watermarks().min)
            };
            if let Some(block) = self.take(request, watermark) {
                return Round::Got(block);
            }
        }
        // Step 4: without permission to wait the request fails. Step 5: so does a reclaimer; this
        // is the only guard against recursion.
        if !request.may_reclaim() {
            return Round::Fail;
        }
        // Step 6: direct reclaim.
        let progress = self.reclaim(&Scan::of(request).pressed(pressed)).freed > 0;
        rounds.freed = progress;
        if let Some(block) = self.take(request, self.ordinary_watermark(request)) {
            return Round::Got(block);
        }
        // Step 7: direct compaction.
        let compacted =
            if request.order > 0 { self.compact(request) } else { CompactResult::Skipped };
        if let Some(block) = self.take_if(compacted == CompactResult::Done, request) {
            return Round::Got(block);
        }
        // Step 8: NORETRY fails now. Step 9: so does a costly order, unless it may retry.
        let retries = request.mask.contains(Gfp::RETRY_MAYFAIL);
        if request.mask.contains(Gfp::NORETRY) || (request.is_costly() && !retries) {
            return Round::Fail;
        }
        // Steps 10 and 11: try reclaim or compaction again.
        if self.should_reclaim_again(request, progress, rounds)
            || (progress && Self::should_compact_again(request, compacted, rounds))
        {
            return Round::Again;
        }
        // Step 12: the OOM killer.
        let step = self.oom_step(request);
        if let OomStep::Got(block) = step {
            return Round::Got(block);
        }
        // Step 13: an OOM victim fails; this round has tried the victims' reserve in step 3.
        if self.is_oom_victim(request.task) && !Self::must_not_fail(request) {
            return Round::Fail;
        }
        // Step 14: after progress of the OOM step, the next round.
        match step {
            OomStep::Progress => {
                rounds.no_progress = 0;
                Round::Again
            }
            _ => Round::Fail,
        }
    }

    /// Step 10: whether another round of reclaim can succeed (`should_reclaim_retry`).
    fn should_reclaim_again(
        &self,
        request: &AllocRequest,
        progress: bool,
        rounds: &mut Rounds,
    ) -> bool {
        let progress = progress && !request.is_costly();
        rounds.no_progress = if progress { 0 } else { rounds.no_progress + 1 };
        if rounds.no_progress > MAX_RECLAIM_RETRIES {
            return false;
        }
        let possible = self.free().0 + self.reclaimable();
        if possible < self.ordinary_watermark(request).0 + (1 << request.order) {
            return false;
        }
        if self.is_worker() {
            // The sleep lets the worker pool notice that this worker makes no progress.
            self.sleep(Ticks(1));
        }
        true
    }

    /// How many pages reclaim could free at most: file pages on its lists, and anonymous pages if a
    /// swap area has a free slot.
    fn reclaimable(&self) -> u64 {
        let lists = &self.0.lists;
        let swappable = if self.swap_has_room() { &LruList::ALL[..] } else { &[LruList::File] };
        let of = |lists: &Lruvec| swappable.iter().map(|list| lists.size(*list)).sum::<u64>();
        of(lists) + self.0.memcg.as_ref().map_or(0, |memcg| of(&memcg.lists))
    }

    const fn should_compact_again(
        request: &AllocRequest,
        compacted: CompactResult,
        rounds: &mut Rounds,
    ) -> bool {
        if request.order == 0 || matches!(compacted, CompactResult::Skipped) {
            return false;
        }
        rounds.compactions += 1;
        rounds.compactions <= MAX_COMPACT_RETRIES
    }

    /// The fail path: a request that must not fail gets the last reserve, or goes on.
    fn fail(&self, request: &AllocRequest) -> Option<PageBlock> {
        if !Self::must_not_fail(request) {
            return None;
        }
        self.take(request, Reserves::LAST_RESORT.reduce(self.watermarks().min))
    }

    /// Called when the running task has taken a lock of this class: a rule of the plan may make it
    /// reclaim here.
    pub(super) fn at_lock(&self, class: &str) {
        let flags = flags();
        // The rule is about locks of the code under test, not about locks that reclaim takes.
        if flags.contains(TaskFlags::MEMALLOC) {
            return;
        }
        let Some(pressed) = self.plan().press_at_lock(self.sched(), class, flags) else {
            return;
        };
        if pressed.wakes_kswapd() {
            self.force_kswapd();
            self.sched().point();
        }
        if pressed.by_kswapd() {
            return;
        }
        let (requested, mask) = (Gfp::KERNEL, self.effective(Gfp::KERNEL));
        let request =
            AllocRequest { order: 0, requested, mask, flags, task: self.sched().current() };
        self.reclaim(&Scan::of(&request).pressed(Some(&pressed)));
    }

    /// Reclaims as `hit` asks, for an allocation of `requested` that takes no page of this memory.
    /// The running task reclaims with the mask of `point`. Where the rule is about kswapd, kswapd
    /// is woken instead, or as well, except for a reclaimer: what kswapd itself allocates would
    /// wake it for ever.
    pub(crate) fn reclaim_for(&self, requested: Gfp, point: &AllocPoint, hit: &PressureHit) {
        let AllocPoint { order, mask, flags, .. } = *point;
        if hit.wakes_kswapd() {
            self.force_kswapd();
        }
        if !hit.by_kswapd() && point.may_reclaim() {
            let request =
                AllocRequest { order, requested, mask, flags, task: self.sched().current() };
            self.reclaim(&Scan::of(&request).pressed(Some(hit)));
        }
    }

    /// Sleeps before an open-coded loop retries its allocation (`memalloc_retry_wait`).
    pub fn retry_wait(&self, mask: Gfp) {
        let mask = self.effective(mask);
        let patient = mask.allow_blocking() && !mask.contains(Gfp::NORETRY);
        self.sleep(if patient { Ticks(1) } else { Ticks(20) });
    }
}

/// The flag word of the running task.
pub(super) fn flags() -> TaskFlags {
    scope::context::flags()
}
