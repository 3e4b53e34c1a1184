//! One finding in words.
//!
//! Key types: [`Finding`], [`ClosingEdge`], [`Elsewhere`]. The chain is data: a tool can follow it
//! without parsing a sentence.

use serde::{Deserialize, Serialize};

use super::facts::Origin;
use super::order::Order;
use super::step::{Step, StepKind};
use crate::event::Trace;
use crate::units::Nanos;
use crate::witness::Code;

/// Which of the two kinds of edges closes a finding (docs/kernel/proposals.md, "The two edges").
/// They have different cures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClosingEdge {
    /// The allocation edge: the recursion is by an allocation of the task, or of the server,
    /// itself. A scope around that allocation can cut it.
    E1,
    /// The wait edge: a reclaimer waits for a task that must enter the layer that the reclaimer's
    /// scope forbids. No scope on that other task cuts it; one on the reclaimer may.
    E2,
}

impl ClosingEdge {
    /// What the edge is, in one sentence that holds for any task. [`Finding::closing`] names the
    /// tasks.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::E1 => {
                "allocation edge: an allocation of the task itself comes back; a scope around it can cut it"
            }
            Self::E2 => {
                "wait edge: a reclaimer waits for another task; no scope on that other task cuts it"
            }
        }
    }
}

/// A task and what it waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// The task that waits.
    pub task: String,
    /// What it waits for.
    pub resource: String,
}

/// What a task holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Held {
    /// The task.
    pub task: String,
    /// Its locks, in the order taken.
    pub locks: Vec<String>,
    /// Its scopes, outermost first.
    pub scopes: Vec<String>,
    /// The elements of pools that it has, in the order taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<String>,
    /// The conditions that it promised to signal, in the order promised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promises: Vec<String>,
}

impl Held {
    /// What `task` holds where it holds nothing.
    pub(super) fn nothing(task: String) -> Self {
        let none = Vec::new;
        Self { task, locks: none(), scopes: none(), elements: none(), promises: none() }
    }

    /// Locks, elements, promises, then scopes; one line that says so if it holds nothing.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { locks, scopes, elements, promises, .. } = self;
        let promises = promises.iter().map(|to| format!("the promise to signal {to}"));
        let scopes = scopes.iter().map(|scope| format!("scope {scope}"));
        let owed = elements.iter().cloned().chain(promises);
        let lines: Vec<String> = locks.iter().cloned().chain(owed).chain(scopes).collect();
        if lines.is_empty() { vec!["nothing".to_owned()] } else { lines }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// Its code.
    pub code: Code,
    /// The code in words.
    pub title: String,
    /// What happened, in one sentence.
    pub headline: String,
    /// Position in the world's history at which it was found.
    pub seq: u64,
    /// Time at which it was found.
    pub time: Nanos,
    /// The tasks in it, in the order of the chain.
    pub tasks: Vec<String>,
    /// Every step of the way.
    pub chain: Vec<Step>,
    /// Which edge closes it, where reclaim is part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<ClosingEdge>,
    /// What the edge means for the tasks of this finding, a sentence each: the edge first, then
    /// what a scope around each allocation that reclaims would take from its reclaim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closing: Vec<String>,
    /// The cycle, or the path, in one line.
    pub summary: String,
    /// What each task waits for.
    pub waits: Vec<Waiting>,
    /// Round the cycle, each task and what it waits for; empty where there is no cycle.
    pub cycle: Vec<Waiting>,
    /// Tasks whose wait the world may break.
    pub breakable: Vec<String>,
    /// What each task holds.
    pub held: Vec<Held>,
    /// What its tasks hold and wait for, as RD03 calls it: `requests of loop0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What more there is to say about a possible recursion (RD03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Which schedule showed it, where that is another than the reported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
    /// Of a finding that is part of a larger one: the position of that in
    /// [`Report::findings`](super::Report::findings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<usize>,
    /// Not in the JSON form.
    #[serde(skip)]
    pub(super) origin: Origin,
}

/// A schedule of the run that is not the reported one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Elsewhere {
    /// Its number, from 1.
    pub schedule: u64,
    /// Its choices.
    pub trace: Trace,
    /// The command that repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

impl Elsewhere {
    /// The schedule with this number, from 1, which made the choices `trace`.
    #[must_use]
    pub const fn new(schedule: u64, trace: Trace) -> Self {
        Self { schedule, trace, replay: None }
    }
}

impl Finding {
    /// A finding without a cycle, about what `tasks` do. `at` is the position in the world's
    /// history and the time.
    pub(crate) fn of_tasks(
        code: Code,
        headline: String,
        summary: String,
        tasks: Vec<String>,
        chain: Vec<Step>,
        at: (u64, Nanos),
    ) -> Self {
        Self {
            code,
            title: code.title().to_owned(),
            headline,
            seq: at.0,
            time: at.1,
            tasks,
            chain,
            edge: None,
            closing: Vec::new(),
            summary,
            waits: Vec::new(),
            cycle: Vec::new(),
            breakable: Vec::new(),
            held: Vec::new(),
            nodes: Vec::new(),
            order: None,
            elsewhere: None,
            part_of: None,
            origin: Origin::default(),
        }
    }

    /// The same finding as one of the reported schedule.
    pub(crate) fn of_reported(&self) -> Self {
        Self { elsewhere: None, ..self.clone() }
    }

    /// Whether the summary is a cycle, and not a path with two ends.
    pub(super) const fn is_cyclic(&self) -> bool {
        !self.cycle.is_empty() || self.order.is_some()
    }

    /// Whether the chain has `step` too, whatever it says of it.
    pub(super) fn has_step(&self, step: &Step) -> bool {
        let place = |step: &Step| (step.kind, step.seq);
        self.chain.iter().any(|own| own.task == step.task && place(own) == place(step))
    }

    /// The sentences about the edge that closes it; of a report that was read from a file without
    /// them, what any such edge means.
    pub(super) fn closing_sentences(&self) -> Vec<&str> {
        if self.closing.is_empty() {
            return self.edge.into_iter().map(ClosingEdge::meaning).collect();
        }
        self.closing.iter().map(String::as_str).collect()
    }

    /// The steps at which a task did something: all but the edges between tasks.
    pub(super) fn acts(&self) -> impl Iterator<Item = &Step> {
        self.chain.iter().filter(|step| step.kind != StepKind::Needs)
    }

    /// The same in the order in which they happened.
    pub(super) fn history(&self) -> Vec<&Step> {
        let mut acts: Vec<&Step> = self.acts().collect();
        acts.sort_by_key(|step| step.seq);
        acts
    }

    /// The edges between tasks.
    pub(super) fn needs(&self) -> impl Iterator<Item = &Step> {
        self.chain.iter().filter(|step| step.kind == StepKind::Needs)
    }

    /// The last step of each task: what it was doing when the finding was made.
    pub(super) fn states(&self) -> impl Iterator<Item = &Step> {
        let last = |task: &String| self.acts().filter(|step| step.task == *task).last();
        self.tasks.iter().filter_map(last)
    }

    /// The chain with its numbers, which count down to 0 as in a lockdep report; the task is there
    /// where it is another than in the step before.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, Option<&str>, &Step)> {
        let mut task = None;
        self.chain.iter().zip((0..self.chain.len()).rev()).map(move |(step, number)| {
            let same = task.replace(&step.task) == Some(&step.task);
            (number, (!same).then_some(step.task.as_str()), step)
        })
    }
}
