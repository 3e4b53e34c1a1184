//! Shrinkers: caches that give memory back when asked, and the protocol by which they are asked.
//!
//! Key types: [`Shrinker`], [`ScanControl`], [`Registration`]. Mirrors `mm/shrinker.c`; written
//! from the project's description of reclaim, 4.3-4.5.
//!
//! | module | holds |
//! |---|---|
//! | [`pass`] | [`Pass`](pass::Pass): how many objects a pass scans, and what it defers |
//! | [`registry`] | who is registered; walking them without a lock, or under the old rwsem |
//! | [`superblock`] | the shrinker of a mounted filesystem: dentries, inodes, its own objects |
//!
//! Locking: the registry's list is a leaf and is held over no callback. Since 6.7 a scan holds the
//! pseudo-lock of its shrinker shared; before, all scans held the registry's rwsem shared.

pub mod pass;
pub mod registry;
pub mod superblock;

use super::policy::Target;
use crate::event::Gfp;

pub use pass::{DEFAULT_BATCH, DEFAULT_SEEKS};
pub use registry::Registration;
pub use superblock::{SuperCounts, SuperOps, SuperblockShrinker};

/// What reclaim asks of one scan (`struct shrink_control`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanControl {
    /// What the shrinker may do.
    pub mask: Gfp,
    /// How many objects to look at.
    pub nr_to_scan: u64,
    /// How many it looked at: as many, unless the scan says otherwise.
    pub nr_scanned: u64,
    /// Only objects charged to the world's memcg.
    pub in_memcg: bool,
}

impl ScanControl {
    /// A scan of `nr_to_scan` objects of any memcg.
    #[must_use]
    pub const fn new(mask: Gfp, nr_to_scan: u64) -> Self {
        Self { mask, nr_to_scan, nr_scanned: nr_to_scan, in_memcg: false }
    }
}

/// SHRINK_STOP: no progress is possible in this context, do not call again in this pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop;

/// SHRINK_EMPTY: the cache is really empty, rather than having nothing to free now.
pub const EMPTY: u64 = u64::MAX - 1;

/// A cache that can give memory back.
pub trait Shrinker: Send + Sync {
    /// What reports call it: `dm-bufio:loop0`.
    fn name(&self) -> &str;

    /// How many objects could be freed; 0 for none now, [`EMPTY`] for a cache that is empty. It
    /// must not wait, allocate or depend on the mask: what a forbidden scan leaves undone is
    /// deferred, and that needs an honest count. The historic forms that do depend on it are why it
    /// gets one.
    fn count(&self, mask: Gfp) -> u64;

    /// Looks at up to `control.nr_to_scan` objects; says how many went.
    ///
    /// # Errors
    /// [`Stop`] where the context allows no progress.
    fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop>;

    /// Relative cost of bringing an object back; 0 for none.
    fn seeks(&self) -> u64 {
        DEFAULT_SEEKS
    }

    /// How many objects one scan takes; 0 for the default.
    fn batch(&self) -> u64 {
        DEFAULT_BATCH
    }

    /// Whether it can tell the objects of the world's memory cgroup (memcg) apart. Limit reclaim
    /// calls no others.
    fn memcg_aware(&self) -> bool {
        false
    }

    /// Whether a scan leaves the freeing to somebody else and says so beforehand, as dm-bufio's
    /// does since 5.9: then what it claims need not have left yet.
    fn defers(&self) -> bool {
        false
    }

    /// Where it stands in the stack, for policies that ask. Where nothing is said, every policy
    /// leaves it the effective mask.
    fn target(&self) -> Option<Target> {
        None
    }
}
