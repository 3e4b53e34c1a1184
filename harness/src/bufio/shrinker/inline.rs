//! The forms that do the work in the scan, under the client lock.
//!
//! Key types: [`Policy`], [`Inline`]. Mirrors `dm_bufio_shrink_scan` and `__scan` until 5.8. What a
//! scan looks at counts whether it goes or not.

use std::sync::{Arc, Weak};

use super::super::cache::{Cache, List};
use super::super::client::{Client, Inner};
use super::{Form, shrinker_name, target};
use crate::event::{Gfp, Site};
use crate::mm::policy::{Target, Waits};
use crate::mm::{PortShrinker, ScanControl};
use crate::sched::MutexGuard;
use reclaimdep_scope::Stop;

/// How a callback gets the client lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Locking {
    /// It waits where the mask permits waiting, and tries otherwise.
    ByMask,
    /// It tries.
    Try,
    /// It does without.
    None,
}

/// What a form that works in the scan does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// With this bit in the mask the shrinker may write and wait, and sleep on the lock.
    pub(super) permission: Gfp,
    pub(super) count: Locking,
    pub(super) scan: Locking,
    /// It leaves what the client retains.
    pub(super) retains: bool,
}

pub(super) struct Inline {
    client: Weak<Inner>,
    name: String,
    policy: Policy,
    target: Option<Target>,
}

impl Inline {
    pub(super) fn new(client: &Client, policy: Policy) -> Self {
        let waits = if policy.permission == Gfp::IO { Waits::WithIo } else { Waits::WithFs };
        let (name, target) = (shrinker_name(client), target(client, waits));
        Self { client: Arc::downgrade(&client.0), name, policy, target }
    }

    fn may_wait(&self, mask: Gfp) -> bool {
        mask.contains(self.policy.permission)
    }

    fn lock<'a>(
        &self,
        client: &'a Client,
        mask: Gfp,
        how: Locking,
    ) -> Option<MutexGuard<'a, Cache>> {
        if how == Locking::ByMask && self.may_wait(mask) {
            Some(client.lock())
        } else {
            client.0.cache.try_lock()
        }
    }

    /// Looks at up to `nr` buffers; says how many went.
    fn walk(&self, client: &Client, cache: &mut Cache, nr: u64, may_wait: bool) -> u64 {
        let site = Site::here();
        let retain = if self.policy.retains { client.retain() } else { 0 };
        let (mut visited, mut freed) = (0, 0);
        for list in List::BOTH {
            let walk = cache.walk(list);
            while visited < nr && cache.total() > retain {
                let Some(number) = cache.step(list, walk) else {
                    break;
                };
                visited += 1;
                freed += u64::from(client.evict(cache, client.slot(number), may_wait, site));
            }
            cache.end(list, walk);
        }
        freed
    }
}

impl Form for Inline {
    fn as_shrinker(self: Arc<Self>) -> Arc<dyn PortShrinker> {
        self
    }
}

impl PortShrinker for Inline {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, mask: Gfp) -> u64 {
        let Some(client) = self.client.upgrade().map(Client) else {
            return 0;
        };
        if self.policy.count == Locking::None {
            return client.buffers();
        }
        let _layer = client.enter();
        self.lock(&client, mask, self.policy.count).map_or(0, |cache| cache.total())
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        let client = Client(self.client.upgrade().ok_or(Stop)?);
        let _layer = client.enter();
        let may_wait = self.may_wait(control.mask);
        let mut cache = self.lock(&client, control.mask, self.policy.scan).ok_or(Stop)?;
        Ok(self.walk(&client, &mut cache, control.nr_to_scan, may_wait))
    }

    fn seeks(&self) -> u64 {
        1
    }

    fn target(&self) -> Option<Target> {
        self.target
    }
}
