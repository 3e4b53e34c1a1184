//! Suppressions: findings that a test knows and suppresses, each with its reason.
//!
//! Key type: [`Suppression`]. A suppression names a code and a part of what the report prints about
//! the finding; none covers every finding. A report names each suppression that was not needed, so
//! that it does not outlive its reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::report::Finding;
use crate::witness::Code;

/// One suppression.
#[derive(Clone, Debug)]
pub(super) struct Suppression {
    pub(super) code: Code,
    /// What the report must print about the finding.
    pub(super) part: String,
    pub(super) reason: String,
}

impl Suppression {
    pub(super) fn check(&self) -> Result<()> {
        let Self { code, part, reason } = self;
        if part.trim().is_empty() || reason.trim().is_empty() {
            return Err(Error::input(format!(
                "a suppression of {code} lacks a part of the headline or a reason"
            ))
            .advice("say which finding is meant, and why it is passed over"));
        }
        Ok(())
    }

    fn covers(&self, finding: &Finding) -> bool {
        finding.code == self.code && finding.says(&self.part)
    }
}

/// Splits off the findings that are suppressed, each with the place of each suppression that
/// covers it.
pub(super) fn split(
    suppressions: &[Suppression],
    findings: Vec<Finding>,
) -> (Vec<Finding>, Vec<(usize, Finding)>) {
    let (mut kept, mut suppressed) = (Vec::new(), Vec::new());
    for finding in findings {
        let before = suppressed.len();
        for (index, suppression) in suppressions.iter().enumerate() {
            if suppression.covers(&finding) {
                suppressed.push((index, finding.clone()));
            }
        }
        if suppressed.len() == before {
            kept.push(finding);
        }
    }
    (kept, suppressed)
}

/// One note for each suppressed finding and, where these are all executions of the run, for each
/// suppression that none of them needed. `covered` has the headlines that each suppression covered
/// in any execution, by its place.
pub(super) fn notes(
    suppressions: &[Suppression],
    covered: &BTreeMap<usize, BTreeSet<String>>,
    all_executions: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, Suppression { code, part, reason }) in suppressions.iter().enumerate() {
        match covered.get(&index) {
            None if all_executions => {
                notes.push(format!("the suppression of {code} `{part}` was not needed: {reason}"));
            }
            None => {}
            Some(headlines) => notes.extend(
                headlines
                    .iter()
                    .map(|headline| format!("passed over {code}: {headline}: {reason}")),
            ),
        }
    }
    notes
}
