//! Eras: presets of kernel behaviours, one row for each kernel that a report comes from.
//!
//! Key types: [`Era`], [`Knobs`], [`MmKnobs`]. [`Era::knobs`] is the one table of what each kernel
//! does; every knob can also be set by hand. Source: docs/kernel/dm-bufio.md, "The shrinker's
//! forms", and docs/kernel/loop.md, "The worker over time".

mod bufio;
mod flips;

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

pub use bufio::{BufioGeneration, ShrinkerForm};
pub use flips::Flip;

/// How many objects a pass over a shrinker scans.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SlabAlgorithm {
    /// Until 5.12: deferred work counts in full, without a bound.
    V2_6,
    /// Since 5.13 (18bb473e5031): by the priority of reclaim, and at most twice the cache.
    V5_13,
}

/// How reclaim waits when it makes no progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReclaimThrottle {
    /// Until 5.15: a tenth of a second, where a device's queue is congested.
    Congestion,
    /// Since 5.16 (8cd7c588decf): each cause has a wait of its own.
    ByCause,
}

/// What counts as the progress of a shrinker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ShrinkerProgress {
    /// What it says that it freed. A user's cache gives back memory that no budget knows.
    Claimed,
    /// Pages that came back to the budget while it ran, as the kernel credits slab pages.
    ReclaimState,
}

/// Behaviours of memory management that changed over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MmKnobs {
    /// A NOIO scope clears FS as well as IO (934f3072c17c, 2014).
    pub noio_clears_fs: bool,
    /// The scope is applied before the fast path too, so that PIN places pages (5.13,
    /// da6df1b0fcfa).
    pub scope_on_fast_path: bool,
    /// How many objects a pass over a shrinker scans.
    pub slab: SlabAlgorithm,
    /// What counts as progress of a shrinker.
    pub progress: ShrinkerProgress,
    /// Registering a shrinker and scanning exclude each other through one rwsem (until 6.6).
    pub shrinker_rwsem: bool,
    /// How reclaim waits.
    pub throttle: ReclaimThrottle,
    /// A swap area on a filesystem needs FS (5.19, d791ea676b66).
    pub swap_over_fs_needs_fs: bool,
    /// Compaction restores PF_MEMALLOC rather than clearing it (2017, 499118e966f1).
    pub compaction_nests: bool,
    /// vmalloc turns the caller's mask into a scope for its page tables (5.17, 451769ebb7e7).
    pub vmalloc_scope: bool,
    /// The reclaim annotation exempts PF_MEMALLOC tasks under every mask (2018).
    pub annotation_by_task: bool,
}

impl MmKnobs {
    /// Linux 6.12.
    pub const NEWEST: Self = Self {
        noio_clears_fs: true,
        scope_on_fast_path: true,
        slab: SlabAlgorithm::V5_13,
        progress: ShrinkerProgress::Claimed,
        shrinker_rwsem: false,
        throttle: ReclaimThrottle::ByCause,
        swap_over_fs_needs_fs: true,
        compaction_nests: true,
        vmalloc_scope: true,
        annotation_by_task: true,
    };

    /// Linux 6.1.
    pub const V6_1: Self = Self { shrinker_rwsem: true, ..Self::NEWEST };

    /// Linux 5.9.
    pub const V5_9: Self = Self {
        scope_on_fast_path: false,
        slab: SlabAlgorithm::V2_6,
        shrinker_rwsem: true,
        throttle: ReclaimThrottle::Congestion,
        swap_over_fs_needs_fs: false,
        vmalloc_scope: false,
        ..Self::NEWEST
    };

    /// Linux 3.18.
    pub const V3_18: Self =
        Self { compaction_nests: false, annotation_by_task: false, ..Self::V5_9 };

    /// Linux 3.10.
    pub const V3_10: Self = Self { noio_clears_fs: false, ..Self::V3_18 };
}

/// Every kernel behaviour that changed over time and that the simulated kernel models.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Knobs {
    /// dm-bufio's shrinker form.
    pub bufio_shrinker: ShrinkerForm,
    /// dm-bufio's index, lists and limits.
    pub bufio_generation: BufioGeneration,
    /// dm-bufio allocates under the client lock with NOIO (2014) rather than NOWAIT.
    pub bufio_sleeps_under_lock: bool,
    /// The loop worker runs in a NOIO scope (since August 2019).
    pub loop_worker_noio: bool,
    /// Behaviours of memory management.
    pub mm: MmKnobs,
}

/// A kernel release. A world has the behaviour of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Era {
    /// Linux 3.10 (2013).
    V3_10,
    /// Linux 3.18 (2014).
    V3_18,
    /// Linux 4.19 (2018).
    V4_19,
    /// Linux 5.2 (2019), as of 5.2.3.
    V5_2,
    /// Linux 5.3 (2019).
    V5_3,
    /// Linux 5.9 (2020).
    V5_9,
    /// Linux 6.1 (2022).
    V6_1,
    /// Linux 6.12 (2024).
    V6_12,
}

impl Era {
    /// Every era, oldest first.
    pub const ALL: &[Self] = &[
        Self::V3_10,
        Self::V3_18,
        Self::V4_19,
        Self::V5_2,
        Self::V5_3,
        Self::V5_9,
        Self::V6_1,
        Self::V6_12,
    ];

    /// The era's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V3_10 => "v3.10",
            Self::V3_18 => "v3.18",
            Self::V4_19 => "v4.19",
            Self::V5_2 => "v5.2",
            Self::V5_3 => "v5.3",
            Self::V5_9 => "v5.9",
            Self::V6_1 => "v6.1",
            Self::V6_12 => "v6.12",
        }
    }

    /// The behaviours of this kernel.
    #[must_use]
    pub const fn knobs(self) -> Knobs {
        use BufioGeneration as Generation;
        use ShrinkerForm as Form;
        let (bufio_shrinker, bufio_generation, bufio_sleeps_under_lock, loop_worker_noio, mm) =
            match self {
                Self::V3_10 => (Form::S0, Generation::V2014, true, false, MmKnobs::V3_10),
                Self::V3_18 => (Form::S1, Generation::V2014, true, false, MmKnobs::V3_18),
                Self::V4_19 => (Form::S2, Generation::V2018, false, false, MmKnobs::V5_9),
                Self::V5_2 => (Form::S3, Generation::V2018, false, false, MmKnobs::V5_9),
                Self::V5_3 => (Form::S4, Generation::V2018, false, true, MmKnobs::V5_9),
                Self::V5_9 => (Form::S5, Generation::V5_4, false, true, MmKnobs::V5_9),
                Self::V6_1 => (Form::S5, Generation::V5_4, false, true, MmKnobs::V6_1),
                Self::V6_12 => (Form::S6, Generation::V6_4, false, true, MmKnobs::NEWEST),
            };
        Knobs { bufio_shrinker, bufio_generation, bufio_sleeps_under_lock, loop_worker_noio, mm }
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Era {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(era) = Self::ALL.iter().find(|era| era.name() == text) {
            return Ok(*era);
        }
        let known = Self::ALL.iter().map(|era| era.name()).collect::<Vec<_>>().join(", ");
        let what = format!("unknown era `{text}`");
        Err(Error::input(what).advice(format!("use one of {known}")))
    }
}

impl TryFrom<String> for Era {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Era> for String {
    fn from(era: Era) -> Self {
        era.name().to_owned()
    }
}
