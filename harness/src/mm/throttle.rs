//! Throttling: which reclaimers sleep, and for how long, in virtual or real time.
//!
//! Key types: [`Throttle`], [`ThrottleReason`]. Kernel threads except kswapd never sleep here,
//! since other tasks may need their progress. A task that cleans pages of one device by dirtying
//! another (PF_LOCAL_THROTTLE) does not sleep for congestion. Mirrors `reclaim_throttle` and
//! `throttle_direct_reclaim` in `mm/vmscan.c`; written from docs/kernel/allocation.md,
//! "Throttling".
//!
//! Locking: no lock is held over a sleep.

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope as scope;

use super::kswapd::MAX_FAILURES;
use super::lru::{LruList, Lruvec};
use super::memory::Mm;
use super::page::PageIo;
use crate::era::ReclaimThrottle;
use crate::event::{Gfp, Resource, TaskFlags, TaskKind};
use crate::sched::{Condition, Promise, Sched, WaitQueue, Waiting};
use crate::units::{Pages, Ticks};

/// Ticks in a second.
const HZ: u64 = 1000;
/// Pages that must be written for each throttled task before the tasks go on.
const WRITTEN_PER_TASK: u64 = 32;
/// Masks with IO and FS may isolate one part in this many of what other masks may.
const FULL_MASK_SHARE: u64 = 8;

/// Why a reclaimer sleeps (`enum vmscan_throttle_state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ThrottleReason {
    /// Too many pages are isolated.
    Isolated,
    /// All pages that kswapd saw are under writeback.
    Writeback,
    /// The node is congested: reclaim sees the same pages under writeback again.
    Congested,
    /// Reclaim has freed nothing down to priority 1.
    NoProgress,
}

impl ThrottleReason {
    /// The longest time that it sleeps.
    pub(super) const fn timeout(self, era: ReclaimThrottle) -> Ticks {
        match (era, self) {
            (ReclaimThrottle::Congestion, _) | (_, Self::Writeback) => Ticks(HZ / 10),
            (ReclaimThrottle::ByCause, Self::Isolated) => Ticks(HZ / 50),
            (ReclaimThrottle::ByCause, Self::Congested | Self::NoProgress) => Ticks(1),
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::Isolated => "too many pages isolated",
            Self::Writeback => "reclaim throttled on writeback",
            Self::Congested => "reclaim throttled on congestion",
            Self::NoProgress => "reclaim throttled without progress",
        }
    }
}

/// The throttled tasks of a world.
pub(super) struct Throttle {
    writers: WaitQueue,
    throttled: AtomicU64,
    written: AtomicU64,
    /// What tasks wait for when the reserves are low: kswapd, which promises while it is awake.
    reserves: Condition,
}

impl Throttle {
    pub(super) fn new(sched: &Sched) -> Self {
        Self {
            writers: WaitQueue::new(sched),
            throttled: AtomicU64::new(0),
            written: AtomicU64::new(0),
            reserves: Condition::new(sched, "kswapd to refill the reserves"),
        }
    }
}

impl Mm {
    /// Sleeps `ticks` (`schedule_timeout_uninterruptible`).
    pub(super) fn sleep(&self, ticks: Ticks) {
        self.sleep_for(ticks, "timer");
    }

    fn sleep_for(&self, ticks: Ticks, why: &'static str) {
        let alone = WaitQueue::new(self.sched());
        let _never = alone.wait_timeout(Waiting::on(Resource::Timer, why), ticks, || false);
    }

    /// Whether the running task is a user task, which may be throttled.
    fn is_user_task(&self) -> bool {
        let sched = self.sched();
        matches!(sched.kind(sched.current()), Some(TaskKind::Task | TaskKind::UserServer))
    }

    /// Whether more pages of a list are isolated than this mask permits (`too_many_isolated`).
    /// Masks with IO and FS stop at an eighth of the inactive pages, so they cannot starve NOFS and
    /// NOIO reclaimers, which they may wait for.
    pub(super) fn too_many_isolated(lists: &Lruvec, list: LruList, mask: Gfp) -> bool {
        let left = lists.inactive(list);
        let room = if mask.contains(Gfp::IO | Gfp::FS) { left / FULL_MASK_SHARE } else { left };
        lists.isolated(list) > room
    }

    /// Puts the running task to sleep for `reason`, unless it must not sleep here.
    pub(super) fn throttle(&self, reason: ThrottleReason) {
        let local = scope::context::flags().contains(TaskFlags::LOCAL_THROTTLE);
        let skipped = match reason {
            ThrottleReason::Congested | ThrottleReason::NoProgress => {
                self.kswapd_gave_up()
                    || (local && reason == ThrottleReason::Congested)
                    || !self.mostly_written()
            }
            ThrottleReason::Isolated | ThrottleReason::Writeback => false,
        };
        // kswapd is the only kernel thread that sleeps here.
        let kswapd = scope::context::flags().contains(TaskFlags::KSWAPD);
        if skipped || !(kswapd || self.is_user_task()) {
            return;
        }
        let Throttle { writers, throttled, written, .. } = &self.0.throttle;
        let timeout = reason.timeout(self.knobs().throttle);
        if reason != ThrottleReason::Writeback {
            return self.sleep_for(timeout, reason.why());
        }
        let goal = throttled.fetch_add(1, Ordering::AcqRel) + 1;
        let start = written.load(Ordering::Acquire);
        let enough = || written.load(Ordering::Acquire) - start >= goal * WRITTEN_PER_TASK;
        let _enough =
            writers.wait_timeout(Waiting::on(Resource::Timer, reason.why()), timeout, enough);
        throttled.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether more than half of the pages on the lists are under writeback. Otherwise a sleep does
    /// not help reclaim.
    fn mostly_written(&self) -> bool {
        let pages = self.pages();
        let written = pages.iter().filter(|page| page.state().io == PageIo::Writeback).count();
        written * 2 > pages.len()
    }

    /// Reports that a page which reclaim wrote is stored, and wakes throttled tasks.
    pub fn page_written(&self) {
        self.0.throttle.written.fetch_add(1, Ordering::AcqRel);
        self.0.throttle.writers.wake_all();
    }

    /// Half of the min watermark is kept for tasks that free memory; user tasks wait here for
    /// kswapd. A task that may not enter a filesystem waits a second at most, since kswapd may need
    /// a lock that the task holds (`throttle_direct_reclaim`).
    pub(super) fn throttle_on_reserves(&self, mask: Gfp) {
        if !self.is_user_task() || self.reserves_are_fine() {
            return;
        }
        self.wake_kswapd();
        let reserves = &self.0.throttle.reserves;
        // kswapd may have given up and gone to sleep, and its failures may have been reset since.
        let fine = || {
            let fine = self.reserves_are_fine();
            if !fine {
                self.wake_kswapd();
            }
            fine
        };
        if mask.contains(Gfp::FS) {
            reserves.wait_until("pfmemalloc reserves", fine);
        } else {
            let _fine = reserves.wait_timeout("pfmemalloc reserves", Ticks(HZ), fine);
        }
    }

    fn reserves_are_fine(&self) -> bool {
        let Pages(min) = self.watermarks().min;
        !self.kswapd_runs() || self.kswapd_failures() >= MAX_FAILURES || self.free().0 > min / 2
    }

    /// Wakes tasks that wait for the reserves, after kswapd has made progress or given up.
    pub(super) fn wake_throttled(&self) {
        let reserves = &self.0.throttle.reserves;
        if !reserves.is_idle() {
            reserves.signal();
        }
    }

    /// kswapd is awake: tasks that wait for the reserves depend on it until it has signalled, or
    /// this is dropped.
    pub(super) fn promise_reserves(&self) -> Promise {
        self.0.throttle.reserves.promise()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reason: ThrottleReason, by_cause: u64, congestion: u64) {
        assert_eq!(reason.timeout(ReclaimThrottle::ByCause), Ticks(by_cause), "{reason:?}");
        assert_eq!(reason.timeout(ReclaimThrottle::Congestion), Ticks(congestion), "{reason:?}");
    }

    #[test]
    fn each_reason_has_its_own_timeout() {
        check(ThrottleReason::Isolated, 20, 100);
        check(ThrottleReason::Writeback, 100, 100);
        check(ThrottleReason::Congested, 1, 100);
        check(ThrottleReason::NoProgress, 1, 100);
    }
}
