//! Reports: what a run found, as a value, and every form in which it can be read.
//!
//! A [`Report`] owns its strings and knows nothing of the world that it came from, so it can cross
//! a process boundary and be read years later. [`describe()`] turns a judge's finding into words.
//!
//! | module | holds |
//! |---|---|
//! | [`value`] | [`Report`], [`Outcome`]: the value and its JSON |
//! | [`finding`] | [`Finding`], [`Step`]: one finding in words |
//! | [`describe`](mod@describe) over `words` | from numbers and [`crate::event::Names`] to words |
//! | [`order`] | the words of an order that cannot be kept |
//! | [`stalls`] | how long tasks stood, in words |
//! | `text` over `page` and `columns` | the seven parts of a report as plain ASCII |
//! | `html` | the same as one file for a browser, with pictures |
//! | `github` | the same as annotations and a job summary |
//! | [`files`] | every form, as files in a folder |
//! | `timeline` | the same as tracks and slices for Perfetto |
//!
//! Written from the project's description of reclaim, sections 5.4 and 7.0. No report holds an
//! address, and the same run gives the same bytes.

mod columns;
pub mod describe;
mod expect;
pub mod files;
pub mod finding;
mod github;
mod html;
pub mod order;
mod page;
#[cfg(test)]
mod samples;
pub mod stalls;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
pub mod value;
mod words;

pub use describe::describe;
pub use finding::{Edge, Finding, Held, Link, Order, Ordered, Step};
pub use stalls::Stalled;
pub use value::{Outcome, Report};
