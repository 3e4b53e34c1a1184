//! Reports: the findings of a run as a value, and every form in which people and tools read it.
//!
//! Key types: [`Report`], [`Finding`], [`Step`]. A [`Report`] owns its strings and knows nothing of
//! the world that it came from, so it can cross a process boundary and be read years later.
//!
//! | module | holds |
//! |---|---|
//! | `value` over `finding`, `step`, `order`, `stalls` | [`Report`] and its parts: the value and its JSON |
//! | `parts` over `facts` | which findings are part of a larger one; the order of a report |
//! | `expect`, `said` | whether a report is what a test expects; what it prints about a finding |
//! | `words` | [`describe()`]: from a judge's finding, which has numbers, to words |
//! | `text` | the seven parts of a report as plain ASCII |
//! | `html` | the same as one file for a browser, with pictures |
//! | `github` | the same as annotations and a job summary |
//! | `timeline` | the same as tracks and slices for Perfetto |
//! | `files` | every form, as files in a folder |
//!
//! Only `words` and `facts` read the judges' findings; no form of a report does. Written from
//! docs/kernel/lockdep.md, "What a report contains", and docs/kernel/proposals.md, "The two edges".
//! No report holds an address, and the same run gives the same bytes.

mod expect;
mod facts;
mod files;
mod finding;
mod github;
pub(crate) mod html;
mod order;
mod parts;
mod said;
#[cfg(test)]
mod samples;
mod stalls;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
mod value;
mod words;

pub(crate) use expect::accepted;
pub use files::{file_name, write_file};
pub use finding::{ClosingEdge, Elsewhere, Finding, Held, Waiting};
pub use order::{Order, OrderEdge};
pub use stalls::Stalled;
#[cfg(all(feature = "loop", target_os = "linux"))]
pub(crate) use step::Details;
pub use step::{Step, StepKind};
pub use value::{Outcome, Report};
pub(crate) use words::file_line;
pub use words::{describe, describe_stalls, order_note};
