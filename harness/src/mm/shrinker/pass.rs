//! How many objects one pass over a shrinker scans, and how many it defers to the next pass.
//!
//! Key types: [`Pass`], [`SlabAlgorithm`](crate::era::SlabAlgorithm). Arithmetic only, without
//! state (`do_shrink_slab`). Written from docs/kernel/shrinkers.md, "The shrink_slab protocol".

use crate::era::SlabAlgorithm;

/// Objects of one scan, if a shrinker does not set its batch (SHRINK_BATCH).
pub(super) const DEFAULT_BATCH: u64 = 128;
/// Seeks to recreate an object, if a shrinker does not set them (DEFAULT_SEEKS).
pub(super) const DEFAULT_SEEKS: u64 = 2;

/// One pass over one shrinker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pass {
    algorithm: SlabAlgorithm,
    freeable: u64,
    deferred: u64,
    /// Objects that this pass adds.
    pub(super) delta: u64,
    /// Objects to scan: `delta` and the deferred ones, after the caps.
    pub(super) total: u64,
}

impl Pass {
    /// A pass at `priority` over `freeable` objects, with `deferred` left over from passes before.
    #[must_use]
    pub(super) fn new(
        algorithm: SlabAlgorithm,
        freeable: u64,
        deferred: u64,
        priority: u32,
        seeks: u64,
    ) -> Self {
        let share = freeable.checked_shr(priority).unwrap_or(0);
        let delta = share.saturating_mul(4).checked_div(seeks).unwrap_or(freeable / 2);
        let cap = freeable.saturating_mul(2);
        let total = match algorithm {
            SlabAlgorithm::V5_13 => {
                deferred.checked_shr(priority).unwrap_or(0).saturating_add(delta).min(cap)
            }
            SlabAlgorithm::V2_6 => {
                let wanted = deferred.saturating_add(delta);
                // Low pressure must not empty the cache because of a large deferred count.
                let little = if delta < freeable / 4 { wanted.min(freeable / 2) } else { wanted };
                little.min(cap)
            }
        };
        Self { algorithm, freeable, deferred, delta, total }
    }

    /// Whether `left` objects are enough for another scan: a whole batch, or the whole cache.
    #[must_use]
    pub(super) const fn goes_on(&self, left: u64, batch: u64) -> bool {
        left >= batch || left >= self.freeable
    }

    /// How many objects are deferred to the next pass after `scanned` objects.
    #[must_use]
    pub(super) fn deferred_after(&self, scanned: u64) -> u64 {
        let left = self.deferred.saturating_add(self.delta).saturating_sub(scanned);
        match self.algorithm {
            SlabAlgorithm::V5_13 => left.min(self.freeable.saturating_mul(2)),
            SlabAlgorithm::V2_6 => left,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use SlabAlgorithm::{V2_6, V5_13};

    impl Pass {
        /// How many objects a shrinker scans that frees all that it is asked for.
        fn scanned_in_batches(&self, batch: u64) -> u64 {
            let (mut left, mut scanned) = (self.total, 0);
            while self.goes_on(left, batch) && left > 0 {
                let n = left.min(batch);
                left -= n;
                scanned += n;
            }
            scanned
        }
    }

    /// The cache of a kernel trace that was mailed in 2020.
    const FREEABLE: u64 = 93_689_873;
    const DEFERRED: u64 = 4_994_376_020;

    #[test]
    fn the_numbers_are_those_of_the_trace_of_2020() {
        let pass = Pass::new(V2_6, FREEABLE, DEFERRED, 12, 2);
        assert_eq!(pass.delta, 45_746);
        assert_eq!(pass.total, 46_844_936, "half of the cache, in one pass at the lowest pressure");
        assert_eq!(pass.scanned_in_batches(DEFAULT_BATCH), 46_844_928);
        assert_eq!(pass.deferred_after(46_844_928), 4_947_576_838);
    }

    #[test]
    fn the_same_cache_since_5_13() {
        let pass = Pass::new(V5_13, FREEABLE, 2 * FREEABLE, 12, 2);
        assert_eq!((pass.delta, pass.total), (45_746, 91_493));
        assert_eq!(pass.scanned_in_batches(DEFAULT_BATCH), 91_392);
    }

    #[test]
    fn a_thousand_refused_passes_defer_four_objects_each() {
        for algorithm in [V2_6, V5_13] {
            let mut deferred = 0;
            for _ in 0..1000 {
                deferred = Pass::new(algorithm, 10_000, deferred, 12, 2).deferred_after(0);
            }
            assert_eq!(deferred, 4_000, "{algorithm:?}");
        }
    }

    /// Objects that the next permitted pass scans, after a thousand passes that were not permitted.
    #[track_caller]
    fn check_payback(algorithm: SlabAlgorithm, priority: u32, expect: u64) {
        let pass = Pass::new(algorithm, 10_000, 4_000, priority, 2);
        assert_eq!(pass.scanned_in_batches(DEFAULT_BATCH), expect, "{algorithm:?} at {priority}");
    }

    #[test]
    fn deferred_objects_are_scanned_at_once_or_by_priority() {
        check_payback(V2_6, 12, 3_968);
        check_payback(V5_13, 12, 0);
        check_payback(V5_13, 7, 128);
        check_payback(V5_13, 6, 256);
        check_payback(V5_13, 4, 1_408);
        check_payback(V5_13, 2, 5_888);
    }

    #[test]
    fn half_of_a_cache_with_no_seeks_is_scanned() {
        for algorithm in [V2_6, V5_13] {
            assert_eq!(Pass::new(algorithm, 1000, 0, 12, 0).delta, 500);
        }
    }

    #[test]
    fn a_cache_smaller_than_a_batch_is_scanned_only_as_a_whole() {
        let pass =
            |priority| Pass::new(V5_13, 100, 0, priority, 2).scanned_in_batches(DEFAULT_BATCH);
        assert_eq!(
            (pass(3), pass(1), pass(0)),
            (0, 100, 128),
            "at 0 it is asked for twice the cache"
        );
    }

    proptest! {
        /// Invariant 14 of docs/invariants.md: the deferred count follows the formula, and since
        /// 5.13 it is at most twice the cache.
        #[test]
        fn the_deferred_count_follows_the_formula(
            freeable in 0_u64..1 << 40,
            deferred in 0_u64..1 << 50,
            priority in 0_u32..=12,
            seeks in 0_u64..10,
            batch in 1_u64..10_000,
        ) {
            for algorithm in [V2_6, V5_13] {
                let pass = Pass::new(algorithm, freeable, deferred, priority, seeks);
                let scanned = pass.scanned_in_batches(batch.max(freeable / 100_000).max(1));
                let after = pass.deferred_after(scanned);
                prop_assert!(pass.total <= 2 * freeable && scanned <= pass.total);
                let [before, delta, scanned] = [deferred, pass.delta, scanned].map(i128::from);
                let left = (before + delta - scanned).max(0);
                match algorithm {
                    V5_13 => prop_assert_eq!(i128::from(after), left.min(2 * i128::from(freeable))),
                    V2_6 => prop_assert_eq!(i128::from(after), left),
                }
            }
        }
    }
}
