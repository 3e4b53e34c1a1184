//! Knobs turned to their newest values, one at a time.
//!
//! Key type: [`Flip`]. Trying each flip shows which single change of behaviour matters.

use super::{BufioGeneration, Knobs, MmKnobs, ShrinkerForm};

/// A set of knobs with one of them turned.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Flip {
    /// The knob and its new value: `bufio_shrinker = S6`.
    pub what: String,
    /// All the knobs, with that value.
    pub knobs: Knobs,
}

impl Knobs {
    /// The behaviours of the newest kernel.
    pub const NEWEST: Self = Self {
        bufio_shrinker: ShrinkerForm::S6,
        bufio_generation: BufioGeneration::V6_4,
        bufio_sleeps_under_lock: false,
        loop_worker_noio: true,
        mm: MmKnobs::NEWEST,
    };

    /// For every knob that is not at its newest value, these knobs with that one turned to it.
    #[must_use]
    pub fn flips(self) -> Vec<Flip> {
        let mut flips = Vec::new();
        // Destructured by name, so that a knob that is missing below does not compile.
        let Self {
            bufio_shrinker,
            bufio_generation,
            bufio_sleeps_under_lock,
            loop_worker_noio,
            mm,
        } = Self::NEWEST;
        let MmKnobs {
            noio_clears_fs,
            scope_on_fast_path,
            slab,
            progress,
            shrinker_rwsem,
            throttle,
            swap_over_fs_needs_fs,
            compaction_nests,
            vmalloc_scope,
            annotation_by_task,
        } = mm;
        macro_rules! flip {
            ($(mm.$knob:ident)+) => {$(
                let knobs = Self { mm: MmKnobs { $knob, ..self.mm }, ..self };
                flips.push(Flip { what: format!("{} = {:?}", stringify!($knob), $knob), knobs });
            )+};
            ($($knob:ident)+) => {$(
                let knobs = Self { $knob, ..self };
                flips.push(Flip { what: format!("{} = {:?}", stringify!($knob), $knob), knobs });
            )+};
        }
        flip!(bufio_shrinker bufio_generation bufio_sleeps_under_lock loop_worker_noio);
        flip!(mm.noio_clears_fs mm.scope_on_fast_path mm.slab mm.progress mm.shrinker_rwsem);
        flip!(mm.throttle mm.swap_over_fs_needs_fs mm.compaction_nests mm.vmalloc_scope);
        flip!(mm.annotation_by_task);
        flips.retain(|flip| flip.knobs != self);
        flips
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::Era;

    #[test]
    fn a_flip_changes_one_knob_and_all_of_them_together_make_the_newest() {
        for era in Era::ALL {
            let mut knobs = era.knobs();
            let mut left = knobs.flips();
            while let Some(flip) = left.first() {
                knobs = flip.knobs;
                let fewer = knobs.flips();
                assert_eq!(fewer.len() + 1, left.len(), "{era}: {}", flip.what);
                left = fewer;
            }
            assert_eq!(knobs, Knobs::NEWEST, "{era}");
        }
        assert_eq!(Era::V3_10.knobs().flips()[0].what, "bufio_shrinker = S6");
    }
}
