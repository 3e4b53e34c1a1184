//! The shrinker of a mounted filesystem: dentries, inodes, and other objects of the filesystem.
//!
//! Key types: [`SuperblockShrinker`], [`SuperOps`]. The count takes no lock and does not depend on
//! the mask. The scan stops if the mask lacks FS. It only tries to take the superblock's lock,
//! since the task that unmounts may wait for reclaim. It splits its quota in proportion to the
//! counts, dentries first, because they pin inodes. Mirrors `super_cache_count` and
//! `super_cache_scan` in `fs/super.c`; written from docs/kernel/shrinkers.md, "The superblock
//! shrinker".
//!
//! Locking: the superblock's rwsem (try, shared) > the filesystem's locks of eviction.

use std::sync::Arc;

use super::{EMPTY, PortShrinker, Registration, ScanControl};
use crate::event::Gfp;
use crate::mm::Mm;
use crate::mm::policy::Target;
use crate::sched::RwSem;
use reclaimdep_scope::{Stop, Superblock};

/// How many objects a filesystem could free.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SuperCounts {
    /// Unused dentries.
    pub dentries: u64,
    /// Unused inodes.
    pub inodes: u64,
    /// Other objects of the filesystem (`nr_cached_objects`).
    pub objects: u64,
}

impl SuperCounts {
    /// The sum.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.dentries + self.inodes + self.objects
    }

    /// Splits a quota of `nr_to_scan` in proportion to the counts (`mult_frac`).
    #[must_use]
    pub fn split(self, nr_to_scan: u64) -> Self {
        let total = u128::from(self.total() + 1);
        let share = |part: u64| {
            let scaled = u128::from(nr_to_scan) * u128::from(part) / total;
            u64::try_from(scaled).expect("a share of a quota is not more than the quota")
        };
        Self {
            dentries: share(self.dentries),
            inodes: share(self.inodes),
            objects: share(self.objects),
        }
    }
}

/// The operations of a filesystem that its shrinker calls.
pub trait SuperOps: Send + Sync {
    /// What could be freed; `None` while it is not fully mounted. It must not wait or allocate.
    fn counts(&self) -> Option<SuperCounts>;

    /// Frees up to `count` dentries; returns how many it freed.
    fn prune_dentries(&self, count: u64) -> u64;

    /// Evicts up to `count` inodes; returns how many. It may write, wait and start transactions.
    fn prune_inodes(&self, count: u64) -> u64;

    /// Frees up to `count` other objects; returns how many it freed.
    fn free_objects(&self, count: u64) -> u64;
}

/// The shrinker that a mount registers.
pub struct SuperblockShrinker {
    name: String,
    superblock: Superblock,
    s_umount: Arc<RwSem<()>>,
    ops: Arc<dyn SuperOps>,
    /// Percent of the objects that the count reports (`vfs_cache_pressure`).
    pressure: u64,
}

/// The default of `vfs_cache_pressure`.
const DEFAULT_PRESSURE: u64 = 100;
/// Objects of one scan.
const SUPER_BATCH: u64 = 1024;

impl SuperblockShrinker {
    /// The shrinker of the filesystem `name`; unmounting it takes `s_umount` exclusively.
    pub fn new(
        name: &str,
        superblock: Superblock,
        s_umount: Arc<RwSem<()>>,
        ops: Arc<dyn SuperOps>,
    ) -> Self {
        let name = format!("sb:{name}");
        Self { name, superblock, s_umount, ops, pressure: DEFAULT_PRESSURE }
    }

    /// The same with a count of `percent` percent of the objects.
    #[must_use]
    pub fn with_pressure(mut self, percent: u64) -> Self {
        self.pressure = percent;
        self
    }

    /// Registers it with `mm`.
    #[track_caller]
    pub fn register(self, mm: &Mm) -> Registration {
        mm.register_port_shrinker(Arc::new(self))
    }
}

impl PortShrinker for SuperblockShrinker {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, _mask: Gfp) -> u64 {
        let Some(counts) = self.ops.counts() else {
            return 0;
        };
        match counts.total() {
            0 => EMPTY,
            total => total / 100 * self.pressure + total % 100 * self.pressure / 100,
        }
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        if !control.mask.contains(Gfp::FS) {
            return Err(Stop);
        }
        let _mounted = self.s_umount.try_read().ok_or(Stop)?;
        let SuperCounts { dentries, inodes, objects } =
            self.ops.counts().ok_or(Stop)?.split(control.nr_to_scan);
        // One more of each, or rounding could skip one kind for ever.
        let (dentries, inodes) = (dentries + 1, inodes + 1);
        let mut freed =
            self.ops.prune_dentries(dentries).saturating_add(self.ops.prune_inodes(inodes));
        control.nr_scanned = dentries + inodes;
        if objects > 0 {
            freed = freed.saturating_add(self.ops.free_objects(objects + 1));
            control.nr_scanned += objects + 1;
        }
        Ok(freed)
    }

    fn batch(&self) -> u64 {
        SUPER_BATCH
    }

    fn is_memcg_aware(&self) -> bool {
        true
    }

    fn target(&self) -> Option<Target> {
        Some(Target::Superblock(self.superblock))
    }
}
