//! The OOM step of the slow path: which task is killed, and for which requests none is.
//!
//! Key types: [`Victim`], [`OomKiller`]. One task at a time takes this step; the others sleep a
//! tick and report progress. The last attempt to allocate asks for the high watermark. For a
//! request that may not enter a filesystem nothing is killed, and the step reports progress: the
//! request tries again and depends on kswapd. Mirrors `mm/oom_kill.c` and `__alloc_pages_may_oom`;
//! written from docs/kernel/allocation.md, "The OOM step".
//!
//! Locking: the lists are leaves; no lock is held over a victim's `kill` or a notifier.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::alloc::PageBlock;
use super::memory::Mm;
use super::slow_path::{AllocRequest, PAGE_ALLOC_COSTLY_ORDER};
use crate::event::{EventKind, Gfp, TaskId};
use crate::sched::{Side, SpinLock, harness_side};
use crate::units::{Pages, Ticks};

/// A task that the OOM killer may choose.
pub trait Victim: Send + Sync {
    /// The task that gets access to the reserves when it is chosen.
    fn task(&self) -> TaskId;

    /// How many pages killing it would free; the victim with the most is chosen.
    fn badness(&self) -> Pages;

    /// Kills it. It frees its memory itself, during this call or later.
    fn kill(&self);
}

type Notifier = dyn Fn() -> Pages + Send + Sync;

#[derive(Default)]
pub(super) struct OomKiller {
    running: AtomicBool,
    /// Each with the side whose code it is.
    candidates: SpinLock<Vec<(Side, Arc<dyn Victim>)>>,
    victims: SpinLock<Vec<TaskId>>,
    notifiers: SpinLock<Vec<Arc<Notifier>>>,
}

impl OomKiller {
    /// Drops every candidate and notifier.
    pub(super) fn forget(&self) {
        drop(std::mem::take(&mut *self.candidates.lock()));
        drop(std::mem::take(&mut *self.notifiers.lock()));
    }

    pub(super) fn is_victim(&self, task: TaskId) -> bool {
        self.victims.lock().contains(&task)
    }
}

/// The OOM lock, held.
struct OomLockGuard<'a>(&'a AtomicBool);

impl Drop for OomLockGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The result of the step.
pub(super) enum OomStep {
    /// The attempt at the high watermark, or that of a NOFAIL request without watermarks, got
    /// pages.
    Got(PageBlock),
    /// A task was killed or memory was freed, here or by another task: try again.
    Progress,
    /// Nothing was done.
    Nothing,
}

impl Mm {
    /// Offers a task to the OOM killer.
    pub fn add_victim(&self, victim: Arc<dyn Victim>) {
        let side = Side::now();
        let _side = harness_side();
        self.0.oom.candidates.lock().push((side, victim));
    }

    /// Calls `notifier` before a task is killed; it returns how many pages it freed.
    pub fn on_oom(&self, notifier: impl Fn() -> Pages + Send + Sync + 'static) {
        let side = Side::now();
        let _side = harness_side();
        self.0.oom.notifiers.lock().push(Arc::new(move || side.call(&notifier)));
    }

    pub(super) fn oom_step(&self, request: &AllocRequest) -> OomStep {
        let oom = &self.0.oom;
        if oom.running.swap(true, Ordering::AcqRel) {
            self.sleep(Ticks(1));
            return OomStep::Progress;
        }
        let _running = OomLockGuard(&oom.running);
        self.oom_locked(request)
    }

    fn oom_locked(&self, request: &AllocRequest) -> OomStep {
        if let Some(block) = self.take(request, self.watermarks().high) {
            return OomStep::Got(block);
        }
        let AllocRequest { order, mask, .. } = *request;
        let spared = order > PAGE_ALLOC_COSTLY_ORDER
            || mask.contains(Gfp::RETRY_MAYFAIL)
            || mask.contains(Gfp::THISNODE);
        if spared {
            return OomStep::Nothing;
        }
        self.sched().emit(EventKind::OutOfMemory);
        let done = self.out_of_memory(request);
        let nofail = mask.contains(Gfp::NOFAIL);
        if !done && !nofail {
            return OomStep::Nothing;
        }
        match nofail.then(|| self.take(request, Pages(0))).flatten() {
            Some(block) => OomStep::Got(block),
            None => OomStep::Progress,
        }
    }

    fn out_of_memory(&self, request: &AllocRequest) -> bool {
        let notifiers = self.0.oom.notifiers.lock().clone();
        if notifiers.iter().fold(0, |freed: u64, notifier| freed.saturating_add(notifier().0)) > 0 {
            return true;
        }
        if !request.mask.contains(Gfp::FS) {
            return true;
        }
        self.kill_victim()
    }

    /// Chooses a victim and kills it; returns whether there was one.
    pub(super) fn kill_victim(&self) -> bool {
        let oom = &self.0.oom;
        let candidates = oom.candidates.lock().clone();
        let worst = candidates.iter().filter(|(_, victim)| !oom.is_victim(victim.task()));
        // Of several equally large victims the first.
        let chosen = worst.rev().max_by_key(|(side, victim)| side.call(|| victim.badness()));
        self.sched().emit(EventKind::OomKill { victim: chosen.map(|(_, victim)| victim.task()) });
        let Some((side, victim)) = chosen else {
            return false;
        };
        oom.victims.lock().push(victim.task());
        side.call(|| victim.kill());
        true
    }
}
