//! kswapd: the background reclaimer, a task of the world.
//!
//! Key type: [`Kswapd`]. A request that fails at the low watermark wakes it. It reclaims with
//! GFP_KERNEL, whatever the mask of that request, until the high watermark is reached. After 16
//! runs without progress it gives up until a direct reclaimer makes progress. PF_MEMALLOC is set on
//! its task, and no other task's scope restricts it. Mirrors `kswapd` and `balance_pgdat` in
//! `mm/vmscan.c`; written from docs/kernel/allocation.md, "Watermarks" and "Throttling", and
//! docs/kernel/reclaim.md, "Direct reclaim and kswapd".
//!
//! Locking: its state is a leaf.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use reclaimdep_scope as scope;

use super::memory::{MemoryState, Mm};
use super::reclaim::{SWAP_CLUSTER_MAX, Scan};
use crate::event::{Gfp, QueueId, ReclaimKind, Resource, TaskFlags, TaskKind};
use crate::inject::Bug;
use crate::sched::{JoinHandle, Sched, SpinLock, WaitQueue, Waiting, harness_side};

/// Runs without progress after which it gives up (MAX_RECLAIM_RETRIES of a node).
pub(super) const MAX_FAILURES: u32 = 16;

pub(super) struct Kswapd {
    queue: QueueId,
    wake: WaitQueue,
    woken: AtomicBool,
    /// Make one whole run even if the watermarks are met.
    forced: AtomicBool,
    stopping: AtomicBool,
    failures: AtomicU32,
    running: AtomicBool,
    task: SpinLock<Option<JoinHandle<()>>>,
}

impl Kswapd {
    pub(super) fn new(sched: &Sched) -> Self {
        Self {
            queue: sched.add_queue("kswapd0"),
            wake: WaitQueue::new(sched),
            woken: AtomicBool::new(false),
            forced: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            running: AtomicBool::new(false),
            task: SpinLock::new(None),
        }
    }
}

impl Mm {
    /// Starts kswapd, unless it runs.
    pub fn start_kswapd(&self) {
        let _side = harness_side();
        let kswapd = &self.0.kswapd;
        if kswapd.running.swap(true, Ordering::AcqRel) {
            return;
        }
        kswapd.stopping.store(false, Ordering::Release);
        let memory = self.clone();
        // Other tasks may run during the spawn, so no lock is held over it.
        let task = self.sched().spawn("kswapd0", TaskKind::Server, move || memory.kswapd());
        *kswapd.task.lock() = Some(task);
    }

    /// Stops kswapd and waits until its task has ended. The task holds a reference to this memory.
    pub fn stop_kswapd(&self) {
        let _side = harness_side();
        let MemoryState { kswapd, .. } = &*self.0;
        kswapd.stopping.store(true, Ordering::Release);
        kswapd.wake.wake_all();
        let task = kswapd.task.lock().take();
        if let Some(task) = task {
            task.join();
        }
        kswapd.running.store(false, Ordering::Release);
        self.wake_throttled();
    }

    /// Whether kswapd runs.
    #[must_use]
    pub fn kswapd_runs(&self) -> bool {
        self.0.kswapd.running.load(Ordering::Acquire)
    }

    pub(super) fn kswapd_failures(&self) -> u32 {
        self.0.kswapd.failures.load(Ordering::Acquire)
    }

    pub(super) fn kswapd_gave_up(&self) -> bool {
        self.kswapd_failures() >= MAX_FAILURES
    }

    /// A direct reclaimer made progress: kswapd may try again.
    pub(super) fn reset_kswapd_failures(&self) {
        self.0.kswapd.failures.store(0, Ordering::Release);
    }

    /// Wakes kswapd unless memory is at the high watermark (`wakeup_kswapd`). Called for a request
    /// that failed at the low watermark.
    pub(super) fn wake_kswapd(&self) {
        if self.free() < self.watermarks().high && !self.kswapd_gave_up() {
            self.0.kswapd.woken.store(true, Ordering::Release);
            self.0.kswapd.wake.wake_all();
        }
    }

    /// Makes kswapd reclaim now, although memory is not short. Does nothing for an allocation of a
    /// reclaimer.
    pub(super) fn force_kswapd(&self) {
        if scope::context::flags().contains(TaskFlags::MEMALLOC) {
            return;
        }
        self.0.kswapd.forced.store(true, Ordering::Release);
        self.0.kswapd.wake.wake_all();
    }

    /// Whether a run that the plan asked for has not begun.
    #[cfg(test)]
    pub(super) fn kswapd_is_forced(&self) -> bool {
        self.0.kswapd.forced.load(Ordering::Acquire)
    }

    fn kswapd(&self) {
        let Kswapd { queue, wake, woken, forced, stopping, .. } = &self.0.kswapd;
        let _kswapd = scope::become_kswapd();
        loop {
            let ready = || {
                woken.load(Ordering::Acquire)
                    || forced.load(Ordering::Acquire)
                    || stopping.load(Ordering::Acquire)
            };
            let waited =
                wake.wait_until(Waiting::on(Resource::Idle(*queue), "memory to be short"), ready);
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            if stopping.load(Ordering::Acquire) {
                return;
            }
            woken.store(false, Ordering::Release);
            let whole = forced.swap(false, Ordering::AcqRel);
            // The wake-up may be older than the decision to give up.
            if whole || !self.kswapd_gave_up() {
                self.balance_pgdat(whole);
            }
        }
    }

    /// Reclaims until the high watermark is reached, or one whole run if `whole` is set.
    fn balance_pgdat(&self, whole: bool) {
        loop {
            let _promise = self.promise_reserves();
            let goal =
                if whole { u64::MAX } else { self.watermarks().high.0.max(SWAP_CLUSTER_MAX) };
            let borrowed = self.plan().has(Bug::KswapdBorrowsMask);
            let mask = if borrowed { Gfp::NOFS } else { Gfp::KERNEL };
            let scan = Scan { goal, mask, ..Scan::by_kswapd() };
            let freed = self.reclaim(&scan).freed;
            let failures = &self.0.kswapd.failures;
            if freed == 0 {
                failures.fetch_add(1, Ordering::AcqRel);
            } else {
                failures.store(0, Ordering::Release);
            }
            self.wake_throttled();
            let done = whole || self.free() >= self.watermarks().high || self.kswapd_gave_up();
            if done || self.0.kswapd.stopping.load(Ordering::Acquire) {
                break;
            }
            self.sched().point();
        }
        self.clear_node_flags();
    }
}

impl Scan<'static> {
    /// A reclaim by kswapd.
    pub(super) fn by_kswapd() -> Self {
        Self { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL, requested: Gfp::KERNEL, ..Self::EMPTY }
    }
}
