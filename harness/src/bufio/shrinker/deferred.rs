//! The forms that leave the work to a queue.
//!
//! Key types: [`Policy`], [`Deferred`]. The scan adds to what is owed, queues the work and returns
//! as if it had freed it; the count subtracts what is owed, so that reclaim does not ask for it
//! twice. The work runs in a context of its own, with full permission, and waits for its writes
//! with the client lock held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::super::cache::List;
use super::super::client::{Client, Inner};
use super::{Form, shrinker_name, target};
use crate::event::{Gfp, Site};
use crate::inject::Failpoint;
use crate::mm::policy::{Target, Waits};
use crate::mm::{PortShrinker, ScanControl};
use crate::sched::Work;
use reclaimdep_scope::Stop;

/// What a form that works on a queue does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// After so many evictions the work lets others at the client lock.
    pub(super) reschedule: Option<u64>,
}

pub(super) struct Deferred {
    client: Weak<Inner>,
    name: String,
    owed: Arc<AtomicU64>,
    work: Work,
    target: Option<Target>,
}

impl Deferred {
    pub(super) fn new(client: &Client, policy: Policy) -> Self {
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
fn shrink(client: &Client, owed: &AtomicU64, Policy { reschedule }: Policy) {
    let bufio = &client.0.bufio;
    bufio.hold_up(Failpoint::BufioWorkLate);
    let _layer = client.enter();
    let (site, mut freed) = (Site::here(), 0);
    let mut cache = client.lock();
    client.pause(Failpoint::BufioPauseShrink);
    for list in List::BOTH {
        loop {
            if cache.total() <= client.retain() {
                owed.store(0, Ordering::Release);
            }
            if owed.load(Ordering::Acquire) == 0 {
                return;
            }
            let takes = client.takes(list);
            let Some(slot) = client.pick(&mut cache, list, takes) else {
                break;
            };
            client.make_clean(slot, site);
            client.give_back(&mut cache, slot.number);
            freed += 1;
            let paid =
                owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| owed.checked_sub(1));
            debug_assert!(paid.is_ok(), "only the work pays, and something was owed");
            if reschedule.is_some_and(|every| freed % every == 0) && !client.0.options.no_sleep {
                drop(cache);
                client.sched().point();
                cache = client.lock();
            }
        }
    }
    // What cannot go now (somebody holds it) is owed no longer than the work runs.
    owed.store(0, Ordering::Release);
}

impl Form for Deferred {
    fn as_shrinker(self: Arc<Self>) -> Arc<dyn PortShrinker> {
        self
    }

    fn flush(&self) {
        let queue = self.client.upgrade().and_then(|inner| inner.bufio.0.cleaner.clone());
        if let Some(queue) = queue {
            queue.flush(&self.work);
        }
    }
}

impl PortShrinker for Deferred {
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
