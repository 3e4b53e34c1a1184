//! Throttling: who sleeps in reclaim, for how long, in virtual or real time.
//!
//! Key types: [`Throttle`], [`Cause`]. Kernel threads but kswapd never sleep here: they may be
//! needed for progress. A task that cleans pages of one device by dirtying another
//! (PF_LOCAL_THROTTLE) does not sleep for congestion. Mirrors `reclaim_throttle` and
//! `throttle_direct_reclaim` in `mm/vmscan.c`; written from the project's description of the
//! allocation path, 3.7.
//!
//! Locking: none held over a sleep.

use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope as scope;

use super::kswapd::MAX_FAILURES;
use super::lru::{List, Lists};
use super::memory::Mm;
use super::page::Io;
use crate::era::ReclaimThrottle;
use crate::event::{Gfp, Resource, TaskFlags, TaskKind, WaitId};
use crate::sched::{Sched, WaitQueue, Waiting};
use crate::units::{Pages, Ticks};

/// Ticks in a second.
const HZ: u64 = 1000;
/// Pages written for each throttled task before they go on.
const WRITTEN_PER_TASK: u64 = 32;
/// Masks with IO and FS get this part of the room that others have.
const FULL_MASK_SHARE: u64 = 8;

/// Why a reclaimer sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// More pages are off the lists than on them.
    Isolated,
    /// What there is is under writeback.
    Writeback,
    /// The node is congested: what reclaim meets is under writeback for the second time.
    Congested,
    /// Nothing was freed, almost to the end.
    NoProgress,
}

impl Cause {
    /// The longest that it sleeps.
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

/// Who is throttled.
pub(super) struct Throttle {
    writers: WaitQueue,
    throttled: AtomicU64,
    written: AtomicU64,
    /// Those that wait for kswapd because the reserves run out, and what that wait is called.
    pfmemalloc: WaitQueue,
    reserves: WaitId,
}

impl Throttle {
    pub(super) fn new(sched: &Sched) -> Self {
        Self {
            writers: WaitQueue::new(sched),
            throttled: AtomicU64::new(0),
            written: AtomicU64::new(0),
            pfmemalloc: WaitQueue::new(sched),
            reserves: sched.names(|names| names.add_condition("kswapd to refill the reserves")),
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

    /// Whether the running task may be put to sleep to slow it down.
    fn is_user_task(&self) -> bool {
        let sched = self.sched();
        sched.kind(sched.current()) == Some(TaskKind::Task)
    }

    /// Whether a list has more pages isolated than it has left, as far as this mask counts them
    /// (`too_many_isolated`). Ordinary masks stop at an eighth, so NOFS and NOIO callers are never
    /// starved by reclaimers that wait for them.
    pub(super) fn too_many_isolated(lists: &Lists, list: List, mask: Gfp) -> bool {
        let left = lists.inactive(list);
        let room = if mask.contains(Gfp::IO | Gfp::FS) { left / FULL_MASK_SHARE } else { left };
        lists.isolated(list) > room
    }

    /// Puts the running task to sleep for `cause`, unless it must not be.
    pub(super) fn throttle(&self, cause: Cause) {
        let local = scope::context::flags().contains(TaskFlags::LOCAL_THROTTLE);
        let skipped = match cause {
            Cause::Congested | Cause::NoProgress => {
                self.kswapd_gave_up()
                    || (local && cause == Cause::Congested)
                    || !self.mostly_written()
            }
            Cause::Isolated | Cause::Writeback => false,
        };
        // kswapd is the one kernel thread that sleeps here: once, for all.
        let kswapd = scope::context::flags().contains(TaskFlags::KSWAPD);
        if skipped || !(kswapd || self.is_user_task()) {
            return;
        }
        let Throttle { writers, throttled, written, .. } = &self.0.throttle;
        let timeout = cause.timeout(self.knobs().throttle);
        if cause != Cause::Writeback {
            return self.sleep_for(timeout, cause.why());
        }
        let goal = throttled.fetch_add(1, Ordering::AcqRel) + 1;
        let start = written.load(Ordering::Acquire);
        let enough = || written.load(Ordering::Acquire) - start >= goal * WRITTEN_PER_TASK;
        let _enough =
            writers.wait_timeout(Waiting::on(Resource::Timer, cause.why()), timeout, enough);
        throttled.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether more than half of what reclaim could free is being written: only then is there
    /// something to wait for.
    fn mostly_written(&self) -> bool {
        let pages = self.pages();
        let written = pages.iter().filter(|page| page.state().io == Io::Writeback).count();
        written * 2 > pages.len()
    }

    /// A page that reclaim wrote is stored: throttled tasks may have waited for it.
    pub fn page_written(&self) {
        self.0.throttle.written.fetch_add(1, Ordering::AcqRel);
        self.0.throttle.writers.wake_all();
    }

    /// Half of the min watermark is left for those that free memory: others wait for kswapd. A task that
    /// may not enter a filesystem waits a second at the most, since kswapd may need a lock that it
    /// holds (`throttle_direct_reclaim`).
    pub(super) fn throttle_on_reserves(&self, mask: Gfp) {
        if !self.is_user_task() || self.reserves_are_fine() {
            return;
        }
        self.wake_kswapd();
        let Throttle { pfmemalloc: queue, reserves, .. } = &self.0.throttle;
        let waiting = Waiting::on(Resource::Condition(*reserves), "pfmemalloc reserves");
        // Somebody may have let kswapd try again after it gave up and went to sleep.
        let fine = || {
            let fine = self.reserves_are_fine();
            if !fine {
                self.wake_kswapd();
            }
            fine
        };
        if mask.contains(Gfp::FS) {
            let ended = queue.wait_until(waiting, fine);
            debug_assert!(ended.is_ok(), "a wait for kswapd is never broken");
        } else {
            let _fine = queue.wait_timeout(waiting, Ticks(HZ), fine);
        }
    }

    fn reserves_are_fine(&self) -> bool {
        let Pages(min) = self.watermarks().min;
        !self.kswapd_runs() || self.kswapd_failures() >= MAX_FAILURES || self.free().0 > min / 2
    }

    /// kswapd got on, or gave up: whoever waited for the reserves looks again.
    pub(super) fn wake_throttled(&self) {
        self.0.throttle.pfmemalloc.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cause: Cause, by_cause: u64, congestion: u64) {
        assert_eq!(cause.timeout(ReclaimThrottle::ByCause), Ticks(by_cause), "{cause:?}");
        assert_eq!(cause.timeout(ReclaimThrottle::Congestion), Ticks(congestion), "{cause:?}");
    }

    #[test]
    fn each_cause_sleeps_as_long_as_the_description_says() {
        check(Cause::Isolated, 20, 100);
        check(Cause::Writeback, 100, 100);
        check(Cause::Congested, 1, 100);
        check(Cause::NoProgress, 1, 100);
    }
}
