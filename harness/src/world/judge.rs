//! Judges over what was recorded.
//!
//! Key functions: [`judge_events`]. What is damaged is judged up to the damage: the findings until then
//! are true of the run, and the report says where it stops.

use std::io::BufRead;

use crate::error::{Error, Result};
use crate::event::{EventReader, Names};
use crate::report::{Report, describe};
use crate::witness::Witness;

/// What a recording came to.
#[derive(Debug)]
#[must_use]
pub struct Judged {
    /// What was found, up to the damage if there is any.
    pub report: Report,
    /// Why the rest could not be read.
    pub damage: Option<Error>,
}

/// Judges an event file.
///
/// # Errors
/// Input, where the file's first line is not the header of an event file of this version. Whatever is
/// wrong further down is [`Judged::damage`].
pub fn judge_events(input: impl BufRead) -> Result<Judged> {
    let mut reader = EventReader::new(input)?;
    let (mut witness, mut damage) = (Witness::new(), None);
    for event in reader.by_ref() {
        match event {
            Ok(event) => drop(witness.observe(&event)),
            Err(error) => damage = Some(error),
        }
    }
    let header = reader.header();
    let mut report = described(&witness, reader.names(), [&header.name, &header.tier, &header.era]);
    if let Some(damage) = &damage {
        report.notes.push(format!("judged up to the damage: {damage}"));
    }
    Ok(Judged { report, damage })
}

fn described(witness: &Witness, names: &Names, [name, tier, era]: [&str; 3]) -> Report {
    let findings = witness.findings().iter().map(|finding| describe(finding, names)).collect();
    Report::new(name, tier, era, findings)
}
