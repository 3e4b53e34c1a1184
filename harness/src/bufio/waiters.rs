//! Tasks that wait until a buffer is free.
//!
//! Key type: [`Waiters`]. A task first says that it is about to wait ([`Waiters::begin`]), looks
//! once more for a free buffer, and then waits: so a buffer that is freed in between is not missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::shared::Shared;
use crate::era::BufioGeneration;
use crate::event::{Resource, Site, WaitId};
use crate::inject::Failpoint;
use crate::sched::{WaitQueue, Waiting};
use crate::units::Ticks;

/// Since 6.4 a wait for a free buffer ends by itself: holds are given back without the client lock.
const FREE_TIMEOUT: Ticks = Ticks(5000);

/// The tasks that wait for a free buffer of one client.
pub(super) struct Waiters {
    shared: Arc<Shared>,
    queue: WaitQueue,
    /// The condition "a buffer is free", as the judges know it.
    condition: WaitId,
    /// Tasks that wait, or are about to.
    waiting: AtomicU32,
    /// How often a buffer was announced as free.
    freed: AtomicU64,
}

/// A task is about to wait; the drop says that it does not wait any more.
#[must_use = "the task counts as waiting until this is dropped"]
pub(super) struct AboutToWait<'a> {
    waiters: &'a Waiters,
    seen: u64,
}

impl Waiters {
    pub(super) fn new(shared: &Arc<Shared>, device: &str) -> Self {
        let sched = &shared.sched;
        let condition =
            sched.names(|names| names.add_condition(format!("free buffer of bufio:{device}")));
        Self {
            shared: Arc::clone(shared),
            queue: WaitQueue::new(sched),
            condition,
            waiting: AtomicU32::new(0),
            freed: AtomicU64::new(0),
        }
    }

    /// A buffer may be free now: wakes the tasks that wait for one.
    pub(super) fn freed(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 && !self.shared.fires(Failpoint::BufioLostWake) {
            self.freed.fetch_add(1, Ordering::SeqCst);
            self.queue.wake_all();
        }
    }

    /// From now on a buffer that becomes free is announced to the running task.
    pub(super) fn begin(&self) -> AboutToWait<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        AboutToWait { waiters: self, seen: self.freed.load(Ordering::SeqCst) }
    }
}

impl AboutToWait<'_> {
    /// Waits for the next buffer that becomes free; since 6.4 for a limited time.
    pub(super) fn wait(&self, site: Site) {
        if self.waiters.shared.generation() == BufioGeneration::V6_4 {
            let (queue, waiting) = (&self.waiters.queue, self.waiting(site));
            queue.wait_timeout(waiting, FREE_TIMEOUT, || self.is_over());
        } else {
            self.wait_without_limit(site);
        }
    }

    /// The same without a limit, whatever the generation.
    pub(super) fn wait_without_limit(&self, site: Site) {
        let waited = self.waiters.queue.wait_until(self.waiting(site), || self.is_over());
        debug_assert!(waited.is_ok(), "a wait for a buffer is never broken");
    }

    const fn waiting(&self, site: Site) -> Waiting {
        let resource = Resource::Condition(self.waiters.condition);
        Waiting { resource, why: "free buffer", breakable: false, site }
    }

    fn is_over(&self) -> bool {
        self.waiters.freed.load(Ordering::SeqCst) != self.seen
    }
}

impl Drop for AboutToWait<'_> {
    fn drop(&mut self) {
        self.waiters.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
