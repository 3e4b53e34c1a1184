//! Shrinkers of production code: caches that give memory back when asked.
//!
//! Key types: [`Shrinker`], [`Registration`]. In a world a registered shrinker is called by the
//! world's reclaim. Mirrors `include/linux/shrinker.h`; written from docs/kernel/shrinkers.md, "The
//! shrink_slab protocol" and "Rules of conduct".

use std::sync::Arc;

use crate::listener::{self, ShrinkerHandle};
use crate::{Gfp, Superblock};

/// SHRINK_STOP: no progress is possible in this context, do not call again in this pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop;

/// A cache that can give memory back. [`register_shrinker`] has an example.
pub trait Shrinker: Send + Sync {
    /// What reports call it: `inode cache`.
    fn name(&self) -> &str;

    /// How many objects could be freed. It must not wait or allocate, and it is not the place to
    /// refuse: it does not even see the mask.
    fn count(&self) -> u64;

    /// How many objects could be freed under `mask`; reclaim calls this. Only a shrinker whose
    /// count depends on the mask overrides it, as dm-bufio's did until 4.9. That is a bug (RD07):
    /// what a forbidden scan leaves undone is deferred, and that needs a count without the mask.
    fn count_with_mask(&self, _mask: Gfp) -> u64 {
        self.count()
    }

    /// Frees up to `nr_to_scan` objects within `mask`; says how many went.
    ///
    /// # Errors
    /// [`Stop`] where the context allows no progress: this cache needs the filesystem and the mask
    /// has no FS.
    fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop>;

    /// Relative cost of bringing an object back; 0 for none.
    fn seeks(&self) -> u64 {
        2
    }

    /// How many objects one scan takes; 0 for the default.
    fn batch(&self) -> u64 {
        128
    }

    /// Whether a scan leaves the freeing to a later work item, as dm-bufio's does since 5.9. The
    /// objects that such a scan reports need not be free yet.
    fn defers(&self) -> bool {
        false
    }

    /// The superblock whose objects it frees, for policies that decide by filesystem. For a
    /// shrinker without one, every policy uses the effective mask.
    fn superblock(&self) -> Option<Superblock> {
        None
    }
}

/// A registered shrinker; dropping it unregisters.
#[must_use = "the shrinker is unregistered when this is dropped"]
pub struct Registration(Option<ShrinkerHandle>);

impl Registration {
    /// Whether some reclaim calls the shrinker.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.0.is_some()
    }
}

impl core::fmt::Debug for Registration {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registration").field("active", &self.is_active()).finish()
    }
}

/// Registers `shrinker` with the world of the running task (`register_shrinker`).
///
/// Outside a world there is no reclaim: the registration does nothing and drops the shrinker.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use reclaimdep_scope::{Gfp, Shrinker, Stop, register_shrinker};
///
/// #[derive(Default)]
/// struct InodeCache {
///     unused: AtomicU64,
/// }
///
/// impl Shrinker for InodeCache {
///     fn name(&self) -> &str {
///         "inode cache"
///     }
///
///     fn count(&self) -> u64 {
///         self.unused.load(Ordering::Relaxed)
///     }
///
///     fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
///         if !mask.contains(Gfp::FS) {
///             return Err(Stop); // Freeing an inode enters the filesystem.
///         }
///         let freed = nr_to_scan.min(self.count());
///         self.unused.fetch_sub(freed, Ordering::Relaxed);
///         Ok(freed)
///     }
/// }
///
/// let registration = register_shrinker(Arc::new(InodeCache::default()));
/// assert!(!registration.is_active(), "no world runs here");
/// ```
pub fn register_shrinker(shrinker: Arc<dyn Shrinker>) -> Registration {
    Registration(listener::ask(|l| l.register_shrinker(shrinker)).flatten())
}
