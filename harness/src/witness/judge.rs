//! `Judge`: what every judge implements, and what it is shown.
//!
//! Key types: [`Judge`], [`Moment`], [`Learned`], [`JudgeOptions`]. `judges/mod.rs` says how to add
//! a judge.

use crate::event::{Event, Names};
use crate::units::Ticks;
use crate::witness::{Cycle, Finding, OrderGraph, Pairs, Reads, View};

/// A convoy is a longer wait than this, where nothing else is set.
const CONVOY_BOUND: Ticks = Ticks(100);

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

/// Which judges a run has beside those that every run has.
#[derive(Clone, Debug)]
pub struct JudgeOptions {
    /// RD03: judge the order in which things are taken, starting from this graph.
    pub order: Option<OrderGraph>,
    /// RD03: a cycle that only the class view has is a finding. Otherwise it is kept aside.
    pub class_view: bool,
    /// RD03: judge what each allocation could lead to, as the stack was declared.
    pub oracle: bool,
    /// RD11: report scopes and masks that restrict too much.
    pub lints: bool,
    /// RD09: tasks may stand behind a lock for less than this.
    pub convoy_bound: Ticks,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self {
            order: None,
            class_view: false,
            oracle: false,
            lints: false,
            convoy_bound: CONVOY_BOUND,
        }
    }
}
