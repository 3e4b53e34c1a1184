//! The allocator's slow path, step by step.
//!
//! Key type: [`Request`]. The steps are numbered as in the project's description of the allocation
//! path, 3.3; per-CPU lists (the drain of S6) are not part of the model. Mirrors
//! `__alloc_pages_slowpath`.

use reclaimdep_scope as scope;

use super::alloc::PageBlock;
use super::compaction::Compacted;
use super::lru::{List, Lists};
use super::memory::Mm;
use super::oom;
use super::reclaim::Scan;
use super::watermarks::Reserves;
use crate::event::{EventKind, Gfp, TaskFlags, TaskId};
use crate::inject::{AllocPoint, Bug, PressureHit};
use crate::units::{Pages, Ticks};

/// Orders above this one are costly: reclaim does not promise them.
pub(super) const PAGE_ALLOC_COSTLY_ORDER: u32 = 3;
/// Rounds without progress after which an allocation gives up, and retries of compaction.
pub(super) const MAX_RECLAIM_RETRIES: u32 = 16;
const MAX_COMPACT_RETRIES: u32 = 16;

/// Rounds after which an allocation on OS threads counts as a hang.
const MAX_ROUNDS: u32 = 1 << 15;
/// Rounds without progress after which an allocation counts as a hang where nobody else can run and
/// no time passes.
const MAX_IDLE_ROUNDS: u32 = 1 << 12;

/// One allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) order: u32,
    /// What the caller wrote.
    pub(super) requested: Gfp,
    /// What it may do: after the scopes.
    pub(super) mask: Gfp,
    pub(super) flags: TaskFlags,
    pub(super) task: TaskId,
}

impl Request {
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

/// How often the loop went round without getting on.
#[derive(Default)]
struct Rounds {
    no_progress: u32,
    compactions: u32,
    /// All of them.
    all: u32,
    /// Those in a row in which nothing was freed and nobody else could run.
    idle: u32,
    solitude: Option<(usize, u64, Ticks)>,
    /// Whether the last one freed anything.
    freed: bool,
}

/// What a round ended with.
enum Round {
    Got(PageBlock),
    Again,
    Fail,
}

impl Mm {
    /// Everything after the fast path. `pressed` says that the plan wants this request to find
    /// memory short: it gets nothing before it reclaimed once.
    pub(super) fn slow_path(
        &self,
        request: &Request,
        pressed: Option<&PressureHit>,
    ) -> Option<PageBlock> {
        // S1
        self.wake_kswapd_for(request);
        if pressed.is_none()
            && let Some(block) = self.take(request, self.ordinary_mark(request))
        {
            return Some(block);
        }
        // S2
        let mut rounds = Rounds::default();
        let high_order = request.order > 0 && !request.mask.contains(Gfp::MOVABLE);
        let compacts = request.mask.allow_blocking() && !self.reserves(request).emergency();
        if compacts && (request.is_costly() || high_order) {
            let compacted = self.compact(request);
            let may_take = compacted == Compacted::Done && pressed.is_none();
            if let Some(block) = self.take_if(may_take, request) {
                return Some(block);
            }
            if request.is_costly()
                && request.mask.contains(Gfp::NORETRY)
                && compacted != Compacted::Done
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

    /// Whether the world is at its end: it unwinds, and this is the allocation of a drop; or it is
    /// not controlled, so that no step budget ends what goes round for ever; or it is, and nothing
    /// is left that could change anything.
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
            // Controlled, the task unwinds here, as it does where the step budget is spent.
            if !endless {
                sched.point();
            }
        }
        sched.is_aborted()
    }

    fn take_if(&self, condition: bool, request: &Request) -> Option<PageBlock> {
        condition.then(|| self.take(request, self.ordinary_mark(request))).flatten()
    }

    const fn must_not_fail(request: &Request) -> bool {
        request.mask.contains(Gfp::NOFAIL) && request.mask.allow_blocking()
    }

    fn wake_kswapd_for(&self, request: &Request) {
        if request.mask.contains(Gfp::KSWAPD_RECLAIM) {
            self.wake_kswapd();
        }
    }

    fn reserves(&self, request: &Request) -> Reserves {
        Reserves::of(request.mask, request.flags, self.is_oom_victim(request.task))
    }

    /// Whether a planted mistake opens all reserves to the request.
    fn opens_reserves(&self, request: &Request) -> bool {
        let plan = self.plan();
        plan.has(Bug::ReservesOpen)
            || plan.has(Bug::NofailTakesAll) && request.mask.contains(Gfp::NOFAIL)
    }

    /// The mark without emergency reserves.
    fn ordinary_mark(&self, request: &Request) -> Pages {
        let reserves = Reserves { no_watermarks: false, oom: false, ..self.reserves(request) };
        reserves.reduce(self.watermarks().min)
    }

    /// S3 to S14.
    fn round(
        &self,
        request: &Request,
        pressed: Option<&PressureHit>,
        rounds: &mut Rounds,
    ) -> Round {
        self.wake_kswapd_for(request);
        let reserves = self.reserves(request);
        if pressed.is_none() || reserves.emergency() {
            let mark = if self.opens_reserves(request) {
                Pages(0)
            } else {
                reserves.reduce(self.watermarks().min)
            };
            if let Some(block) = self.take(request, mark) {
                return Round::Got(block);
            }
        }
        // S4, and S5: the one guard against recursion.
        if !request.may_reclaim() {
            return Round::Fail;
        }
        // S6
        let progress = self.reclaim(&Scan::of(request).pressed(pressed)).freed > 0;
        rounds.freed = progress;
        if let Some(block) = self.take(request, self.ordinary_mark(request)) {
            return Round::Got(block);
        }
        // S7
        let compacted = if request.order > 0 { self.compact(request) } else { Compacted::Skipped };
        if let Some(block) = self.take_if(compacted == Compacted::Done, request) {
            return Round::Got(block);
        }
        // S8 and S9
        let stubborn = request.mask.contains(Gfp::RETRY_MAYFAIL);
        if request.mask.contains(Gfp::NORETRY) || (request.is_costly() && !stubborn) {
            return Round::Fail;
        }
        // S10 and S11
        if self.should_reclaim_again(request, progress, rounds)
            || (progress && Self::should_compact_again(request, compacted, rounds))
        {
            return Round::Again;
        }
        // S12
        let step = self.oom_step(request);
        if let oom::Step::Got(block) = step {
            return Round::Got(block);
        }
        // S13: the reserve of victims was tried at the beginning of the round.
        if self.is_oom_victim(request.task) && !Self::must_not_fail(request) {
            return Round::Fail;
        }
        // S14
        match step {
            oom::Step::Progress => {
                rounds.no_progress = 0;
                Round::Again
            }
            _ => Round::Fail,
        }
    }

    /// S10: whether there is a point in another round (`should_reclaim_retry`).
    fn should_reclaim_again(&self, request: &Request, progress: bool, rounds: &mut Rounds) -> bool {
        let got_on = progress && !request.is_costly();
        rounds.no_progress = if got_on { 0 } else { rounds.no_progress + 1 };
        if rounds.no_progress > MAX_RECLAIM_RETRIES {
            return false;
        }
        let possible = self.free().0 + self.reclaimable();
        if possible < self.ordinary_mark(request).0 + (1 << request.order) {
            return false;
        }
        if self.is_worker() {
            // Its pool should notice that it does not get on.
            self.sleep(Ticks(1));
        }
        true
    }

    /// Pages that reclaim could free at the most: what is on its lists, anonymous ones where there
    /// is swap.
    fn reclaimable(&self) -> u64 {
        let lists = &self.0.lists;
        let swappable = if self.swap_has_room() { &List::ALL[..] } else { &[List::File] };
        let of = |lists: &Lists| swappable.iter().map(|list| lists.size(*list)).sum::<u64>();
        of(lists) + self.0.memcg.as_ref().map_or(0, |memcg| of(&memcg.lists))
    }

    const fn should_compact_again(
        request: &Request,
        compacted: Compacted,
        rounds: &mut Rounds,
    ) -> bool {
        if request.order == 0 || matches!(compacted, Compacted::Skipped) {
            return false;
        }
        rounds.compactions += 1;
        rounds.compactions <= MAX_COMPACT_RETRIES
    }

    /// The fail path: a request that must not fail gets a last reserve, and otherwise goes on.
    fn fail(&self, request: &Request) -> Option<PageBlock> {
        if !Self::must_not_fail(request) {
            return None;
        }
        self.take(request, Reserves::LAST_RESORT.reduce(self.watermarks().min))
    }

    /// The running task has taken a lock of this class, and the plan may want reclaim here.
    pub(super) fn at_lock(&self, class: &str) {
        let flags = flags();
        // What reclaim itself locks is below the point, not at it.
        if flags.contains(TaskFlags::MEMALLOC) {
            return;
        }
        let Some(pressed) = self.plan().press_at_lock(self.sched(), class, flags) else {
            return;
        };
        if pressed.by_kswapd() {
            self.force_kswapd();
            return self.sched().point();
        }
        let (requested, mask) = (Gfp::KERNEL, self.effective(Gfp::KERNEL));
        let request = Request { order: 0, requested, mask, flags, task: self.sched().current() };
        self.reclaim(&Scan::of(&request).pressed(Some(&pressed)));
    }

    /// Reclaims as `hit` asks, for an allocation of `requested` that takes no page of this memory.
    /// The running task reclaims with the mask of `point`. Where the rule is about kswapd, kswapd
    /// is woken instead, except for a reclaimer: what kswapd itself allocates would wake it for
    /// ever.
    pub(crate) fn reclaim_for(&self, requested: Gfp, point: &AllocPoint, hit: &PressureHit) {
        let AllocPoint { order, mask, flags, .. } = *point;
        if !hit.by_kswapd() {
            let request = Request { order, requested, mask, flags, task: self.sched().current() };
            self.reclaim(&Scan::of(&request).pressed(Some(hit)));
        } else if !flags.contains(TaskFlags::MEMALLOC) {
            self.force_kswapd();
        }
    }

    /// Waits before an open-coded loop asks again (`memalloc_retry_wait`).
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
