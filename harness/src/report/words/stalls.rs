//! Words for how long tasks waited.
//!
//! Key function: [`describe_stalls`].

use super::names::thing;
use super::sites::place;
use crate::event::Names;
use crate::report::stalls::Stalled;
use crate::witness::{Stall, StallCause};

/// A report lists these many; the others are shorter.
const MAX_STALLS: usize = 5;

/// Puts the longest of `stalls` into words, up to five. Waits that took no time are left out.
#[must_use]
pub fn describe_stalls(stalls: &[(StallCause, Stall)], names: &Names) -> Vec<Stalled> {
    let long = stalls.iter().filter(|(_, stall)| stall.longest.0 > 0).take(MAX_STALLS);
    long.map(|(waited_for, stall)| Stalled {
        on: thing(*waited_for, names),
        waits: stall.waits,
        total_ns: stall.total.0,
        longest_ns: stall.longest.0,
        task: names.task(stall.task).to_owned(),
        site: place(stall.site).unwrap_or_default(),
        open: stall.open,
    })
    .collect()
}
