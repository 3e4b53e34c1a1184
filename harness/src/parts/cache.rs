//! `Cache`: a cache with a shrinker, whose count and scan are the user's.
//!
//! Key types: [`Cache`], [`CacheOps`]. The scan gets whatever mask reclaim has, as a shrinker of
//! the kernel does, and must stop by itself. No locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::Stop;

use crate::event::Gfp;
use crate::mm::{Mm, PortShrinker, Registration, ScanControl};
use crate::sched::harness_side;

/// What a cache does when reclaim calls it.
pub trait CacheOps: Send + Sync {
    /// Called before the number of objects is reported. It must not wait.
    fn count(&self, mask: Gfp);

    /// Called before objects are freed.
    ///
    /// # Errors
    /// [`Stop`] where the mask permits nothing: then no object is freed.
    fn scan(&self, mask: Gfp) -> Result<(), Stop>;
}

struct Objects {
    name: String,
    left: AtomicU64,
    memcg_aware: bool,
    ops: Arc<dyn CacheOps>,
}

/// A cache whose shrinker is registered while this lives.
#[derive(Debug)]
pub struct Cache(Registration);

impl Cache {
    /// A cache of `objects` objects. It is asked in the reclaim of a memory cgroup only if it is
    /// `memcg_aware`.
    #[must_use]
    #[track_caller]
    pub fn new(
        mm: &Mm,
        name: &str,
        objects: u64,
        memcg_aware: bool,
        ops: Arc<dyn CacheOps>,
    ) -> Self {
        let _side = harness_side();
        let left = AtomicU64::new(objects);
        let objects = Objects { name: name.to_owned(), left, memcg_aware, ops };
        Self(mm.register_port_shrinker(Arc::new(objects)))
    }

    /// Unregisters the shrinker, and waits for the scans in flight.
    pub fn unregister(self) {
        self.0.unregister();
    }
}

impl PortShrinker for Objects {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, mask: Gfp) -> u64 {
        self.ops.count(mask);
        self.left.load(Ordering::Acquire)
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        self.ops.scan(control.mask)?;
        let wanted = control.nr_to_scan;
        let take = |left: u64| Some(left - left.min(wanted));
        let left = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        Ok(left.map_or(0, |left| left.min(wanted)))
    }

    fn batch(&self) -> u64 {
        1
    }

    fn is_memcg_aware(&self) -> bool {
        self.memcg_aware
    }
}
