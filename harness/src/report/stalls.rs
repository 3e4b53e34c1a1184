//! Words for how long tasks stood.
//!
//! Key types: [`Stalled`]; [`describe`] makes them from the account of a run.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{order, words};
use crate::event::Names;
use crate::witness::{Stall, StallCause};

/// A report names these many; the others are shorter.
const MAX_STALLS: usize = 5;

/// The waits for one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stalled {
    /// What was waited for: `lock dm_bufio_client of bufio:loop0`, `requests of loop0`.
    pub on: String,
    /// How many waits began.
    pub waits: u64,
    /// Nanoseconds of all of them together, virtual on the model tier.
    pub total_ns: u64,
    /// Nanoseconds of the longest.
    pub longest_ns: u64,
    /// Who stood longest.
    pub task: String,
    /// Where, as `file:line`.
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
            "{task} stood {longest_ns} ns for {on} at {site}{end}; all {waits}: {total_ns} ns"
        )
    }
}

/// The longest of `stalls`, in words. Waits that took no time are none.
#[must_use]
pub fn describe(stalls: &[(StallCause, Stall)], names: &Names) -> Vec<Stalled> {
    let long = stalls.iter().filter(|(_, stall)| stall.longest.0 > 0).take(MAX_STALLS);
    long.map(|(thing, stall)| Stalled {
        on: order::thing(*thing, names),
        waits: stall.waits,
        total_ns: stall.total.0,
        longest_ns: stall.longest.0,
        task: names.task(stall.task).to_owned(),
        site: words::site(stall.site),
        open: stall.open,
    })
    .collect()
}
