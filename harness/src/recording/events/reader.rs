//! The reading side: one line at a time, up to the first that cannot follow those before it.
//!
//! Key type: [`EventReader`]. Positions must follow each other, the clock must not go back, and the
//! history must be possible (`history`). A file in which lines are missing, exchanged or changed
//! would otherwise be judged as another run.

use std::fmt::Display;
use std::io::{BufRead, Read as _};

use super::declared::{Declaration, Declared};
use super::form::Form;
use super::history::History;
use super::{Header, VERSION};
use crate::error::{Error, Result};
use crate::event::{Event, Names, TaskId};
use crate::units::Nanos;

/// A longer line is refused.
const MAX_LINE: usize = 1 << 20;
/// A larger task number is refused.
const MAX_TASKS: usize = 1 << 16;

/// Reads events one at a time; an iterator that ends after the file's end line or the first error.
#[derive(Debug)]
pub struct EventReader<R> {
    input: R,
    header: Header,
    declared: Declared,
    line: Vec<u8>,
    /// The number of the current line, from 1, and the offset of its first byte.
    place: (u64, u64),
    events: u64,
    time: Nanos,
    /// What the events so far say; none where only their forms are read.
    history: Option<History>,
    ended: bool,
}

impl<R: BufRead> EventReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Input, where the first line is not the header of an event file, or is one of another
    /// version.
    pub fn new(input: R) -> Result<Self> {
        let header = Header::new("", "", "");
        let mut reader = Self {
            input,
            header,
            declared: Declared::default(),
            line: Vec::new(),
            place: (0, 0),
            events: 0,
            time: Nanos(0),
            history: Some(History::default()),
            ended: false,
        };
        if !reader.next_line()? {
            return Err(reader.error("the file is empty"));
        }
        reader.header = reader.parse_header()?;
        Ok(reader)
    }

    /// Reads forms alone: any event may follow any other.
    #[cfg(test)]
    pub(super) fn of_any_history(mut self) -> Self {
        self.history = None;
        self
    }

    /// The header: which run the events are of.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The names declared so far.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.declared.names
    }

    fn parse_header(&self) -> Result<Header> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Version {
            reclaimdep_events: u32,
        }
        let advice = "an event file begins with {\"reclaimdep-events\":2,..}";
        let bad = |error| self.error("this is not an event file").because(error).advice(advice);
        let Version { reclaimdep_events: version } =
            serde_json::from_slice(&self.line).map_err(bad)?;
        if version != VERSION {
            let what = format!("the events have version {version}, this reader knows {VERSION}");
            return Err(self.error(what).advice("read them with the release that wrote them"));
        }
        serde_json::from_slice(&self.line).map_err(bad)
    }

    /// The next event, or none after the end line.
    fn advance(&mut self) -> Result<Option<Event>> {
        while self.next_line()? {
            if self.line.first() == Some(&b'[') {
                return self.event().map(Some);
            }
            let declaration: Declaration = serde_json::from_slice(&self.line).map_err(|error| {
                self.error("this is neither an event nor a declaration").because(error)
            })?;
            if let Declaration::End { events } = declaration {
                return self.end(events).map(|()| None);
            }
            self.declared.take(declaration).map_err(|error| self.error(error))?;
        }
        let what = format!(
            "the file ends after {} events without its end line: it was cut off",
            self.events
        );
        Err(self.error(what))
    }

    fn event(&mut self) -> Result<Event> {
        let (seq, time, task, form): (u64, Nanos, TaskId, Form) =
            serde_json::from_slice(&self.line)
                .map_err(|error| self.error("this is not an event").because(error))?;
        let kind = form.kind(&mut self.declared).map_err(|error| self.error(error))?;
        let event = Event { seq, time, task, kind };
        self.check(&event)?;
        self.events += 1;
        self.time = time;
        Ok(event)
    }

    /// Whether the event can follow those before it.
    fn check(&mut self, event: &Event) -> Result<()> {
        let Event { seq, time, task, .. } = *event;
        if seq != self.events {
            return Err(self.error(format!("event {seq} where event {} is due", self.events)));
        }
        if time < self.time {
            return Err(self.error(format!("the clock goes back from {} to {time}", self.time)));
        }
        if task.0 as usize >= MAX_TASKS {
            let what = format!("task {}: a world has at the most {MAX_TASKS}", task.0);
            return Err(self.error(what));
        }
        let Self { history, declared, .. } = self;
        let checked = history.as_mut().map_or(Ok(()), |all| all.take(event, &declared.names));
        checked.map_err(|wrong| {
            self.error(format!("event {seq}: {wrong}")).advice(
                "what follows is not judged; the file is damaged, or another program wrote it",
            )
        })
    }

    fn end(&mut self, events: u64) -> Result<()> {
        if events != self.events {
            return Err(self
                .error(format!("the end line counts {events} events, there are {}", self.events)));
        }
        match self.next_line()? {
            true => Err(self.error("lines after the end line")),
            false => Ok(()),
        }
    }

    /// Reads a line; whether there was one.
    fn next_line(&mut self) -> Result<bool> {
        self.place = (self.place.0 + 1, self.place.1 + self.line.len() as u64);
        self.line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line);
        match read {
            Ok(len) if len > MAX_LINE => {
                Err(self.error(format!("a line of more than {MAX_LINE} bytes")))
            }
            Ok(len) => Ok(len > 0),
            Err(error) => Err(Error::os(self.at("cannot be read")).because(error)),
        }
    }

    fn at(&self, what: impl Display) -> String {
        format!("line {}, byte {}: {what}", self.place.0, self.place.1)
    }

    fn error(&self, what: impl Display) -> Error {
        Error::input(self.at(what))
    }
}

impl<R: BufRead> Iterator for EventReader<R> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
