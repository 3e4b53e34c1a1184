//! Whether a report is what a test expects.
//!
//! Key function: [`Report::matches`]. Every expected code must be found; each other finding must be
//! part of an expected one (a carried recursion is part of the deadlock that it led to). Where no
//! code is expected, the run must be quiet.

use super::value::{Outcome, Report};
use crate::witness::Code;

impl Report {
    /// Compares the findings with the codes that are expected.
    ///
    /// # Errors
    /// One line that names the missing or the surplus codes, or says why there are no findings.
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
