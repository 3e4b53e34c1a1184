//! From lines of tracefs to events.
//!
//! Key types: [`Trace`], [`Doing`]. The files that handle the events say what each means; this file
//! has what all share: the clock, lost lines, and ends that are not recorded. Where a recording has
//! no end events of a kind at all, what was begun ends at the task's next event of another kind.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::trace_line::{STACK, TraceLine};
use super::{block, probe, reclaim, work};
use crate::event::{EventKind, LayerRef, ShrinkerId, TaskId, WorkId};
use crate::units::Nanos;

/// What a task is in the middle of.
#[derive(Debug, Default)]
pub(super) struct Doing {
    pub(super) reclaim: Option<Reclaiming>,
    /// The scans that it is in, with what ends them.
    pub(super) scans: Vec<(String, ShrinkerId)>,
    pub(super) work: Option<Working>,
}

/// A reclaim under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reclaiming {
    /// It was recorded, and its end will be.
    Recorded,
    /// It was recorded; ends are not.
    Endless,
    /// A scan shows that there is one.
    Implied,
}

/// A work item under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Working {
    pub(super) work: WorkId,
    pub(super) layer: Option<LayerRef>,
    /// No end of it will be recorded.
    pub(super) endless: bool,
}

/// A trace under way.
#[derive(Debug)]
pub(super) struct Trace<'a> {
    /// The events and returns that occur in the text.
    pub(super) ends: BTreeSet<&'a str>,
    pub(super) tasks: BTreeMap<u32, Doing>,
    pub(super) in_flight: block::InFlight,
    /// Events that the kernel says it lost.
    pub(super) lost: u64,
    /// Begins whose end is missing though ends are recorded, and ends whose begin is.
    pub(super) unpaired: u64,
    first: Option<Nanos>,
    last: Nanos,
}

impl<'a> Trace<'a> {
    pub(super) fn new(ends: BTreeSet<&'a str>) -> Self {
        Self {
            ends,
            tasks: BTreeMap::new(),
            in_flight: block::InFlight::default(),
            lost: 0,
            unpaired: 0,
            first: None,
            last: Nanos(0),
        }
    }

    /// Reads one line; whether it was understood.
    pub(super) fn read(
        &mut self,
        line: &TraceLine<'_>,
        number: u32,
        to: &mut History,
    ) -> Result<bool, String> {
        if !line.whole {
            return Err("the line is cut off".to_owned());
        }
        if line.time < self.last {
            return Err(format!("the clock goes back from {} to {}", self.last, line.time));
        }
        self.last = line.time;
        if line.event == STACK {
            return Ok(true);
        }
        let first = *self.first.get_or_insert(line.time);
        to.clock(line.time - first);
        to.at(number);
        let Some(task) = to.task(line.comm, line.pid) else {
            return Ok(false);
        };
        self.end_the_endless(task, line, to);
        if line.fields.starts_with('(') {
            return probe::read(self, task, line, to);
        }
        Ok(reclaim::read(self, task, line, to)?
            || block::read(self, task, line, to)?
            || work::read(self, task, line, to)?)
    }

    pub(super) fn doing(&mut self, pid: u32) -> &mut Doing {
        self.tasks.entry(pid).or_default()
    }

    fn end_the_endless(&mut self, task: TaskId, line: &TraceLine<'_>, to: &mut History) {
        let doing = self.doing(line.pid);
        if let Some(working) = doing.work.take_if(|work| work.endless) {
            work::end(task, working, to);
        }
        if doing.reclaim == Some(Reclaiming::Endless) && !reclaim::is_part(line.event) {
            doing.reclaim = None;
            to.on(task, EventKind::ReclaimExit { freed: 0, priority: reclaim::PRIORITY });
        }
    }

    /// What the reader should know.
    pub(super) fn notes(&self, notes: &mut Vec<String>) {
        if self.lost > 0 {
            notes.push(format!(
                "the kernel lost {} events: what is missing may have been wrong",
                self.lost
            ));
        }
        if self.unpaired > 0 {
            notes.push(format!("{} events have no counterpart in the recording", self.unpaired));
        }
    }
}

/// The value of `key=value`.
pub(super) fn field<'l>(fields: &'l str, key: &str) -> Option<&'l str> {
    fields.split([' ', ',']).find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The value of `key=value`; that it is missing means that the line is cut off.
pub(super) fn need<T>(event: &str, key: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("`{event}` has no {key}, or one that cannot be read"))
}
