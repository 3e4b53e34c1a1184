//! `Report`: the result of a run, or of many schedules of one.
//!
//! Key types: [`Report`], [`Outcome`]. `docs/report-json.md` describes the JSON form; a change that
//! an old reader would misread takes a new `SCHEMA`.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::parts::arrange;
use super::stalls::Stalled;
#[cfg(all(feature = "loop", target_os = "linux"))]
use super::step::Details;
use crate::error::{Error, Result, visible_json};
use crate::event::Trace;
use crate::witness::{Code, Pairs};

/// The version of the JSON form.
const SCHEMA: u32 = 1;

/// Characters of a trace; a longer one is not shown at once.
pub(super) const MAX_TRACE: usize = 400;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing was found.
    Quiet,
    /// Something was found.
    Found,
    /// The code under test panicked.
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// The run did not take place.
    Skipped {
        /// What is missing.
        reason: String,
    },
}

/// The choices of `trace` in text form with their number, where there are any.
pub(super) fn choices(trace: &Trace) -> Option<(String, usize)> {
    (!trace.0.is_empty()).then(|| (trace.to_string(), trace.0.len()))
}

/// The result of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of the JSON form.
    pub schema: u32,
    /// What ran: a test or a case.
    pub name: String,
    /// The tier that it ran on.
    pub tier: String,
    /// The era whose kernel behaviours were in force.
    pub era: String,
    /// How many schedules were run.
    pub schedules: u64,
    /// How the run ended.
    pub outcome: Outcome,
    /// Which of the schedules is reported, from 1; absent where it is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<u64>,
    /// The findings of the reported schedule, then those of other schedules that are not expected
    /// or were not shown with what is expected. Of each schedule, the one that explains most is
    /// first, each followed by those that are part of it ([`Finding::part_of`]).
    pub findings: Vec<Finding>,
    /// The choices of the reported schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The command that repeats the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// Nanoseconds from the cycle's last wait to the report; native tiers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<u64>,
    /// The longest waits, the longest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stalls: Vec<Stalled>,
    /// What keeps the same run quiet, found by trying: `quiet in 50 schedules under era v3.18`.
    #[serde(default)]
    pub cuts: Vec<String>,
    /// The rules of the plan that applied in no schedule and are not optional, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<String>,
    /// What else the reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the policy permits against what is safe, where the oracle was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Pairs>,
}

impl Report {
    /// A report of one schedule with `findings`, in whatever order they were made. Its outcome is
    /// [`Outcome::Found`], or [`Outcome::Quiet`] where there are none.
    pub fn new(
        name: impl Into<String>,
        tier: impl Into<String>,
        era: impl Into<String>,
        findings: Vec<Finding>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            name: name.into(),
            tier: tier.into(),
            era: era.into(),
            schedules: 1,
            reported: None,
            outcome: if findings.is_empty() { Outcome::Quiet } else { Outcome::Found },
            findings: arrange(findings),
            trace: None,
            replay: None,
            latency_ns: None,
            stalls: Vec::new(),
            cuts: Vec::new(),
            idle: Vec::new(),
            notes: Vec::new(),
            pairs: None,
        }
    }

    /// The report of a run that ended in another way than [`Report::new`] says: in a panic, or
    /// before it began.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Says how each trace of the report is repeated: `command` makes a command of a trace.
    pub fn set_replay(&mut self, command: impl Fn(&Trace) -> String) {
        self.replay = self.trace.as_ref().map(&command);
        for elsewhere in self.findings.iter_mut().filter_map(|found| found.elsewhere.as_mut()) {
            elsewhere.replay = Some(command(&elsewhere.trace));
        }
    }

    /// What the JSON form leaves out of each chain's steps, for a reader in another process.
    #[cfg(all(feature = "loop", target_os = "linux"))]
    pub(crate) fn details(&self) -> Vec<Vec<Details>> {
        let of_chain =
            |finding: &Finding| finding.chain.iter().map(|step| step.details.clone()).collect();
        self.findings.iter().map(of_chain).collect()
    }

    /// The same report with what the JSON form left out.
    #[cfg(all(feature = "loop", target_os = "linux"))]
    pub(crate) fn with_details(mut self, details: Vec<Vec<Details>>) -> Self {
        for (finding, details) in self.findings.iter_mut().zip(details) {
            for (step, details) in finding.chain.iter_mut().zip(details) {
                step.details = details;
            }
        }
        self
    }

    /// The codes found, each once, in order. A possible recursion that happened is what it became.
    #[must_use]
    pub fn codes(&self) -> Vec<Code> {
        let counted = self.findings.iter().enumerate().filter(|(index, _)| self.counts(*index));
        let mut codes: Vec<Code> = counted.map(|(_, finding)| finding.code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// Whether something with `code` was found.
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// Whether the run took place, nothing was found and nothing panicked.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.outcome == Outcome::Quiet && self.findings.is_empty()
    }

    /// Whether finding number `index` has a code of its own in [`Report::codes`].
    pub(super) fn counts(&self, index: usize) -> bool {
        self.findings[index].code != Code::RD03 || self.findings[index].part_of.is_none()
    }

    /// The position of the finding that finding number `index` is part of, if there is one.
    #[must_use]
    pub fn covered_by(&self, index: usize) -> Option<usize> {
        self.findings.get(index)?.part_of
    }

    /// The findings that are part of no other, with their positions.
    pub(super) fn wholes(&self) -> impl Iterator<Item = (usize, &Finding)> {
        self.findings.iter().enumerate().filter(|(_, finding)| finding.part_of.is_none())
    }

    /// The findings that are part of finding number `index`, with their positions.
    pub(super) fn parts(&self, index: usize) -> impl Iterator<Item = (usize, &Finding)> {
        let part = move |finding: &Finding| finding.part_of == Some(index);
        self.findings.iter().enumerate().filter(move |(_, finding)| part(finding))
    }

    /// The outcome in words.
    pub(super) fn outcome_text(&self) -> String {
        match &self.outcome {
            Outcome::Quiet => "quiet".to_owned(),
            Outcome::Found => format!("{} found", self.findings.len()),
            Outcome::Panicked { message } => format!("panicked: {message}"),
            Outcome::Skipped { reason } => format!("skipped: {reason}"),
        }
    }

    /// The choices in text form with their number, where there are any.
    pub(super) fn choices(&self) -> Option<(String, usize)> {
        choices(self.trace.as_ref()?)
    }

    /// The report as JSON, indented. Both forms of JSON are printable ASCII.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        visible_json(&json.expect("strings, numbers and lists have a JSON form"))
    }

    /// The report as JSON on one line.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let json = serde_json::to_string(self);
        visible_json(&json.expect("strings, numbers and lists have a JSON form"))
    }

    /// Reads a report from JSON.
    ///
    /// # Errors
    /// Input, where the text is not a report or is a report of another schema.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let not_a_report = |error| Error::input("this is not a report in JSON").because(error);
        let Version { schema } = serde_json::from_str(text).map_err(not_a_report)?;
        if schema != SCHEMA {
            let what = format!("the report has schema {schema}, this reader knows {SCHEMA}");
            return Err(Error::input(what).advice("read it with the release that wrote it"));
        }
        let report: Self = serde_json::from_str(text).map_err(not_a_report)?;
        let whole = |of: usize| report.findings.get(of).is_some_and(|of| of.part_of.is_none());
        match report.findings.iter().position(|part| part.part_of.is_some_and(|of| !whole(of))) {
            None => Ok(report),
            Some(part) => Err(Error::input(format!(
                "finding {} of the report is part of one that the report does not have",
                part + 1
            ))),
        }
    }
}
