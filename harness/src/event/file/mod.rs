//! Event files: a run's events as text, one line each, to be judged later or elsewhere.
//!
//! Key types: [`EventWriter`], [`EventReader`], [`Header`]. A file is JSON lines: a header, then
//! declarations (objects) and events (arrays) as they come, then an end line, without which the
//! file counts as cut off. Names, source lines and words are declared before the first line that
//! uses their number, so that both sides work on one line at a time. `docs/events.md` describes the
//! form.
//!
//! | module | holds |
//! |---|---|
//! | `form` | the table of event kinds, and their forms |
//! | `coded` | the forms of the values inside |
//! | `declared` | what has a number: names, source lines, words |
//! | `writer`, `reader` | the two sides; the reader checks that the history makes sense |

mod coded;
mod declared;
mod form;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::EventReader;
pub use writer::EventWriter;

use serde::{Deserialize, Serialize};

/// The version of the form. A change that an old reader would misread takes a new one.
pub const VERSION: u32 = 1;

/// The first line of a file: what the events are of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Header {
    /// [`VERSION`]; its name says what the file is.
    pub reclaimdep_events: u32,
    /// What ran: a test, a case.
    pub name: String,
    /// On which tier.
    pub tier: String,
    /// With which kernel's behaviours.
    pub era: String,
}

impl Header {
    /// The header of this version.
    pub fn new(name: impl Into<String>, tier: impl Into<String>, era: impl Into<String>) -> Self {
        Self { reclaimdep_events: VERSION, name: name.into(), tier: tier.into(), era: era.into() }
    }
}
