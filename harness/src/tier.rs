//! `Tier`: how a world runs.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How a world runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Tier {
    /// Controlled tasks on one thread, virtual time, everything in process; needs nothing.
    Model,
    /// OS threads and real time, everything in process; needs nothing.
    Native,
    /// OS threads in a supervised child, real loop devices over a FUSE mount; needs root.
    Loop,
}

impl Tier {
    /// Every tier, least demanding first.
    pub const ALL: &[Self] = &[Self::Model, Self::Native, Self::Loop];

    /// The tier's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Native => "native",
            Self::Loop => "loop",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.iter().copied().find(|tier| tier.name() == text).ok_or_else(|| {
            let known = Self::ALL.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ");
            Error::input(format!("unknown tier `{text}`")).advice(format!("use one of {known}"))
        })
    }
}

impl TryFrom<String> for Tier {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Tier> for String {
    fn from(tier: Tier) -> Self {
        tier.name().to_owned()
    }
}
