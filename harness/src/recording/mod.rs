//! Recordings: histories that are judged later or elsewhere than where they happened.
//!
//! Key functions: [`judge_events`], [`judge_recording`]. Key types: [`EventWriter`],
//! [`EventReader`], [`Imported`].
//!
//! | module | holds |
//! |---|---|
//! | `events` | event files: a run's events as text, one line each; reading, writing, recording |
//! | `kernel` | texts that a real kernel wrote about itself, as events |
//! | `judge` | the judges over both |
//!
//! Neither `events` nor `kernel` knows a judge; only `judge` imports `witness` and `report`.

mod events;
mod judge;
mod kernel;

pub(crate) use events::Recorder;
pub use events::{EventReader, EventWriter, Header};
pub use judge::{Judged, judge_events, judge_recording};
pub use kernel::{Imported, import};
