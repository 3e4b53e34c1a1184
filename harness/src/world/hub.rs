//! `Hub`: where the simulated kernel's events meet the judges.
//!
//! Key types: [`Hub`], [`Heard`]. The hub shows each event to the judges and turns what they find
//! into a reaction: a deadlock is broken at a wait that may be broken, or else the world ends;
//! other findings change nothing. The judges themselves change nothing at all.

use std::sync::Arc;

use crate::error::Result;
use crate::event::{Event, EventKind, Names, Observer, Reaction, TaskId, WaitOutcome};
use crate::recording::Recorder;
use crate::sched::SpinLock;
use crate::units::{Nanos, Pages};
use crate::witness::oracle::Pairs;
use crate::witness::order::Cycle;
use crate::witness::stalls::{Stall, Thing};
use crate::witness::{Code, Finding, OrderGraph, Witness};

/// What a run's hub has heard; shared between the scheduler, which tells, and the world, which
/// asks.
#[derive(Default)]
pub(super) struct Heard {
    witness: Witness,
    /// The event that closed the last broken cycle, and whose wait is to end.
    broken: Option<(Nanos, TaskId)>,
    /// From the event that closed a cycle to the end of the wait that was broken for it.
    latency: Option<Nanos>,
    recorder: Option<Recorder>,
    reclaimed: bool,
    deaf: bool,
}

/// The observer of a world.
#[derive(Clone)]
pub(super) struct Hub(Arc<SpinLock<Heard>>);

impl Hub {
    /// The observer of a run that `witness` judges.
    pub(super) fn new(witness: Witness) -> Self {
        Self(Arc::new(SpinLock::new(Heard { witness, ..Heard::default() })))
    }

    /// The observer of a run that nobody judges.
    pub(super) fn deaf() -> Self {
        Self(Arc::new(SpinLock::new(Heard { deaf: true, ..Heard::default() })))
    }

    /// What was shown about order.
    pub(super) fn learned(&self) -> OrderGraph {
        self.0.lock().witness.order().cloned().unwrap_or_default()
    }

    /// Cycles that only the class view of the order has.
    pub(super) fn aside(&self) -> Vec<Cycle> {
        self.0.lock().witness.aside().to_vec()
    }

    /// The same, which also writes what it hears.
    pub(super) fn recording(self, recorder: Option<Recorder>) -> Self {
        self.0.lock().recorder = recorder;
        self
    }

    /// Ends the recording, if there is one.
    ///
    /// # Errors
    /// The first that writing met.
    pub(super) fn end_recording(&self, names: &Names) -> Result<()> {
        let recorder = self.0.lock().recorder.take();
        recorder.map_or(Ok(()), |recorder| recorder.finish(names))
    }

    /// The run has ended.
    pub(super) fn settle(&self) {
        self.0.lock().witness.settle();
    }

    /// What was found so far.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.0.lock().witness.findings().to_vec()
    }

    /// How long tasks stood, the longest wait first.
    pub(super) fn stalls(&self) -> Vec<(Thing, Stall)> {
        self.0.lock().witness.stalls().longest_first()
    }

    /// What the policy permits against what is safe, where the oracle was asked.
    pub(super) fn pairs(&self) -> Option<Pairs> {
        self.0.lock().witness.pairs()
    }

    /// Whether anybody reclaimed.
    pub(super) fn reclaimed(&self) -> bool {
        self.0.lock().reclaimed
    }

    /// How deep the reserves were drawn on, and the min watermark, if they were.
    pub(super) fn reserves_drawn(&self) -> Option<(Pages, Pages)> {
        self.0.lock().witness.view().reserves_drawn()
    }

    /// How long it took from closing the cycle to breaking it.
    pub(super) fn latency(&self) -> Option<Nanos> {
        self.0.lock().latency
    }
}

impl Observer for Hub {
    fn observe(&mut self, event: &Event, names: &Names) -> Reaction {
        let mut heard = self.0.lock();
        if let Some(recorder) = &mut heard.recorder {
            recorder.record(event, names);
        }
        heard.observe(event, names)
    }

    fn found(&self) -> usize {
        self.0.lock().witness.findings().len()
    }
}

impl Heard {
    fn observe(&mut self, event: &Event, names: &Names) -> Reaction {
        if self.deaf {
            return Reaction::Go;
        }
        self.time_the_break(event);
        self.reclaimed |= matches!(event.kind, EventKind::ReclaimEnter { .. });
        let found = self.witness.observe(event, names);
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
