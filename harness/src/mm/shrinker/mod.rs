//! Shrinkers: caches that free objects for reclaim, and the protocol between them and reclaim.
//!
//! Key types: [`PortShrinker`], [`ScanControl`], [`Registration`]. Mirrors `mm/shrinker.c`; written
//! from docs/kernel/shrinkers.md, "The shrink_slab protocol", "The superblock shrinker" and "Rules
//! of conduct".
//!
//! | module | holds |
//! |---|---|
//! | `pass` | how many objects a pass scans, and how many it defers |
//! | `registry` | [`Registration`]; calling the shrinkers without a lock, or under the old rwsem |
//! | `superblock` | [`SuperblockShrinker`]: dentries, inodes and other objects of a filesystem |
//!
//! Locking: the registry's list is a leaf and is not held over a callback. Since 6.7 a scan holds
//! the pseudo-lock of its shrinker shared; before, all scans held the registry's rwsem shared.

mod pass;
mod registry;
mod superblock;

use std::sync::Arc;

use reclaimdep_scope::{Shrinker, Stop};

use super::policy::Target;
use crate::event::Gfp;

use pass::{DEFAULT_BATCH, DEFAULT_SEEKS};
pub use registry::Registration;
pub(super) use registry::{Registry, ShrinkerWalk};
pub use superblock::{SuperCounts, SuperOps, SuperblockShrinker};

/// One scan (`struct shrink_control`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ScanControl {
    /// What the shrinker may do.
    pub(crate) mask: Gfp,
    /// How many objects the shrinker shall scan.
    pub(crate) nr_to_scan: u64,
    /// How many objects it scanned: `nr_to_scan`, unless the scan sets another number.
    pub(crate) nr_scanned: u64,
    /// Only objects that are charged to the world's memcg.
    pub(crate) in_memcg: bool,
}

impl ScanControl {
    /// A scan of `nr_to_scan` objects of any memcg.
    #[must_use]
    pub(crate) const fn new(mask: Gfp, nr_to_scan: u64) -> Self {
        Self { mask, nr_to_scan, nr_scanned: nr_to_scan, in_memcg: false }
    }
}

/// SHRINK_EMPTY: the cache holds no object at all. A count of 0 means that none can be freed now.
pub(crate) const EMPTY: u64 = u64::MAX - 1;

/// A shrinker as reclaim calls it. The ports implement it; production code implements
/// [`reclaimdep_scope::Shrinker`], which [`Production`] adapts.
pub(crate) trait PortShrinker: Send + Sync {
    /// As [`Shrinker::name`]: `dm-bufio:loop0`.
    fn name(&self) -> &str;

    /// As [`Shrinker::count_with_mask`]; 0 if none can be freed now, [`EMPTY`] for an empty cache.
    fn count(&self, mask: Gfp) -> u64;

    /// As [`Shrinker::scan`], with the mask and the number of objects in `control`. It may set
    /// `control.nr_scanned`.
    ///
    /// # Errors
    /// As there.
    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop>;

    /// As [`Shrinker::seeks`].
    fn seeks(&self) -> u64 {
        DEFAULT_SEEKS
    }

    /// As [`Shrinker::batch`].
    fn batch(&self) -> u64 {
        DEFAULT_BATCH
    }

    /// Whether it knows which objects are charged to the world's memory cgroup (memcg). Limit
    /// reclaim calls no other shrinkers.
    fn is_memcg_aware(&self) -> bool {
        false
    }

    /// As [`Shrinker::defers`].
    fn defers(&self) -> bool {
        false
    }

    /// Its position in the stack, for policies that use one. For a shrinker without a position,
    /// every policy uses the effective mask.
    fn target(&self) -> Option<Target> {
        None
    }
}

/// A shrinker of production code.
pub(super) struct Production(pub(super) Arc<dyn Shrinker>);

impl PortShrinker for Production {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn count(&self, mask: Gfp) -> u64 {
        self.0.count_with_mask(mask)
    }

    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
        self.0.scan(control.mask, control.nr_to_scan)
    }

    fn seeks(&self) -> u64 {
        self.0.seeks()
    }

    fn batch(&self) -> u64 {
        self.0.batch()
    }

    fn defers(&self) -> bool {
        self.0.defers()
    }

    fn target(&self) -> Option<Target> {
        self.0.superblock().map(Target::Superblock)
    }
}
