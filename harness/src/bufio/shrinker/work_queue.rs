//! S5: the shrinker that leaves the work to a queue (70704c33db84, 5.9).
//!
//! The scan adds to what is owed, queues the cleaner and returns as if it had freed it; the count
//! subtracts what is owed, so that reclaim does not ask for it twice. The cleaner runs in a context
//! of its own, with full permission, and waits for its writes with the client lock held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::super::client::{Client, Inner};
use super::{Form, shrinker_name, target};
use crate::event::{Gfp, Site};
use crate::mm::policy::{Target, Waits};
use crate::mm::{ScanControl, Shrinker, Stop};
use crate::sched::{Work, WorkQueue};

pub(super) struct WorkQueueForm {
    client: Weak<Inner>,
    name: String,
    owed: Arc<AtomicU64>,
    queue: Option<WorkQueue>,
    work: Work,
    target: Option<Target>,
}

impl WorkQueueForm {
    pub(super) fn new(client: &Client) -> Self {
        let weak = Arc::downgrade(&client.0);
        let owed = Arc::new(AtomicU64::new(0));
        let (theirs, debt) = (weak.clone(), Arc::clone(&owed));
        let work = Work::new("shrink_work", move || {
            if let Some(inner) = theirs.upgrade() {
                clean(&Client(inner), &debt);
            }
        });
        let queue = client.0.parts.cleaner.clone();
        let (name, target) = (shrinker_name(client), target(client, Waits::Never));
        Self { client: weak, name, owed, queue, work, target }
    }
}

/// Buffers that the cleaner leaves.
fn retain(client: &Client) -> u64 {
    client.0.options.retain_bytes / client.block_size() as u64
}

/// The cleaner (`shrink_work`): clean buffers first, then dirty ones, until nothing is owed.
fn clean(client: &Client, owed: &AtomicU64) {
    let _layer = client.enter();
    let site = Site::here();
    let mut cache = client.0.cache.lock();
    let all: Vec<_> = cache.clean.values().chain(cache.dirty.values()).cloned().collect();
    for buf in all {
        if cache.total() <= retain(client) {
            owed.store(0, Ordering::Release);
        }
        if owed.load(Ordering::Acquire) == 0 {
            return;
        }
        if client.evict(&mut cache, &buf, true, site) {
            let paid = owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| owed.checked_sub(1));
            debug_assert!(paid.is_ok(), "only the cleaner pays, and something was owed");
        }
    }
}

impl Form for WorkQueueForm {
    fn as_shrinker(self: Arc<Self>) -> Arc<dyn Shrinker> {
        self
    }

    fn flush(&self) {
        if let Some(queue) = &self.queue {
            queue.flush(&self.work);
        }
    }
}

impl Shrinker for WorkQueueForm {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, _mask: Gfp) -> u64 {
        let Some(client) = self.client.upgrade().map(Client) else {
            return 0;
        };
        let kept = retain(&client) + self.owed.load(Ordering::Acquire);
        client.0.total.load(Ordering::Acquire).saturating_sub(kept)
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        let queue = self.queue.as_ref().ok_or(Stop)?;
        self.owed.fetch_add(control.nr_to_scan, Ordering::AcqRel);
        queue.queue(&self.work);
        Ok(control.nr_to_scan)
    }

    fn seeks(&self) -> u64 {
        1
    }

    fn defers(&self) -> bool {
        true
    }

    fn target(&self) -> Option<Target> {
        self.target
    }
}
