//! Suppressions: findings that a test knows and suppresses, each with its reason.
//!
//! Key type: [`Suppression`]. A suppression names a code and a part of the headline; none covers
//! every finding. A report names each suppression that was not needed, so that it does not outlive
//! its reason.

use crate::error::{Error, Result};
use crate::report::Finding;
use crate::witness::Code;

/// One suppression.
#[derive(Clone, Debug)]
pub(super) struct Suppression {
    pub(super) code: Code,
    /// What the headline must contain.
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
        finding.code == self.code && finding.headline.contains(&self.part)
    }
}

/// Splits off the findings that are suppressed; returns the others, and one note for each
/// suppressed finding and for each unneeded suppression.
pub(super) fn apply(
    suppressions: &[Suppression],
    findings: Vec<Finding>,
) -> (Vec<Finding>, Vec<String>) {
    let mut notes = Vec::new();
    for suppression in suppressions {
        let Suppression { code, part, reason } = suppression;
        let mut covered = findings.iter().filter(|finding| suppression.covers(finding)).peekable();
        if covered.peek().is_none() {
            notes.push(format!("the suppression of {code} `{part}` was not needed: {reason}"));
        }
        notes.extend(
            covered.map(|finding| format!("passed over {code}: {}: {reason}", finding.headline)),
        );
    }
    let kept =
        |finding: &Finding| !suppressions.iter().any(|suppression| suppression.covers(finding));
    (findings.into_iter().filter(kept).collect(), notes)
}
