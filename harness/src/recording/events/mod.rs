//! Event files: the events of a run as text, one line each, to be judged later or elsewhere.
//!
//! Key types: [`EventWriter`], [`EventReader`], [`Header`]. A file is JSON lines: a header, then
//! declarations (objects) and events (arrays) in the order of the run, then an end line. A file
//! without its end line counts as cut off. Names, source lines and words are declared before the
//! first line that uses their number, so both sides need only one line at a time.
//! `docs/events.md` describes the form.
//!
//! | module | holds |
//! |---|---|
//! | `form` over `coded`, `declared` | the table of event kinds; the values inside; numbers and names |
//! | `writer`, `reader` | the two sides |
//! | `history` over `acts` | whether an event can follow those before it; the reader asks |
//! | `recorder` | a file that is written while a world runs |

mod acts;
mod coded;
mod declared;
mod form;
mod history;
mod reader;
mod recorder;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::EventReader;
pub(crate) use recorder::Recorder;
pub use writer::EventWriter;

use serde::{Deserialize, Serialize};

/// The version of the form. A change that an old reader would misread takes a new one.
const VERSION: u32 = 2;

/// The first line of a file: which run the events are of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Header {
    /// The version of the form. The name of this field marks the file as an event file.
    pub reclaimdep_events: u32,
    /// What ran: a test or a case.
    pub name: String,
    /// The tier that it ran on.
    pub tier: String,
    /// The era whose kernel behaviours were in force.
    pub era: String,
}

impl Header {
    /// A header of the version that this crate writes.
    pub fn new(name: impl Into<String>, tier: impl Into<String>, era: impl Into<String>) -> Self {
        Self { reclaimdep_events: VERSION, name: name.into(), tier: tier.into(), era: era.into() }
    }
}
