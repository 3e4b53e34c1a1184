//! Eras: presets of kernel behaviours, one row for each kernel that a report comes from.
//!
//! Key types: [`Era`], [`Knobs`]. One table ([`Era::knobs`]); parser, help and docs read it. Every
//! knob can also be set by hand. Source: the project's description of dm-bufio's shrinker forms and
//! of the loop driver's worker over time.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

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
            },
            Self::V3_18 => Knobs {
                bufio_shrinker: ShrinkerForm::S1,
                bufio_sleeps_under_lock: true,
                loop_worker_noio: false,
            },
            Self::V5_9 => Knobs {
                bufio_shrinker: ShrinkerForm::S5,
                bufio_sleeps_under_lock: false,
                loop_worker_noio: true,
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
