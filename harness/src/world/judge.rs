//! Judges over what was recorded.
//!
//! Key functions: [`judge_events`], [`judge_recording`]. What is damaged is judged up to the
//! damage: the findings until then are true of the run, and the report says where it stops.

use std::io::BufRead;

use crate::error::{Error, Result};
use crate::event::{EventReader, Names};
use crate::recording::{Imported, import};
use crate::report::{Report, describe};
use crate::witness::{JudgeOptions, OrderGraph, Witness};

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
/// Input, where the file's first line is not the header of an event file of this version. Whatever
/// is wrong further down is [`Judged::damage`].
pub fn judge_events(input: impl BufRead) -> Result<Judged> {
    let mut reader = EventReader::new(input)?;
    let options = JudgeOptions { order: Some(OrderGraph::default()), ..JudgeOptions::default() };
    let (mut witness, mut damage) = (Witness::new(options), None);
    while let Some(event) = reader.next() {
        match event {
            Ok(event) => drop(witness.observe(&event, reader.names())),
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

/// Judges what a real kernel wrote about itself; `name` is what source lines are called: the file.
///
/// # Errors
/// Input, where the text has nothing of a kernel in it that is understood. Whatever is wrong with
/// the rest is [`Judged::damage`].
pub fn judge_recording(name: &str, text: &[u8]) -> Result<Judged> {
    let Imported { events, names, release, mut notes, damage } = import(name, text);
    if events.is_empty() {
        let advice =
            "trace events of tracefs, /proc/PID/task/TID/stack and hung-task reports are read";
        return Err(damage
            .unwrap_or_else(|| Error::input(format!("{name} is no recording")))
            .advice(advice));
    }
    let mut witness = Witness::default();
    for event in &events {
        witness.observe(event, &names);
    }
    let release = release.as_deref().unwrap_or("unknown");
    let mut report = described(&witness, &names, [name, "kernel", release]);
    report.notes.append(&mut notes);
    if let Some(damage) = &damage {
        report.notes.push(format!("judged up to the damage: {damage}"));
    }
    Ok(Judged { report, damage })
}

fn described(witness: &Witness, names: &Names, [name, tier, era]: [&str; 3]) -> Report {
    let findings = witness.findings().iter().map(|finding| describe(finding, names)).collect();
    Report::new(name, tier, era, findings)
}
