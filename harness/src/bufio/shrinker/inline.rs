//! The forms that do the work in the scan, under the client lock.
//!
//! Key type: [`Inline`]. Mirrors `dm_bufio_shrink_scan` and `__scan` until 5.8. Every buffer that a
//! scan looks at counts, whether it goes or not.

use std::sync::{Arc, Weak};

use super::super::cache::Locked;
use super::super::client::{Client, ClientShrinker, ClientState};
use super::super::lists::{List, Lists};
use super::forms::{InlinePolicy, Locking};
use super::{shrinker_name, target};
use crate::event::{Gfp, Site};
use crate::mm::policy::{Target, Waits};
use crate::mm::{PortShrinker, ScanControl};
use reclaimdep_scope::Stop;

pub(super) struct Inline {
    client: Weak<ClientState>,
    name: String,
    policy: InlinePolicy,
    target: Option<Target>,
}

impl Inline {
    pub(super) fn new(client: &Client, policy: InlinePolicy) -> Self {
        let waits = if policy.permission == Gfp::IO { Waits::WithIo } else { Waits::WithFs };
        let (name, target) = (shrinker_name(client), target(client, waits));
        Self { client: Arc::downgrade(&client.0), name, policy, target }
    }

    fn may_wait(&self, mask: Gfp) -> bool {
        mask.contains(self.policy.permission)
    }

    fn lock<'a>(&self, client: &'a Client, mask: Gfp, how: Locking) -> Option<Locked<'a>> {
        if how == Locking::ByMask && self.may_wait(mask) {
            Some(client.lock())
        } else {
            client.0.cache.try_lock()
        }
    }

    /// Looks at up to `nr` buffers; says how many went.
    fn walk(&self, client: &Client, lists: &mut Lists, nr: u64, may_wait: bool) -> u64 {
        let site = Site::here();
        let retain = if self.policy.retains { client.retain() } else { 0 };
        let (mut visited, mut freed) = (0, 0);
        for list in List::BOTH {
            let walk = lists.walk(list);
            while visited < nr && lists.total() > retain {
                let Some(number) = lists.step(list, walk) else {
                    break;
                };
                visited += 1;
                freed += u64::from(client.evict(lists, client.slot(number), may_wait, site));
            }
            lists.end(list, walk);
        }
        freed
    }
}

impl ClientShrinker for Inline {}

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
        self.lock(&client, mask, self.policy.count).map_or(0, |lists| lists.total())
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        let client = Client(self.client.upgrade().ok_or(Stop)?);
        let _layer = client.enter();
        let may_wait = self.may_wait(control.mask);
        let mut lists = self.lock(&client, control.mask, self.policy.scan).ok_or(Stop)?;
        Ok(self.walk(&client, &mut lists, control.nr_to_scan, may_wait))
    }

    fn seeks(&self) -> u64 {
        1
    }

    fn target(&self) -> Option<Target> {
        self.target
    }
}
