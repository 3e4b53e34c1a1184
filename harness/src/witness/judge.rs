//! `Judge`: what every judge implements, and what it is shown.
//!
//! Key types: [`Judge`], [`Moment`], [`Learned`]. `judges/mod.rs` says how a new judge is added.

use crate::event::{Event, Names};
use crate::witness::{Cycle, Finding, OrderGraph, Pairs, Reads, View};

/// One event, and what a judge may look at beside it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The event.
    pub event: &'a Event,
    /// The world as the events tell it, this one included.
    pub view: &'a View,
    /// What tasks, locks and queues are called.
    pub names: &'a Names,
}

/// Reads events and adds findings.
///
/// A judge changes nothing in the run, and keeps no more than it needs to tell a new finding from
/// one that it made before. It must not depend on any order but that of the events, so that the
/// same run gives the same findings.
pub trait Judge: Send {
    /// The subjects of the events that the judge has to be shown. It must find the same if it is
    /// shown other events too.
    fn reads(&self) -> Reads;

    /// Judges one event. `out` holds every finding of the run so far; new ones are appended.
    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>);

    /// The run has ended: completes `findings` with what only the whole run shows.
    fn settle(&mut self, findings: &mut [Finding]) {
        let _ = findings;
    }

    /// What the judge learned beside its findings.
    fn learned(&self) -> Learned<'_> {
        Learned::default()
    }
}

/// What a judge learned beside its findings. Most judges learn nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learned<'a> {
    /// RD03: the order in which things were taken.
    pub order: Option<&'a OrderGraph>,
    /// RD03: cycles that only the class view has, where those are no findings.
    pub aside: &'a [Cycle],
    /// RD03: what the policy permits against what is safe.
    pub pairs: Option<Pairs>,
}
