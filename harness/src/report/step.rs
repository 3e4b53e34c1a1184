//! One step of a finding's chain.
//!
//! Key types: [`Step`], [`StepKind`]; `Details` is what pictures and timelines need of a step and
//! its sentence does not give them as data.

use serde::{Deserialize, Serialize};

use crate::units::Nanos;
use crate::witness::Role;

/// What a step is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepKind {
    /// The task entered a scope.
    Scope,
    /// The task entered a layer.
    Layer,
    /// The task allocates.
    Alloc,
    /// The task reclaims.
    Reclaim,
    /// A shrinker counts.
    Count,
    /// A shrinker scans.
    Scan,
    /// The task serves a request.
    Serving,
    /// The task executes a work item.
    Working,
    /// The task holds a lock.
    Holds,
    /// The task submitted a request.
    Submitted,
    /// The task waits.
    Wait,
    /// The task does not wait.
    Running,
    /// The task used a scope wrongly (RD06).
    Misuse,
    /// The task broke a rule (RD07 to RD13).
    Broke,
    /// The task took one thing while it held another (RD03).
    Ordered,
    /// No action, but the edge from the wait before it to the task that must act.
    Needs,
}

impl StepKind {
    /// The word for the kind in the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Layer => "layer",
            Self::Alloc => "alloc",
            Self::Reclaim => "reclaim",
            Self::Count => "count",
            Self::Scan => "scan",
            Self::Serving => "serving",
            Self::Working => "working",
            Self::Holds => "holds",
            Self::Submitted => "submitted",
            Self::Wait => "wait",
            Self::Running => "running",
            Self::Misuse => "misuse",
            Self::Broke => "broke",
            Self::Ordered => "ordered",
            Self::Needs => "needs",
        }
    }
}

/// One step of a chain. Two steps are equal if their JSON forms are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// The task whose step it is.
    pub task: String,
    /// What the step is.
    pub kind: StepKind,
    /// The step in words.
    pub text: String,
    /// The same in a few words.
    pub short: String,
    /// The source line, `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What forbids the step, if it should not have happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_by: Option<String>,
    /// Of a step [`StepKind::Needs`]: the task that must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Position in the world's history.
    pub seq: u64,
    /// Time of the event that began the step.
    pub time: Nanos,
    /// Not in the JSON form, whose readers have the sentence; none in a report that was read from
    /// it. The loop tier's child sends them beside the report.
    #[serde(skip)]
    pub(super) details: Details,
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        let Self { task, kind, text, short, site, forbidden_by, to, seq, time, details: _ } = self;
        (task, kind, text, short) == (&other.task, &other.kind, &other.text, &other.short)
            && (site, forbidden_by, to) == (&other.site, &other.forbidden_by, &other.to)
            && (seq, time) == (&other.seq, &other.time)
    }
}

impl Eq for Step {}

/// The resource that a step is about, under the name that waits have for it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Details {
    /// About no resource that anybody waits for.
    #[default]
    None,
    /// The task has left the layer since.
    Left,
    /// The task holds the lock or executes the work item.
    Has(String),
    /// The task submitted the request or serves it.
    Request {
        /// `request #0`.
        resource: String,
        /// With what it asks: `request #0: write block 7 of loop0`.
        in_full: String,
    },
    /// The resource needs the task [`Step::to`] to act in this role, `through` something that it
    /// serves.
    Needs { resource: String, role: Role, through: bool },
}

impl Step {
    /// A step of `task` that is told by the engine, not by a judge. `at` is the position in the
    /// world's history and the time.
    pub(crate) fn new(
        task: &str,
        kind: StepKind,
        text: String,
        short: &str,
        site: Option<String>,
        at: (u64, Nanos),
    ) -> Self {
        Self {
            task: task.to_owned(),
            kind,
            text,
            short: short.to_owned(),
            site,
            forbidden_by: None,
            to: None,
            seq: at.0,
            time: at.1,
            details: Details::None,
        }
    }

    /// The request that the step submits or serves, with what it asks.
    pub(super) fn request(&self) -> Option<(&str, &str)> {
        match &self.details {
            Details::Request { resource, in_full } => Some((resource, in_full)),
            _ => None,
        }
    }

    /// Whether the task serves the request that `submit` submitted.
    pub(super) fn serves(&self, submit: &Self) -> bool {
        self.kind == StepKind::Serving
            && submit.kind == StepKind::Submitted
            && self.request().is_some_and(|(request, _)| {
                submit.request().is_some_and(|(submitted, _)| submitted == request)
            })
    }

    /// Whether the step was over before the next step of its task began.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.kind, StepKind::Submitted) || matches!(self.details, Details::Left)
    }

    /// Whether this step is how its task has `resource`: it holds it, serves it or executes it.
    pub(super) fn has(&self, resource: &str) -> bool {
        match &self.details {
            Details::Has(held) => held == resource,
            Details::Request { resource: served, .. } => {
                self.kind == StepKind::Serving && served == resource
            }
            Details::None | Details::Left | Details::Needs { .. } => false,
        }
    }

    /// The role in which the task [`Step::to`] must act on what is waited for; none where it acts
    /// on something else.
    pub(super) const fn role(&self) -> Option<Role> {
        match &self.details {
            Details::Needs { role, through: false, .. } => Some(*role),
            _ => None,
        }
    }
}

/// The sentence of a step [`StepKind::Needs`]: why `on` must act before `resource` can be had. The
/// exit of a task is not named beside the task itself. Of `units`, one is not named.
pub(super) fn need(role: Role, resource: &str, on: &str, units: u32) -> String {
    match role {
        Role::Holds => format!("{resource} is held by {on}"),
        Role::AheadInLine => format!("{resource}: {on} is ahead in line"),
        Role::Serves => format!("{resource} is served by {on}"),
        Role::ServesQueue => format!("{resource} is queued for {on}, which is not free"),
        Role::Exits => format!("{on} must exit first"),
        Role::HasElement => format!("{on} has {resource}"),
        Role::Promised => format!("{on} {}", promised(resource, units)),
    }
}

/// `promised to signal condition space`, `promised 4 units of condition space`.
pub(super) fn promised(resource: &str, units: u32) -> String {
    match units {
        1 => format!("promised to signal {resource}"),
        units => format!("promised {units} units of {resource}"),
    }
}

/// The name of a task's end, for which another task waits.
pub(super) fn exit_of(task: &str) -> String {
    format!("the exit of {task}")
}

#[cfg(test)]
mod tests {
    use crate::report::samples;

    #[test]
    fn the_name_of_a_kind_is_its_word_in_json() {
        for report in samples::all() {
            for step in report.findings.iter().flat_map(|finding| &finding.chain) {
                assert_eq!(serde_json::to_value(step.kind).unwrap(), step.kind.name());
            }
        }
    }
}
