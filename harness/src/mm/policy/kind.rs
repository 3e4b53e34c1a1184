//! `PolicyKind`: the registry of policies.
//!
//! One table, which parser, help and docs read. A kind is a policy with its decided knobs; other
//! knobs are set on the policy itself.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Join, Mainline, OnlySwapIo, Oracle, Policy, ReclaimContextPolicy};
use crate::error::Error;

macro_rules! policies {
    ($($(#[$attr:meta])* $kind:ident, $name:literal, $policy:ty, $meaning:literal;)*) => {
        /// A policy by name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[derive(Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum PolicyKind {
            $(#[doc = $meaning] $(#[$attr])* $kind,)*
        }

        impl PolicyKind {
            /// Every kind, in the order of the tables.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name: `join+only-swap-io`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What a NOFS scope means to the policy, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }

            /// The policy, with its decided knobs.
            #[must_use]
            pub fn policy(self) -> Arc<dyn Policy> {
                match self { $(Self::$kind => Arc::new(<$policy>::default()),)* }
            }
        }
    };
}

policies! {
    #[default]
    Mainline, "mainline", Mainline,
        "A NOFS scope forbids every filesystem; each shrinker must check the mask itself.";
    Join, "join", Join,
        "A NOFS scope behaves as a NOIO scope.";
    OnlySwapIo, "join+only-swap-io", OnlySwapIo,
        "A NOFS scope forbids I/O too, except to swap areas on plain devices.";
    ReclaimContext, "reclaim-context", ReclaimContextPolicy,
        "A NOFS scope names its superblock, and forbids targets at another depth.";
    Oracle, "oracle", Oracle,
        "A NOFS scope names its superblock, and forbids targets that need it.";
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PolicyKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|kind| kind.name() == text);
        found.copied().ok_or_else(|| {
            let known = Self::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
            Error::input(format!("unknown policy `{text}`")).advice(format!("use one of {known}"))
        })
    }
}

impl TryFrom<String> for PolicyKind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PolicyKind> for String {
    fn from(kind: PolicyKind) -> Self {
        kind.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_is_the_name_of_its_policy() {
        for kind in PolicyKind::ALL {
            assert_eq!(kind.name().parse::<PolicyKind>().unwrap(), *kind);
            assert_eq!(kind.policy().name(), kind.name());
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_every_known_one() {
        let error = "joined".parse::<PolicyKind>().unwrap_err().to_string();
        assert!(error.contains("`joined`"), "{error}");
        for kind in PolicyKind::ALL {
            assert!(error.contains(kind.name()), "{error}");
        }
    }
}
