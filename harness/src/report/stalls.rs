//! How long tasks waited for one thing.
//!
//! Key type: [`Stalled`].

use core::fmt;

use serde::{Deserialize, Serialize};

/// The waits for one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stalled {
    /// What was waited for: `lock dm_bufio_client of bufio:loop0`, `requests of loop0`.
    pub on: String,
    /// How many waits began.
    pub waits: u64,
    /// Nanoseconds of all of them together, virtual on the model tier.
    pub total_ns: u64,
    /// Nanoseconds of the longest.
    pub longest_ns: u64,
    /// The task that waited longest.
    pub task: String,
    /// The source line of that wait, `file:line`.
    pub site: String,
    /// Whether that wait had not ended when the run did.
    pub open: bool,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, waits, total_ns, longest_ns, task, site, open } = self;
        let end = if *open { ", to the end" } else { "" };
        write!(
            f,
            "{task} waited {longest_ns} ns for {on} at {site}{end}; waits: {waits}, in all {total_ns} ns"
        )
    }
}
