//! Eras: presets of kernel behaviours, one row for each kernel that a report comes from.
//!
//! Key types: [`Era`], [`Knobs`], [`MmKnobs`]. One table ([`Era::knobs`]); parser, help and docs read it. Every
//! knob can also be set by hand. Source: the project's description of dm-bufio's shrinker forms and
//! of the loop driver's worker over time.

mod flips;

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

pub use flips::Flip;

/// How dm-bufio's shrinker behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ShrinkerForm {
    /// 3.2-3.17: permission to wait is tested on `__GFP_IO`.
    S0,
    /// 3.18: permission to wait is tested on `__GFP_FS`.
    S1,
    /// 5.9: the scan hands the work to a work queue and returns at once.
    S5,
}

/// How many objects a pass over a shrinker scans.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SlabAlgorithm {
    /// Until 5.12: what was deferred counts in full, and has no bound.
    V2_6,
    /// Since 5.13 (18bb473e5031): by priority, and at most twice the cache.
    V5_13,
}

/// How reclaim waits when it does not get on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReclaimThrottle {
    /// Until 5.15: a tenth of a second, where a device's queue is congested.
    Congestion,
    /// Since 5.16 (8cd7c588decf): a wait of its own for each cause.
    ByCause,
}

/// What counts as progress of a shrinker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ShrinkerProgress {
    /// What it says it freed. A cache of the user's gives back memory that no budget knows.
    Claimed,
    /// Pages that came back to the budget while it ran, as the kernel credits slab pages.
    Credited,
}

/// What changed in memory management.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MmKnobs {
    /// A NOIO scope clears FS as well as IO (934f3072c17c, 2014).
    pub noio_clears_fs: bool,
    /// The scope is applied before the fast path too, so that PIN places pages (5.13, da6df1b0fcfa).
    pub scope_on_fast_path: bool,
    /// The pass over a shrinker.
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
    /// The reclaim annotation exempts PF_MEMALLOC tasks whatever the mask (2018).
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
    pub const V3_18: Self = Self { compaction_nests: false, annotation_by_task: false, ..Self::V5_9 };

    /// Linux 3.10.
    pub const V3_10: Self = Self { noio_clears_fs: false, ..Self::V3_18 };
}

/// Every kernel behaviour that changed over time and that the stack asks about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Knobs {
    /// dm-bufio's shrinker form.
    pub bufio_shrinker: ShrinkerForm,
    /// dm-bufio allocates under the client lock with NOIO (2014) rather than NOWAIT.
    pub bufio_sleeps_under_lock: bool,
    /// The loop worker runs in a NOIO scope (since August 2019).
    pub loop_worker_noio: bool,
    /// Memory management.
    pub mm: MmKnobs,
}

/// A kernel release whose behaviour a world has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Era {
    /// Linux 3.10 (2013).
    V3_10,
    /// Linux 3.18 (2014).
    V3_18,
    /// Linux 5.9 (2020).
    V5_9,
}

impl Era {
    /// Every era, oldest first.
    pub const ALL: &[Self] = &[Self::V3_10, Self::V3_18, Self::V5_9];
    /// Eras that the design names and that are not built yet: each needs a shrinker form of its own.
    const PLANNED: &[&str] = &["v4.19", "v5.2", "v5.3", "v6.1", "v6.12"];

    /// The era's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V3_10 => "v3.10",
            Self::V3_18 => "v3.18",
            Self::V5_9 => "v5.9",
        }
    }

    /// What this kernel does.
    #[must_use]
    pub const fn knobs(self) -> Knobs {
        match self {
            Self::V3_10 => Knobs {
                bufio_shrinker: ShrinkerForm::S0,
                bufio_sleeps_under_lock: true,
                loop_worker_noio: false,
                mm: MmKnobs::V3_10,
            },
            Self::V3_18 => Knobs {
                bufio_shrinker: ShrinkerForm::S1,
                bufio_sleeps_under_lock: true,
                loop_worker_noio: false,
                mm: MmKnobs::V3_18,
            },
            Self::V5_9 => Knobs {
                bufio_shrinker: ShrinkerForm::S5,
                bufio_sleeps_under_lock: false,
                loop_worker_noio: true,
                mm: MmKnobs::V5_9,
            },
        }
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
        let what = if Self::PLANNED.contains(&text) {
            format!("era `{text}` is not built yet")
        } else {
            format!("unknown era `{text}`")
        };
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
