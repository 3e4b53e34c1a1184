//! `Code`: the registry of finding codes.
//!
//! One table; parser, help and reports read it. A code never changes its meaning.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::variables::distance;

macro_rules! codes {
    ($($code:ident, $title:literal, $meaning:literal;)*) => {
        /// What kind of wrong a finding is.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The code as reports print it: `RD04`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }

            /// The code in words: `deadlock`.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// The code's page: what it means, an example, what the kernel did, what to do.
            /// Markdown.
            #[must_use]
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$code => {
                        include_str!(concat!("../../docs/codes/", stringify!($code), ".md"))
                    })*
                }
            }

            /// What a finding with this code says, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)* }
            }
        }
    };
}

codes! {
    RD01, "recursion",
        "A task entered a layer that its scope forbids, below a reclaim of its own.";
    RD02, "carried recursion",
        "A task on whose progress a scoped task waits entered a layer that the scope forbids, \
         below a reclaim.";
    RD03, "possible recursion",
        "The order in which locks, reclaim, requests, pools, log space and queues are taken has a \
         cycle.";
    RD04, "deadlock",
        "Tasks wait for each other in a cycle, now.";
    RD05, "hang",
        "No task can run, or none finished within the step budget, and no cycle explains it.";
    RD06, "scope misuse",
        "A scope was left out of order, twice, on another task or never.";
    RD07, "shrinker misconduct",
        "A shrinker blocked in count, lied about what it freed, or waited for I/O in kswapd.";
    RD08, "reclaim contract",
        "A rule between allocator and reclaimer was broken: nested reclaim, a failed NOFAIL, \
         reserves without right.";
    RD09, "convoy",
        "Tasks stood longer than the bound behind a lock whose holder waits for I/O.";
    RD10, "phantom progress",
        "Reclaim claimed pages that were not freed, and an allocation failed for it.";
    RD11, "over-broad scope",
        "A scope or mask restricts more than it needs to, or nothing at all.";
    RD12, "leak",
        "A device, mount, task, buffer hold or registration was left behind.";
    RD13, "lost data",
        "What was acknowledged as durable is not there after a crash.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// More letters than this are no misspelling of a code.
const MAX_DISTANCE: usize = 2;

/// Reads `RD04`, and what people write for it: `rd04`, `RD4`, `4`.
impl FromStr for Code {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let word = text.to_ascii_uppercase();
        let number = word.strip_prefix("RD").unwrap_or(&word);
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let name = format!("RD{:0>2}", number.trim_start_matches('0'));
        let found = Self::ALL.iter().find(|code| is_number && code.name() == name);
        found.copied().ok_or_else(|| {
            let known = Self::ALL.iter().map(|code| code.name()).collect::<Vec<_>>().join(", ");
            let error = Error::input(format!("unknown finding code `{text}`"));
            match Self::meant(&word).filter(|_| !is_number) {
                Some(code) => {
                    let title = code.title();
                    error.advice(format!("did you mean {code} ({title})? There are {known}"))
                }
                None => error.advice(format!("use one of {known}")),
            }
        })
    }
}

impl Code {
    /// The one code whose name or title is nearest to `word`, which is in capital letters.
    fn meant(word: &str) -> Option<Self> {
        let of = |code: &Self| {
            let title = distance(&code.title().to_ascii_uppercase(), word);
            title.min(distance(code.name(), word))
        };
        let nearest = Self::ALL.iter().map(of).min().filter(|nearest| *nearest <= MAX_DISTANCE)?;
        let mut near = Self::ALL.iter().filter(|code| of(code) == nearest);
        near.next().copied().filter(|_| near.next().is_none())
    }
}

#[cfg(test)]
mod tests;
