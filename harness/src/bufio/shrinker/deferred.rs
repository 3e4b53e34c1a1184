//! The forms that leave the work to a queue.
//!
//! Key type: [`Deferred`]. The scan adds to the number of buffers that are owed, queues the work
//! and returns as if it had freed them; the count subtracts that number, so that reclaim does not
//! ask for the same buffers twice. The work runs on a task of the queue, with full permission, and
//! waits for its writes with the client lock held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::super::client::{Client, ClientShrinker, ClientState};
use super::super::lists::List;
use super::super::sweep::BUSY;
use super::forms::DeferredPolicy;
use super::{shrinker_name, target};
use crate::event::{Gfp, Site};
use crate::inject::Failpoint;
use crate::mm::policy::{Target, Waits};
use crate::mm::{ScanControl, Shrinker, Stop};
use crate::sched::Work;

pub(super) struct Deferred {
    client: Weak<ClientState>,
    name: String,
    owed: Arc<AtomicU64>,
    work: Work,
    target: Option<Target>,
}

impl Deferred {
    pub(super) fn new(client: &Client, policy: DeferredPolicy) -> Self {
        let weak = Arc::downgrade(&client.0);
        let owed = Arc::new(AtomicU64::new(0));
        let (theirs, debt) = (weak.clone(), Arc::clone(&owed));
        let work = Work::new("shrink_work", move || {
            if let Some(inner) = theirs.upgrade() {
                shrink(&Client(inner), &debt, policy);
            }
        });
        let (name, target) = (shrinker_name(client), target(client, Waits::Never));
        Self { client: weak, name, owed, work, target }
    }
}

/// The work (`shrink_work`): clean buffers first, then dirty ones, until nothing is owed.
fn shrink(client: &Client, owed: &AtomicU64, DeferredPolicy { reschedule }: DeferredPolicy) {
    client.shared().pause(Failpoint::BufioWorkLate, BUSY);
    let _layer = client.enter();
    let (site, mut freed) = (Site::here(), 0);
    let mut lists = client.lock();
    client.0.io.pause(Failpoint::BufioPauseShrink);
    for list in List::BOTH {
        loop {
            if lists.total() <= client.retain() {
                owed.store(0, Ordering::Release);
            }
            if owed.load(Ordering::Acquire) == 0 {
                return;
            }
            let takes = client.takes(list);
            let Some(slot) = client.0.cache.pick(&mut lists, list, takes) else {
                break;
            };
            client.0.io.make_clean(slot, site);
            client.0.pool.give_back(slot.number);
            freed += 1;
            let paid =
                owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| owed.checked_sub(1));
            debug_assert!(paid.is_ok(), "only the work pays, and something was owed");
            if reschedule.is_some_and(|every| freed % every == 0) && !client.0.options.no_sleep {
                drop(lists);
                client.sched().point();
                lists = client.lock();
            }
        }
    }
    // Buffers that cannot go now, because a task holds them, are not owed any longer.
    owed.store(0, Ordering::Release);
}

impl ClientShrinker for Deferred {
    fn flush(&self) {
        let queue = self.client.upgrade().and_then(|inner| inner.bufio.0.cleaner.clone());
        if let Some(queue) = queue {
            queue.flush(&self.work);
        }
    }
}

impl Shrinker for Deferred {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, _mask: Gfp) -> u64 {
        let Some(client) = self.client.upgrade().map(Client) else {
            return 0;
        };
        let kept = client.retain() + self.owed.load(Ordering::Acquire);
        client.buffers().saturating_sub(kept)
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        let inner = self.client.upgrade().ok_or(Stop)?;
        let queue = inner.bufio.0.cleaner.as_ref().ok_or(Stop)?;
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
