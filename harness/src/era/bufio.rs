//! The changes of dm-bufio: its shrinker's forms, and its other behaviour by generation.
//!
//! Key types: [`ShrinkerForm`], [`BufioGeneration`]. Written from docs/kernel/dm-bufio.md.

use serde::{Deserialize, Serialize};

use crate::units::Ticks;

/// How dm-bufio's shrinker behaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ShrinkerForm {
    /// 3.2-3.17: permission to wait is tested on `__GFP_IO`.
    S0,
    /// 3.18: permission to wait is tested on `__GFP_FS` (9d28eb12447e).
    S1,
    /// Late 2014: the same, and the scan leaves the buffers that the client retains.
    S1r,
    /// From about 4.10: the count takes no lock.
    S2,
    /// 5.2.3: the scan only tries the lock (bd293d071ffe).
    S3,
    /// 5.3: the scan waits for the lock again, as in form S2; the loop worker's NOIO scope prevents
    /// the deadlock (cf3591ef8329).
    S4,
    /// 5.9: the scan hands the work to a work queue and returns at once (70704c33db84).
    S5,
    /// Since 6.4: the work drops the lock now and then, and evicts as the CLOCK says.
    S6,
}

impl ShrinkerForm {
    /// Every form, oldest first.
    pub const ALL: &[Self] =
        &[Self::S0, Self::S1, Self::S1r, Self::S2, Self::S3, Self::S4, Self::S5, Self::S6];

    /// Whether the work is done on a work queue.
    #[must_use]
    pub const fn is_deferred(self) -> bool {
        matches!(self, Self::S5 | Self::S6)
    }
}

/// The behaviour of dm-bufio besides its shrinker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BufioGeneration {
    /// 2014: power-of-two blocks, whole writes, nothing retained, fatal assertions.
    V2014,
    /// 2018, until 5.3: blocks of any multiple of 512, partial writes; a share of memory for each
    /// client.
    V2018,
    /// 5.4 to 6.3: one queue of all clients' buffers, cleaned in the background.
    V5_4,
    /// Since 6.4: trees by hash with locks of their own, CLOCKs.
    V6_4,
}

impl BufioGeneration {
    /// The default time after which an unused clean buffer may go.
    #[must_use]
    pub const fn max_age(self) -> Ticks {
        Ticks(if matches!(self, Self::V2014) { 60_000 } else { 300_000 })
    }

    /// How often age-out runs.
    #[must_use]
    pub const fn scan_period(self) -> Ticks {
        Ticks(if matches!(self, Self::V2014) { 10_000 } else { 30_000 })
    }

    /// Whether age-out leaves the buffers that a client retains.
    #[must_use]
    pub const fn retains(self) -> bool {
        !matches!(self, Self::V2014)
    }
}
