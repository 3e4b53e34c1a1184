//! The judges over recordings.
//!
//! Key functions: [`judge_events`], [`judge_recording`]. A damaged recording is judged up to the
//! damage: the findings until then are true of the run, and the report says where it stops.

use std::collections::BTreeSet;
use std::io::BufRead;

use super::{EventReader, Imported, import};
use crate::error::{Error, Result};
use crate::event::{Event, EventKind, Names};
use crate::report::{Report, describe};
use crate::witness::{JudgeOptions, OrderGraph, Witness};

/// The result of judging a recording.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Judged {
    /// The findings, up to the damage if there is any.
    pub report: Report,
    /// Why the rest could not be read.
    pub damage: Option<Error>,
    /// Of a kernel's text in which nothing was found: how many tasks wait at its end. The text does
    /// not say who must act for them, so nothing can be said about them.
    pub unexplained: usize,
}

/// Judges an event file.
///
/// # Errors
/// Input, where the first line is not the header of an event file of this version. An error in a
/// later line is returned as [`Judged::damage`].
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
    let run = [header.name.as_str(), &header.tier, &header.era];
    Ok(judged(&witness, reader.names(), run, Vec::new(), damage))
}

/// Judges text that a real kernel wrote about itself. `name` is the file's name in source lines.
///
/// # Errors
/// Input, where no line of the text is understood. An error after the first event is returned as
/// [`Judged::damage`].
pub fn judge_recording(name: &str, text: &[u8]) -> Result<Judged> {
    let Imported { events, names, release, notes, damage } = import(name, text);
    if events.is_empty() {
        let advice =
            "trace events of tracefs, /proc/PID/task/TID/stack and hung-task reports are read";
        return Err(damage
            .unwrap_or_else(|| Error::input(format!("{name} is not a recording")))
            .advice(advice));
    }
    let mut witness = Witness::default();
    for event in &events {
        witness.observe(event, &names);
    }
    let release = release.as_deref().unwrap_or("unknown");
    let mut judged = judged(&witness, &names, [name, "kernel", release], notes, damage);
    if judged.report.is_quiet() {
        judged.unexplained = waiting(&events);
    }
    if judged.unexplained > 0 {
        judged.report.notes.push(format!(
            "inconclusive: tasks that wait, for whom the text does not say who must act: {}",
            judged.unexplained
        ));
    }
    Ok(judged)
}

/// How many tasks wait when the events end.
fn waiting(events: &[Event]) -> usize {
    let mut waiting = BTreeSet::new();
    for event in events {
        match event.kind {
            EventKind::WaitBegin { .. } => _ = waiting.insert(event.task),
            EventKind::WaitEnd { .. } => _ = waiting.remove(&event.task),
            _ => {}
        }
    }
    waiting.len()
}

fn judged(
    witness: &Witness,
    names: &Names,
    [name, tier, era]: [&str; 3],
    notes: Vec<String>,
    damage: Option<Error>,
) -> Judged {
    let findings = witness.findings().iter().map(|finding| describe(finding, names)).collect();
    let mut report = Report::new(name, tier, era, findings);
    report.notes = notes;
    report.notes.extend(damage.as_ref().map(|damage| format!("judged up to the damage: {damage}")));
    Judged { report, damage, unexplained: 0 }
}
