//! `Filesystem`: a filesystem that has no port, as reclaim sees it: unused inodes behind the port
//! of the superblock shrinker.
//!
//! Key type: [`Filesystem`]. The superblock shrinker tests `__GFP_FS`, so the eviction is called
//! only where that is permitted. While it runs, the task is in the layer of the filesystem. No
//! locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope::Superblock;

use crate::event::{EventKind, Layer, LayerRef, Site};
use crate::mm::{Mm, Registration, SuperCounts, SuperOps, SuperblockShrinker};
use crate::sched::{RwSem, Sched, harness_side};

struct Inodes {
    sched: Sched,
    layer: LayerRef,
    site: Site,
    left: AtomicU64,
    evict: Arc<dyn Fn() + Send + Sync>,
}

/// A filesystem whose shrinker is registered while this lives.
#[derive(Debug)]
pub struct Filesystem {
    registration: Registration,
    ops: Arc<Inodes>,
}

/// Evicts inodes of a [`Filesystem`] whose last reference was put. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Evictor(Arc<Inodes>);

impl Evictor {
    /// Evicts an inode in the running task, whatever reclaim does.
    pub fn evict(&self) {
        self.0.evict_one();
    }
}

/// The running task is in the layer until this is dropped.
struct Entered<'a>(&'a Inodes);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.sched.emit(EventKind::LayerExit { layer: self.0.layer });
    }
}

impl Filesystem {
    /// A mounted filesystem with `inodes` unused inodes. `evict` is called for each inode that
    /// reclaim evicts; it may write, wait, and start transactions.
    #[must_use]
    #[track_caller]
    pub fn new(mm: &Mm, name: &str, inodes: u64, evict: impl Fn() + Send + Sync + 'static) -> Self {
        Self::new_at(mm, name, inodes, Site::here(), evict)
    }

    /// As [`Filesystem::new`], for a filesystem that is described at `site`.
    pub(crate) fn new_at(
        mm: &Mm,
        name: &str,
        inodes: u64,
        site: Site,
        evict: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let _side = harness_side();
        let sched = mm.sched().clone();
        let layer = sched.add_layer(Layer::FS, name);
        let s_umount = Arc::new(RwSem::new(&sched, "s_umount", name, ()));
        let (left, evict) = (AtomicU64::new(inodes), Arc::new(evict));
        let ops = Arc::new(Inodes { sched, layer, site, left, evict });
        let superblock = Superblock(layer.instance);
        let shrinker = SuperblockShrinker::new(name, superblock, s_umount, Arc::clone(&ops) as _);
        Self { registration: shrinker.register(mm), ops }
    }

    /// Its layer in events.
    #[must_use]
    pub fn layer(&self) -> LayerRef {
        self.ops.layer
    }

    /// What evicts an inode that is no longer used.
    #[must_use]
    pub fn evictor(&self) -> Evictor {
        Evictor(Arc::clone(&self.ops))
    }

    /// Unregisters the shrinker, and waits for the scans in flight.
    pub fn unregister(self) {
        self.registration.unregister();
    }
}

impl Inodes {
    fn evict_one(&self) {
        let _side = harness_side();
        self.sched.emit(EventKind::LayerEnter { layer: self.layer, site: self.site });
        let _entered = Entered(self);
        (self.evict)();
    }
}

impl std::fmt::Debug for Inodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inodes").field("layer", &self.layer).finish_non_exhaustive()
    }
}

impl SuperOps for Inodes {
    fn counts(&self) -> Option<SuperCounts> {
        let inodes = self.left.load(Ordering::Acquire);
        Some(SuperCounts { inodes, ..SuperCounts::default() })
    }

    fn prune_dentries(&self, _count: u64) -> u64 {
        0
    }

    /// Evicts one inode: the rounds of reclaim decide how many.
    fn prune_inodes(&self, count: u64) -> u64 {
        let take = |left: u64| left.checked_sub(1);
        if count == 0 || self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_err()
        {
            return 0;
        }
        self.evict_one();
        1
    }

    fn free_objects(&self, _count: u64) -> u64 {
        0
    }
}
