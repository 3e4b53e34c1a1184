//! The OOM step: whom to kill, and when not to.
//!
//! Key types: [`Victim`], [`Oom`]. One task at a time comes here; the others sleep a tick and claim
//! progress. The last try asks for the high watermark. A request that may not enter a filesystem kills
//! nobody and is told that things were handled: it goes round again and hopes for kswapd. Mirrors
//! `mm/oom_kill.c` and `__alloc_pages_may_oom`; written from the project's description of the
//! allocation path, 3.5.
//!
//! Locking: the lists are leaves; no lock is held over a victim's `kill` or a notifier.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::alloc::PageBlock;
use super::memory::Mm;
use super::slow_path::{PAGE_ALLOC_COSTLY_ORDER, Request};
use crate::event::{EventKind, Gfp, TaskId};
use crate::sched::{Side, SpinLock, quiet};
use crate::units::{Pages, Ticks};

/// Whom the OOM killer may choose.
pub trait Victim: Send + Sync {
    /// The task that gets access to the reserves when it is chosen.
    fn task(&self) -> TaskId;

    /// How much killing it would bring: the one with the most is chosen.
    fn badness(&self) -> Pages;

    /// Kills it. It frees its memory on its own, later or now.
    fn kill(&self);
}

type Notifier = dyn Fn() -> Pages + Send + Sync;

#[derive(Default)]
pub(super) struct Oom {
    running: AtomicBool,
    /// Each with whose code it is.
    candidates: SpinLock<Vec<(Side, Arc<dyn Victim>)>>,
    victims: SpinLock<Vec<TaskId>>,
    notifiers: SpinLock<Vec<Arc<Notifier>>>,
}

impl Oom {
    /// Gives up every candidate and notifier.
    pub(super) fn forget(&self) {
        drop(std::mem::take(&mut *self.candidates.lock()));
        drop(std::mem::take(&mut *self.notifiers.lock()));
    }

    pub(super) fn is_victim(&self, task: TaskId) -> bool {
        self.victims.lock().contains(&task)
    }
}

/// The OOM lock, held.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What the step came to.
pub(super) enum Step {
    /// The last try at the high watermark, or the one of a NOFAIL request, got pages.
    Got(PageBlock),
    /// Something was done, or somebody else does it: try again.
    Progress,
    /// Nothing was done.
    Nothing,
}

impl Mm {
    /// Offers a task to the OOM killer.
    pub fn add_victim(&self, victim: Arc<dyn Victim>) {
        let side = Side::now();
        let _ours = quiet();
        self.0.oom.candidates.lock().push((side, victim));
    }

    /// Calls `notifier` before anybody is killed; it says how much it freed.
    pub fn on_oom(&self, notifier: impl Fn() -> Pages + Send + Sync + 'static) {
        let side = Side::now();
        let _ours = quiet();
        self.0.oom.notifiers.lock().push(Arc::new(move || side.call(&notifier)));
    }

    pub(super) fn oom_step(&self, request: &Request) -> Step {
        let oom = &self.0.oom;
        if oom.running.swap(true, Ordering::AcqRel) {
            self.sleep(Ticks(1));
            return Step::Progress;
        }
        let _running = Running(&oom.running);
        self.oom_locked(request)
    }

    fn oom_locked(&self, request: &Request) -> Step {
        if let Some(block) = self.take(request, self.watermarks().high) {
            return Step::Got(block);
        }
        let Request { order, mask, .. } = *request;
        let spared = order > PAGE_ALLOC_COSTLY_ORDER
            || mask.contains(Gfp::RETRY_MAYFAIL)
            || mask.contains(Gfp::THISNODE);
        if spared {
            return Step::Nothing;
        }
        self.sched().emit(EventKind::OutOfMemory);
        let done = self.out_of_memory(request);
        let must = mask.contains(Gfp::NOFAIL);
        if !done && !must {
            return Step::Nothing;
        }
        match must.then(|| self.take(request, Pages(0))).flatten() {
            Some(block) => Step::Got(block),
            None => Step::Progress,
        }
    }

    fn out_of_memory(&self, request: &Request) -> bool {
        let notifiers = self.0.oom.notifiers.lock().clone();
        if notifiers.iter().fold(0, |freed: u64, notifier| freed.saturating_add(notifier().0)) > 0 {
            return true;
        }
        if !request.mask.contains(Gfp::FS) {
            return true;
        }
        self.kill_somebody()
    }

    /// Chooses and kills; says whether there was anybody.
    pub(super) fn kill_somebody(&self) -> bool {
        let oom = &self.0.oom;
        let candidates = oom.candidates.lock().clone();
        let worst = candidates.iter().filter(|(_, victim)| !oom.is_victim(victim.task()));
        // The first of several that are equally bad.
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
