//! Whether a report is what a test expects.
//!
//! Key function: [`Report::matches`]. What is expected must be found; what else is found must
//! belong to it (a carried recursion is part of the deadlock that it led to). Expecting nothing is
//! expecting quiet.

use super::value::{Outcome, Report};
use crate::witness::Code;

impl Report {
    /// Compares with what is expected.
    ///
    /// # Errors
    /// In one line, what is missing or what should not be there.
    pub fn matches(&self, expect: &[Code]) -> Result<(), String> {
        match &self.outcome {
            Outcome::Panicked { message } => {
                return Err(format!("the code under test panicked: {message}"));
            }
            Outcome::Skipped { reason } => {
                return Err(format!("the run did not take place: {reason}"));
            }
            Outcome::Quiet | Outcome::Found => {}
        }
        let missing: Vec<_> =
            expect.iter().filter(|code| !self.has(**code)).map(Code::to_string).collect();
        if !missing.is_empty() {
            let schedules = self.schedules;
            return Err(format!(
                "expected {} was not found in {schedules} schedules",
                missing.join(", ")
            ));
        }
        let belongs = |index: usize| {
            self.covered_by(index).is_some_and(|by| expect.contains(&self.findings[by].code))
        };
        let surplus = self.findings.iter().enumerate();
        let surplus = surplus.filter(|(index, finding)| {
            !expect.contains(&finding.code) && !belongs(*index) && self.counts(*index)
        });
        let surplus: Vec<_> = surplus.map(|(_, finding)| finding.code.to_string()).collect();
        match surplus.is_empty() {
            true => Ok(()),
            false => Err(format!("found {}, which is not expected", surplus.join(", "))),
        }
    }
}
