//! `PageFilter`: the states of pages that a rule of pressure can choose.
//!
//! Key type: [`PageFilter`]. One table has the states and their names.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

macro_rules! page_filters {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A state of pages that a rule can choose: the content of a page, and whether it is
        /// stored.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum PageFilter {
            $($(#[$doc])* $name,)*
        }

        impl PageFilter {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The state as plans write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

page_filters! {
    /// A file page that is stored.
    FileClean = "file-clean";
    /// A file page that is not stored.
    FileDirty = "file-dirty";
    /// A file page that is being written.
    FileWriteback = "file-writeback";
    /// An anonymous page without a slot in a swap area.
    Anon = "anon";
    /// A page of the swap cache that is stored.
    SwapClean = "swap-clean";
    /// A page of the swap cache that is not stored.
    SwapDirty = "swap-dirty";
    /// A page of the swap cache that is being written.
    SwapWriteback = "swap-writeback";
}

impl FromStr for PageFilter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|filter| filter.name() == text).ok_or_else(|| {
            let known = Self::ALL.iter().map(|filter| filter.name()).collect::<Vec<_>>().join(", ");
            Error::input(format!("unknown state of pages `{text}`"))
                .advice(format!("use one of {known}"))
        })
    }
}

impl TryFrom<String> for PageFilter {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PageFilter> for String {
    fn from(filter: PageFilter) -> Self {
        filter.name().to_owned()
    }
}
