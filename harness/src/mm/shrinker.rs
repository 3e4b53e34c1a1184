//! Shrinkers: caches that give memory back when asked, and the protocol by which they are asked.
//!
//! Key types: [`Shrinker`], [`ScanControl`], [`Registration`]. Written from the project's
//! description of reclaim, 4.3 (the algorithm since 5.13).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::{EventKind, Gfp, ShrinkerId};
use crate::sched::{Sched, SpinLock};

/// Objects a scan looks at when a shrinker does not say.
const DEFAULT_BATCH: u64 = 128;
/// How costly an object is to bring back, when a shrinker does not say.
const DEFAULT_SEEKS: u64 = 2;

/// What reclaim asks of one scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanControl {
    /// What the shrinker may do.
    pub mask: Gfp,
    /// How many objects to look at.
    pub nr_to_scan: u64,
}

/// SHRINK_STOP: no progress is possible in this context, do not call again in this pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop;

/// A cache that can give memory back.
pub trait Shrinker: Send + Sync {
    /// What reports call it: `dm-bufio:loop0`.
    fn name(&self) -> &str;

    /// How many objects could be freed. It must not wait and must not depend on the mask; the
    /// historic forms that do both are why it gets one.
    fn count(&self, mask: Gfp) -> u64;

    /// Frees up to `control.nr_to_scan` objects; says how many went.
    ///
    /// # Errors
    /// [`Stop`] where the context allows no progress.
    fn scan(&self, control: ScanControl) -> Result<u64, Stop>;

    /// Relative cost of bringing an object back; 0 for none.
    fn seeks(&self) -> u64 {
        DEFAULT_SEEKS
    }

    /// How many objects one scan takes; 0 for the default.
    fn batch(&self) -> u64 {
        DEFAULT_BATCH
    }
}

struct Entry {
    id: ShrinkerId,
    shrinker: Arc<dyn Shrinker>,
    deferred: AtomicU64,
}

/// The registered shrinkers of a world.
#[derive(Default)]
pub(super) struct Registry {
    entries: SpinLock<Vec<Arc<Entry>>>,
}

/// A registered shrinker; dropping it unregisters.
#[must_use = "the shrinker is unregistered when this is dropped"]
pub struct Registration {
    registry: Arc<Registry>,
    id: ShrinkerId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.entries.lock().retain(|entry| entry.id != self.id);
    }
}

impl Registry {
    pub(super) fn register(self: &Arc<Self>, sched: &Sched, shrinker: Arc<dyn Shrinker>) -> Registration {
        let id = sched.names(|names| names.add_shrinker(shrinker.name()));
        self.entries.lock().push(Arc::new(Entry { id, shrinker, deferred: AtomicU64::new(0) }));
        Registration { registry: Arc::clone(self), id }
    }

    /// One pass over every shrinker (`shrink_slab`); returns the objects they say they freed.
    ///
    /// The list is copied first: a shrinker that registers or unregisters, or that waits, holds up
    /// nobody else.
    pub(super) fn shrink(&self, sched: &Sched, mask: Gfp, priority: u32) -> u64 {
        let entries = self.entries.lock().clone();
        entries.iter().map(|entry| entry.shrink(sched, mask, priority)).sum()
    }
}

impl Entry {
    /// One pass over this shrinker (`do_shrink_slab`).
    fn shrink(&self, sched: &Sched, mask: Gfp, priority: u32) -> u64 {
        let shrinker = &self.shrinker;
        let freeable = shrinker.count(mask);
        sched.emit(EventKind::ShrinkCount { shrinker: self.id, count: freeable });
        if freeable == 0 {
            return 0;
        }
        let pass = Pass::new(freeable, self.deferred.swap(0, Ordering::Relaxed), priority, shrinker.seeks());
        let (mut left, mut freed, mut scanned) = (pass.total, 0, 0);
        let batch = match shrinker.batch() {
            0 => DEFAULT_BATCH,
            batch => batch,
        };
        while left >= batch || left >= freeable {
            let nr_to_scan = left.min(batch);
            sched.emit(EventKind::ShrinkScanBegin { shrinker: self.id, mask, nr_to_scan });
            let result = shrinker.scan(ScanControl { mask, nr_to_scan });
            sched.emit(EventKind::ShrinkScanEnd { shrinker: self.id, freed: result.ok() });
            match result {
                Ok(count) => freed += count,
                Err(Stop) => break,
            }
            left -= nr_to_scan;
            scanned += nr_to_scan;
        }
        self.deferred.fetch_add(pass.deferred_after(scanned), Ordering::Relaxed);
        freed
    }
}

/// The arithmetic of one pass, apart so that its numbers can be tested.
#[derive(Clone, Copy, Debug)]
struct Pass {
    freeable: u64,
    deferred: u64,
    delta: u64,
    total: u64,
}

impl Pass {
    fn new(freeable: u64, deferred: u64, priority: u32, seeks: u64) -> Self {
        let delta = (4 * (freeable >> priority)).checked_div(seeks).unwrap_or(freeable / 2);
        let total = ((deferred >> priority) + delta).min(2 * freeable);
        Self { freeable, deferred, delta, total }
    }

    /// What is left for the next pass, capped at twice the cache.
    fn deferred_after(&self, scanned: u64) -> u64 {
        (self.deferred + self.delta).saturating_sub(scanned).min(2 * self.freeable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_follows_the_formula_since_5_13() {
        // The fixture of 2020, its deferred count clamped to twice the cache.
        let pass = Pass::new(93_689_873, 2 * 93_689_873, 12, 2);
        assert_eq!(pass.delta, 45_746);
        assert_eq!(pass.total, 91_493);
        assert_eq!(pass.total / DEFAULT_BATCH * DEFAULT_BATCH, 91_392, "scanned in whole batches");
    }

    #[test]
    fn a_thousand_refused_passes_defer_four_objects_each() {
        let mut deferred = 0;
        for _ in 0..1000 {
            deferred = Pass::new(10_000, deferred, 12, 2).deferred_after(0);
        }
        assert_eq!(deferred, 4_000);
    }

    #[test]
    fn a_cache_that_costs_nothing_to_refill_is_half_scanned() {
        assert_eq!(Pass::new(1000, 0, 12, 0).delta, 500);
    }
}
