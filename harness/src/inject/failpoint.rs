//! Failpoints: named places at which a plan can make the stack fail.
//!
//! Key types: [`Failpoint`], [`FailpointRule`]. One registry; a rule that names no row of it is an
//! error that lists the rows.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Errno, Error};

macro_rules! failpoints {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $errno:ident;)*) => {
        /// Every failpoint of the stack.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Failpoint {
            $($(#[$doc])* $name,)*
        }

        impl Failpoint {
            /// Every row, in registry order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The point's name, as plans and reports write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What the operation returns when the point fires.
            #[must_use]
            pub const fn errno(self) -> Errno {
                match self { $(Self::$name => Errno::$errno,)* }
            }
        }
    };
}

failpoints! {
    /// mm: an allocation fails before its fast path; one with NOFAIL never does.
    MmAlloc = "mm::alloc", ENOMEM;
    /// mm: the allocation below a mempool fails, so that only its reserve is left.
    MempoolAlloc = "mm::mempool_alloc", ENOMEM;
    /// dm-bufio: the allocation that must not sleep fails (step 1 of docs/kernel/dm-bufio.md,
    /// "Memory for a new buffer").
    BufioAllocNowait = "bufio::alloc_nowait", ENOMEM;
    /// dm-bufio: the allocation without the client lock fails (step 3 of docs/kernel/dm-bufio.md,
    /// "Memory for a new buffer").
    BufioAllocNoio = "bufio::alloc_noio", ENOMEM;
    /// dm-bufio: the reserve counts as empty (step 4 of docs/kernel/dm-bufio.md, "Memory for a new
    /// buffer").
    BufioReserve = "bufio::reserve", ENOMEM;
    /// dm-bufio: no buffer of the client can be reused (step 5 of docs/kernel/dm-bufio.md, "Memory
    /// for a new buffer").
    BufioSteal = "bufio::steal", ENOMEM;
    /// dm-bufio: a freed buffer does not wake the tasks that wait for one.
    BufioLostWake = "bufio::lost_wake", EAGAIN;
    /// dm-bufio: the age-out treats every buffer as old.
    BufioAge = "bufio::age", EAGAIN;
    /// dm-bufio: a work item (shrink, cleanup) starts 10 ms late.
    BufioWorkLate = "bufio::work_late", EAGAIN;
    /// dm-bufio: 10 ms with the client lock before a buffer that is not idle is made clean.
    BufioPauseClean = "bufio::pause_clean", EAGAIN;
    /// dm-bufio: 10 ms with the client lock before the watermark evicts.
    BufioPauseWatermark = "bufio::pause_watermark", EAGAIN;
    /// dm-bufio: 10 ms with the client lock before a wait at the tail of writing everything.
    BufioPauseTail = "bufio::pause_tail", EAGAIN;
    /// dm-bufio: 10 ms with the client lock before a buffer moves to another block.
    BufioPauseMove = "bufio::pause_move", EAGAIN;
    /// dm-bufio: 10 ms with the client lock in the shrinker's work, before the first buffer.
    BufioPauseShrink = "bufio::pause_shrink", EAGAIN;
    /// dm-bufio: a read of a block fails.
    BufioRead = "bufio::read", EIO;
    /// dm-bufio: a write of a block fails.
    BufioWrite = "bufio::write", EIO;
    /// fs: writing the commit record of a transaction fails.
    JournalCommit = "fs::journal_commit", EIO;
    /// fs: writing a checkpointed block home fails.
    JournalCheckpoint = "fs::journal_checkpoint", EIO;
}

impl FromStr for Failpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.iter().copied().find(|point| point.name() == text).ok_or_else(|| {
            let known = Self::ALL.iter().map(|point| point.name()).collect::<Vec<_>>().join(", ");
            Error::input(format!("unknown failpoint `{text}`"))
                .advice(format!("use one of {known}"))
        })
    }
}

impl TryFrom<String> for Failpoint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Failpoint> for String {
    fn from(point: Failpoint) -> Self {
        point.name().to_owned()
    }
}

/// One rule: this point fires on these passes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FailpointRule {
    /// The point.
    pub point: Failpoint,
    /// Skip this many passes first.
    #[serde(default)]
    pub skip: u64,
    /// Then fire this many times; `None` for every later pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// A run passes though the rule never fires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl FailpointRule {
    /// `point` fires on every pass.
    #[must_use]
    pub const fn new(point: Failpoint) -> Self {
        Self { point, skip: 0, times: None, optional: false }
    }

    /// The same rule, which lets this many passes go first.
    #[must_use]
    pub const fn skip(mut self, passes: u64) -> Self {
        self.skip = passes;
        self
    }

    /// The same rule, without which a run passes too: it may never fire.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Whether the point fires on a pass after `seen` others.
    pub(super) fn fires(&self, seen: u64) -> bool {
        seen >= self.skip && self.times.is_none_or(|times| seen - self.skip < times)
    }

    /// The same rule, which fires this many times.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}
