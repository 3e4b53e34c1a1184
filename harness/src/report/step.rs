//! One step of a finding's chain.
//!
//! Key types: [`Step`], [`StepKind`]; `Details` is what pictures and timelines need of a step and
//! its sentence does not give them as data.

use serde::{Deserialize, Deserializer, Serialize};

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

/// One step of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    /// Not in the JSON form, whose readers have the sentence.
    #[serde(skip)]
    pub(super) details: Details,
}

/// The resource that a step is about, under the name that waits have for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Details {
    /// About no resource that anybody waits for.
    #[default]
    None,
    /// The task holds the lock or executes the work item.
    Has(String),
    /// The task submitted the request or serves it.
    Request {
        /// `request #0`.
        resource: String,
        /// With what it asks: `request #0: write block 7 of loop0`.
        in_full: String,
    },
    /// The resource needs the task [`Step::to`] to act in this role.
    Needs { resource: String, role: Role },
}

impl Step {
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

    /// Whether this step is how its task has `resource`: it holds it, serves it or executes it.
    pub(super) fn has(&self, resource: &str) -> bool {
        match &self.details {
            Details::Has(held) => held == resource,
            Details::Request { resource: served, .. } => {
                self.kind == StepKind::Serving && served == resource
            }
            Details::None | Details::Needs { .. } => false,
        }
    }

    /// The role in which the task [`Step::to`] must act.
    pub(super) const fn role(&self) -> Option<Role> {
        match &self.details {
            Details::Needs { role, .. } => Some(*role),
            _ => None,
        }
    }

    /// The details of a step of the JSON form, which has them in its sentence alone.
    fn details_of_text(&self) -> Details {
        let Self { kind, text, to, .. } = self;
        let details = match (kind, to) {
            (StepKind::Holds, _) => text.strip_prefix("holds ").and_then(|rest| {
                let (lock, _mode) = rest.rsplit_once(" (")?;
                Some(Details::Has(lock.to_owned()))
            }),
            (StepKind::Working, _) => text.strip_prefix("executes ").map(|rest| {
                let item = rest.rsplit_once(", queued by ").map_or(rest, |(item, _task)| item);
                Details::Has(item.to_owned())
            }),
            (StepKind::Submitted, _) => text.strip_prefix("submitted ").map(request_of_text),
            (StepKind::Serving, _) => text.strip_prefix("serves ").map(request_of_text),
            (StepKind::Needs, Some(on)) => need_of_text(text, on),
            _ => None,
        };
        details.unwrap_or_default()
    }
}

fn request_of_text(in_full: &str) -> Details {
    let resource = in_full.split_once(": ").map_or(in_full, |(request, _)| request);
    Details::Request { resource: resource.to_owned(), in_full: in_full.to_owned() }
}

/// The text before and after the resource in the sentence of a step [`StepKind::Needs`]. The
/// exit of a task is not named beside the task itself.
fn around(role: Role, on: &str) -> (String, String) {
    let (before, after) = match role {
        Role::Holds => (String::new(), format!(" is held by {on}")),
        Role::AheadInLine => (String::new(), format!(": {on} is ahead in line")),
        Role::Serves => (String::new(), format!(" is served by {on}")),
        Role::ServesQueue => (String::new(), format!(" is queued for {on}, which is not free")),
        Role::Exits => (format!("{on} must exit first"), String::new()),
        Role::HasElement => (format!("{on} has "), String::new()),
        Role::Promised => (format!("{on} promised to signal "), String::new()),
    };
    (before, after)
}

/// The sentence of a step [`StepKind::Needs`]: why `on` must act before `resource` can be had.
pub(super) fn need(role: Role, resource: &str, on: &str) -> String {
    let (before, after) = around(role, on);
    let resource = if role == Role::Exits { "" } else { resource };
    format!("{before}{resource}{after}")
}

fn need_of_text(text: &str, on: &str) -> Option<Details> {
    const ROLES: [Role; 7] = [
        Role::Holds,
        Role::AheadInLine,
        Role::Serves,
        Role::ServesQueue,
        Role::Exits,
        Role::HasElement,
        Role::Promised,
    ];
    ROLES.into_iter().find_map(|role| {
        let (before, after) = around(role, on);
        let resource = text.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
        let resource = match role {
            Role::Exits => exit_of(on),
            _ => resource.to_owned(),
        };
        Some(Details::Needs { resource, role })
    })
}

/// The name of a task's end, for which another task waits.
pub(super) fn exit_of(task: &str) -> String {
    format!("the exit of {task}")
}

/// Reads the chain of a report's JSON form.
pub(super) fn read_chain<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<Step>, D::Error> {
    let mut chain = Vec::<Step>::deserialize(json)?;
    for step in &mut chain {
        step.details = step.details_of_text();
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_details_of_a_step_are_read_back_from_its_sentence() {
        let samples = samples::all();
        let chains = samples.iter().flat_map(|report| &report.findings);
        let steps: Vec<&Step> = chains.flat_map(|finding| &finding.chain).collect();
        for step in &steps {
            assert_eq!(step.details_of_text(), step.details, "{}", step.text);
        }
        for kind in [StepKind::Holds, StepKind::Submitted, StepKind::Serving, StepKind::Needs] {
            assert!(steps.iter().any(|step| step.kind == kind), "no sample has {kind:?}");
        }
    }

    #[test]
    fn every_role_is_read_back_from_its_sentence() {
        for (role, sentence) in [
            (Role::Holds, "R is held by t"),
            (Role::AheadInLine, "R: t is ahead in line"),
            (Role::Serves, "R is served by t"),
            (Role::ServesQueue, "R is queued for t, which is not free"),
            (Role::HasElement, "t has R"),
            (Role::Promised, "t promised to signal R"),
        ] {
            assert_eq!(need(role, "R", "t"), sentence);
            let details = Details::Needs { resource: "R".to_owned(), role };
            assert_eq!(need_of_text(sentence, "t"), Some(details));
        }
        let exit = Details::Needs { resource: exit_of("t"), role: Role::Exits };
        assert_eq!(need_of_text(&need(Role::Exits, &exit_of("t"), "t"), "t"), Some(exit));
    }

    #[test]
    fn the_name_of_a_kind_is_its_word_in_json() {
        for report in samples::all() {
            for step in report.findings.iter().flat_map(|finding| &finding.chain) {
                assert_eq!(serde_json::to_value(step.kind).unwrap(), step.kind.name());
            }
        }
    }
}
