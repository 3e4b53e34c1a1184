//! S0 and S1: the shrinker that does the work itself, under the client lock.
//!
//! They differ in one bit. S0 (3.2-3.17) takes `__GFP_IO` as the permission to wait; 9d28eb12447e
//! (2014) made it `__GFP_FS`, because a NOFS task's I/O on a loop device ends in a filesystem.

use std::sync::{Arc, Weak};

use super::super::client::{Cache, Client, Inner};
use super::{Form, shrinker_name, target};
use crate::event::{Gfp, Site};
use crate::mm::policy::{Target, Waits};
use crate::mm::{ScanControl, Shrinker, Stop};
use crate::sched::MutexGuard;

pub(super) struct Classic {
    client: Weak<Inner>,
    name: String,
    /// With this bit in the mask the shrinker may sleep on the lock, and write and wait.
    permission: Gfp,
    target: Option<Target>,
}

impl Classic {
    pub(super) fn new(client: &Client, permission: Gfp) -> Self {
        let waits = if permission == Gfp::IO { Waits::WithIo } else { Waits::WithFs };
        let (name, target) = (shrinker_name(client), target(client, waits));
        Self { client: Arc::downgrade(&client.0), name, permission, target }
    }

    fn may_wait(&self, mask: Gfp) -> bool {
        mask.contains(self.permission)
    }

    fn lock<'a>(&self, client: &'a Client, mask: Gfp) -> Option<MutexGuard<'a, Cache>> {
        if self.may_wait(mask) { Some(client.0.cache.lock()) } else { client.0.cache.try_lock() }
    }
}

impl Form for Classic {
    fn as_shrinker(self: Arc<Self>) -> Arc<dyn Shrinker> {
        self
    }
}

impl Shrinker for Classic {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, mask: Gfp) -> u64 {
        let Some(client) = self.client.upgrade().map(Client) else {
            return 0;
        };
        let _layer = client.enter();
        self.lock(&client, mask).map_or(0, |cache| cache.total())
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        let client = Client(self.client.upgrade().ok_or(Stop)?);
        let _layer = client.enter();
        let may_wait = self.may_wait(control.mask);
        let mut cache = self.lock(&client, control.mask).ok_or(Stop)?;
        let clean = cache.clean.values();
        let visited =
            clean.chain(cache.dirty.values()).take(usize::try_from(control.nr_to_scan).unwrap_or(usize::MAX));
        let visited: Vec<_> = visited.cloned().collect();
        let site = Site::here();
        Ok(visited.iter().filter(|buf| client.evict(&mut cache, buf, may_wait, site)).count() as u64)
    }

    fn seeks(&self) -> u64 {
        1
    }

    fn target(&self) -> Option<Target> {
        self.target
    }
}
