//! `Hub`: where the simulated kernel's events meet the judges.
//!
//! Key types: [`Hub`], [`Observed`]. The hub shows each event to the judges and turns their
//! findings into a reaction: a deadlock is broken at a wait that may be broken, or else the world
//! ends; other findings change nothing. The judges themselves change nothing at all. When the
//! execution has ended, the hub gives away everything that it observed.

use std::sync::Arc;

use super::seen::Seen;
use crate::event::{Event, EventKind, Names, Observer, Reaction, TaskId, WaitOutcome};
use crate::recording::Recorder;
use crate::sched::SpinLock;
use crate::units::Nanos;
use crate::witness::{Code, Witness};

/// What was observed of one execution.
#[derive(Default)]
pub(super) struct Observed {
    /// All judges and what they found; none where the run is unjudged.
    pub(super) witness: Option<Witness>,
    /// The event that closed the last broken cycle, and the task whose wait is to end.
    broken: Option<(Nanos, TaskId)>,
    /// From the event that closed a cycle to the end of the wait that was broken for it.
    pub(super) latency: Option<Nanos>,
    /// Whether any task reclaimed.
    pub(super) reclaimed: bool,
    /// The file that the events go to.
    pub(super) recorder: Option<Recorder>,
    /// What the runs of a world went through, where somebody asks.
    seen: Option<Seen>,
    /// The world was aborted: what its tasks do while they unwind is not looked at.
    over: bool,
}

/// The observer of one execution. Clones share it: the scheduler sends events to one, and the world
/// reads results from another.
#[derive(Clone)]
pub(super) struct Hub(Arc<SpinLock<Observed>>);

impl Hub {
    /// The observer of an execution that `witness` judges, or none. Its events also go to
    /// `recorder`, if there is one.
    pub(super) fn new(witness: Option<Witness>, recorder: Option<Recorder>) -> Self {
        Self(Arc::new(SpinLock::new(Observed { witness, recorder, ..Observed::default() })))
    }

    /// The same, which also tells `seen`.
    pub(super) fn telling(self, seen: Option<Seen>) -> Self {
        self.0.lock().seen = seen;
        self
    }

    /// The execution has ended: gives away what was observed. Later events go nowhere.
    pub(super) fn close(&self) -> Observed {
        Self::settle(std::mem::take(&mut *self.0.lock()))
    }

    /// The same for an execution that does not end; none where its thread is in the middle of an
    /// event.
    pub(super) fn try_close(&self) -> Option<Observed> {
        Some(Self::settle(std::mem::take(&mut *self.0.try_lock()?)))
    }

    fn settle(mut observed: Observed) -> Observed {
        if let Some(witness) = &mut observed.witness {
            witness.settle();
        }
        observed
    }
}

impl Observer for Hub {
    fn observe(&mut self, event: &Event, names: &Names) -> Reaction {
        self.0.lock().observe(event, names)
    }

    fn aborted(&mut self) {
        self.0.lock().over = true;
    }
}

impl Observed {
    fn observe(&mut self, event: &Event, names: &Names) -> Reaction {
        if self.over {
            return Reaction::Go;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.record(event, names);
        }
        self.time_the_break(event);
        if let Some(seen) = &self.seen {
            seen.observe(event);
        }
        self.reclaimed |= matches!(event.kind, EventKind::ReclaimEnter { .. });
        let Some(witness) = &mut self.witness else {
            return Reaction::Go;
        };
        let found = witness.observe(event, names);
        let Some(deadlock) = found.iter().find(|finding| finding.code == Code::RD04) else {
            return Reaction::Go;
        };
        match deadlock.breakable.first() {
            Some(victim) => {
                self.broken = Some((event.time, *victim));
                Reaction::Break(*victim)
            }
            None => Reaction::Abort,
        }
    }

    fn time_the_break(&mut self, event: &Event) {
        let Some((closed, victim)) = self.broken else {
            return;
        };
        let ended =
            matches!(event.kind, EventKind::WaitEnd { outcome: WaitOutcome::Broken(_), .. });
        if ended && event.task == victim {
            self.latency.get_or_insert(event.time - closed);
            self.broken = None;
        }
    }
}
