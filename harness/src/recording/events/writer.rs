//! The writing side.

use std::io::Write;

use serde::Serialize;

use super::Header;
use super::declared::{Declaration, Numbers};
use super::form::Form;
use crate::error::{Error, Result};
use crate::event::{Event, Names};

/// Writes events as they come. [`EventWriter::finish`] ends the file; one that was not ended reads
/// as cut off.
#[derive(Debug)]
#[must_use = "a file without its end line reads as cut off: call `finish`"]
pub struct EventWriter<W> {
    out: W,
    numbers: Numbers,
    events: u64,
}

impl<W: Write> EventWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// An error of `out`.
    pub fn new(out: W, header: &Header) -> Result<Self> {
        let mut writer = Self { out, numbers: Numbers::default(), events: 0 };
        writer.line(header)?;
        Ok(writer)
    }

    /// Writes one event, after the declarations that it needs.
    ///
    /// # Errors
    /// An error of `out`.
    pub fn write(&mut self, event: &Event, names: &Names) -> Result<()> {
        self.numbers.names(names);
        let form = Form::of(event.kind, &mut self.numbers);
        self.declare()?;
        self.events += 1;
        self.line(&(event.seq, event.time, event.task, form))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// An error of `out`.
    pub fn finish(mut self, names: &Names) -> Result<W> {
        self.numbers.names(names);
        self.declare()?;
        self.line(&Declaration::End { events: self.events })?;
        self.out.flush().map_err(cannot_write)?;
        Ok(self.out)
    }

    fn declare(&mut self) -> Result<()> {
        for declaration in std::mem::take(&mut self.numbers.pending) {
            self.line(&declaration)?;
        }
        Ok(())
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(|error| cannot_write(error.into()))?;
        self.out.write_all(b"\n").map_err(cannot_write)
    }
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::os("cannot write the events").because(error)
}
