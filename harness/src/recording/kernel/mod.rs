//! Texts that a real kernel wrote about itself, as events that the judges can read.
//!
//! Key type: [`Imported`]; key function: [`import`]. Three kinds of text are read, alone or mixed:
//! trace events of tracefs (`trace`), `/proc/PID/task/TID/stack`, and what the hung-task detector,
//! sysrq or a crash tool prints about blocked tasks. Trace events say what happened; stacks say
//! where tasks stand, and what they hold and wait for is inferred from the functions they are in.
//! Where the text does not say which task must act, the wait has no edge, so a stall alone is never
//! a deadlock.
//!
//! | module | holds |
//! |---|---|
//! | `symbols` | the table of functions: which layer, which kind of wait, what is held inside |
//! | `masks` | gfp masks as kernels print them |
//! | `history` | events under construction: numbers, names, the clock |
//! | `trace_line`, `trace`, `reclaim`, `block`, `work`, `probe` | one line of tracefs, and from lines to events |
//! | `frame`, `stacks` | one line of a stack, and from lines to blocked tasks |
//! | `infer` | from blocked tasks to events |
//!
//! Written from docs/kernel/report-texts.md. Nothing here knows a judge.

mod block;
mod frame;
mod history;
mod infer;
mod masks;
mod probe;
mod reclaim;
mod stacks;
mod symbols;
#[cfg(test)]
mod tests;
mod trace;
mod trace_line;
mod work;

use std::collections::BTreeSet;

use crate::error::Error;
use crate::event::{Event, Names};
use history::History;
use stacks::Stacks;
use trace::Trace;
use trace_line::TraceLine;

/// A line longer than this is not of a kernel.
const MAX_LINE: usize = 1 << 16;

/// A recording as events.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// What happened, in order; of stacks, what must have happened.
    pub events: Vec<Event>,
    /// What the numbers in the events are called.
    pub names: Names,
    /// The kernel's release, where the text says it.
    pub release: Option<String>,
    /// What was not understood, what was lost, what was inferred.
    pub notes: Vec<String>,
    /// Why the rest could not be read.
    pub damage: Option<Error>,
}

/// Reads `text`; `name` is what source lines are called: the file.
///
/// A line of a shape that is not known is counted, not refused: consoles print everything. A line
/// that begins as a known one and does not go on as one is damage, and nothing after it is read.
#[must_use]
pub fn import(name: &str, bytes: &[u8]) -> Imported {
    let (text, mut damage) = readable(bytes);
    let mut history = History::new(name);
    let mut trace = Trace::new(ends(text));
    let mut stacks = Stacks::default();
    let mut unknown = Unknown::default();
    let mut offset = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let read = read(line.trim_end(), number, &mut history, &mut trace, &mut stacks);
        match read {
            Ok(true) => {}
            Ok(false) => unknown.count(number),
            Err(what) => {
                damage = Some(Error::input(format!("line {number}, byte {offset}: {what}")));
                break;
            }
        }
        offset += line.len();
    }
    let (tasks, release) = stacks.finish();
    infer::infer(&tasks, &mut history);
    trace.notes(&mut history.notes);
    unknown.note(&mut history.notes);
    let History { events, names, notes, .. } = history;
    Imported { events, names, release, notes, damage }
}

/// Lines that nothing here reads.
#[derive(Default)]
struct Unknown {
    lines: u64,
    first: u32,
}

impl Unknown {
    fn count(&mut self, number: u32) {
        if self.lines == 0 {
            self.first = number;
        }
        self.lines += 1;
    }

    fn note(&self, notes: &mut Vec<String>) {
        if self.lines > 0 {
            notes.push(format!(
                "{} lines were not understood, the first is line {}",
                self.lines, self.first
            ));
        }
    }
}

/// The text up to the first byte that is not UTF-8.
fn readable(bytes: &[u8]) -> (&str, Option<Error>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let end = error.valid_up_to();
            let line = bytes[..end].iter().filter(|byte| **byte == b'\n').count() + 1;
            let what = format!("line {line}, byte {end}: this is not text");
            // The line that it breaks off in is not read.
            let whole = bytes[..end]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |newline| newline + 1);
            (std::str::from_utf8(&bytes[..whole]).unwrap_or(""), Some(Error::input(what)))
        }
    }
}

/// The events and returns that occur at all. A begin whose end was never recorded must not look
/// like a call that never returned.
fn ends(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter_map(TraceLine::parse);
    lines.map(|line| probe::returned(line.fields).unwrap_or(line.event)).collect()
}

/// Reads one line; whether it was understood.
fn read(
    line: &str,
    number: u32,
    history: &mut History,
    trace: &mut Trace<'_>,
    stacks: &mut Stacks,
) -> Result<bool, String> {
    if line.len() > MAX_LINE {
        return Err(format!("a line of more than {MAX_LINE} bytes"));
    }
    if let Some(line) = TraceLine::parse(line) {
        return trace.read(&line, number, history);
    }
    if trace_line::is_frame_or_comment(line) {
        return Ok(true);
    }
    if let Some(lost) = trace_line::lost(line) {
        trace.lost += lost;
        return Ok(true);
    }
    stacks.read(line, number)
}
