//! Whether a report is what a test expects.
//!
//! Key functions: [`Report::matches`], [`accepted`]. Every expected code must be found, all of them
//! in one schedule; each other finding must be part of an expected one (a carried recursion is part
//! of the deadlock that it led to). Where no code is expected, the run must be quiet. Every rule of
//! the plan that is not optional must have applied.

use super::finding::{Finding, Waiting};
use super::parts;
use super::value::{Outcome, Report};
use crate::witness::Code;

/// Which of `findings` a test accepts that expects the codes `expect`: those with such a code, and
/// those that are part of an accepted one. Each has the number of its schedule: another schedule
/// may number locks and requests otherwise. They are all findings of a report, or of none.
pub(crate) fn accepted(expect: &[Code], findings: &[(u64, &Finding)]) -> Vec<bool> {
    let mut accepted: Vec<bool> =
        findings.iter().map(|(_, finding)| expect.contains(&finding.code)).collect();
    let unnumbered: Vec<Finding> =
        findings.iter().map(|(_, finding)| finding.unnumbered()).collect();
    let is_part = |part: usize, whole: usize| {
        let ((one, small), (other, large)) = (findings[part], findings[whole]);
        if one == other {
            small.part_of == Some(whole) || parts::is_part_of(small, large)
        } else {
            unnumbered[part].is_named_in(&unnumbered[whole])
        }
    };
    loop {
        let next = (0..findings.len()).find(|part| {
            let whole = |whole: usize| accepted[whole] && is_part(*part, whole);
            !accepted[*part] && (0..findings.len()).any(whole)
        });
        match next {
            Some(index) => accepted[index] = true,
            None => return accepted,
        }
    }
}

impl Finding {
    /// Whether a finding of another schedule is about what `other` goes through, by names: numbers
    /// of different schedules cannot be compared.
    fn is_named_in(&self, other: &Self) -> bool {
        match (self.code, other.code) {
            (Code::RD02, Code::RD04) => {
                self.waits.first().is_some_and(|first| other.cycle.contains(first))
                    && self.tasks.iter().all(|task| other.tasks.contains(task))
            }
            (Code::RD03, Code::RD01 | Code::RD02 | Code::RD04) => {
                self.goes_through_no_more_than(other)
            }
            (Code::RD03, Code::RD03) => {
                self.is_declared() && !other.is_declared() && self.goes_through_no_more_than(other)
            }
            _ => false,
        }
    }

    fn goes_through_no_more_than(&self, other: &Self) -> bool {
        !self.nodes.is_empty() && self.nodes.iter().all(|node| other.nodes.contains(node))
    }

    fn is_declared(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.declared > 0)
    }

    /// The same finding without the numbers of what it goes through: `lock notes#2` is
    /// `lock notes`.
    fn unnumbered(&self) -> Self {
        let waiting = |all: &[Waiting]| {
            let one = |waiting: &Waiting| Waiting {
                task: without_numbers(&waiting.task),
                resource: without_numbers(&waiting.resource),
            };
            all.iter().map(one).collect()
        };
        let plain = |all: &[String]| all.iter().map(|name| without_numbers(name)).collect();
        Self {
            nodes: plain(&self.nodes),
            tasks: plain(&self.tasks),
            waits: waiting(&self.waits),
            cycle: waiting(&self.cycle),
            ..self.clone()
        }
    }
}

/// `name` without each `#` and the digits that follow it.
fn without_numbers(name: &str) -> String {
    let mut parts = name.split('#');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

impl Report {
    /// Compares the run with the codes that are expected.
    ///
    /// # Errors
    /// One line: the missing codes; the surplus codes with their schedules; or why the run proves
    /// nothing: the code under test panicked, the run did not take place, a rule of the plan never
    /// applied and is not optional.
    pub fn matches(&self, expect: &[Code]) -> Result<(), String> {
        if let Outcome::Skipped { reason } = &self.outcome {
            return Err(format!("the run did not take place: {reason}"));
        }
        let mut wrong = Vec::new();
        if let Outcome::Panicked { message } = &self.outcome {
            wrong.push(format!("the code under test panicked: {message}"));
        } else {
            wrong.extend(self.missing(expect));
        }
        if let Some(surplus) = self.surplus(expect) {
            if wrong.is_empty() && !expect.is_empty() {
                wrong.push(format!("expected {}", list(expect)));
            }
            wrong.push(surplus);
        }
        if wrong.is_empty() {
            wrong.extend(self.idle.iter().cloned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// The expected codes that the reported schedule does not show.
    fn missing(&self, expect: &[Code]) -> Option<String> {
        let here = |code: &Code| {
            self.findings.iter().any(|finding| finding.code == *code && finding.elsewhere.is_none())
        };
        let missing: Vec<Code> = expect.iter().copied().filter(|code| !here(code)).collect();
        if missing.is_empty() {
            return None;
        }
        let (schedules, codes) = (self.schedules, list(&missing));
        let elsewhere = self.findings.iter().any(|finding| missing.contains(&finding.code));
        Some(if elsewhere {
            let all = list(expect);
            format!("expected {all} in one schedule, and none of {schedules} showed all of them")
        } else {
            format!("expected {codes} was not found in {schedules} schedules")
        })
    }

    /// What was found and is not accepted; with its schedule, where there were several.
    fn surplus(&self, expect: &[Code]) -> Option<String> {
        let schedule =
            |finding: &Finding| finding.elsewhere.as_ref().map_or(0, |other| other.schedule);
        let all: Vec<_> = self.findings.iter().map(|found| (schedule(found), found)).collect();
        let accepted = accepted(expect, &all);
        let surplus = self.findings.iter().enumerate().filter(|(index, _)| {
            // What is part of a larger finding is surplus with that one, and not for itself.
            !accepted[*index] && self.counts(*index)
        });
        let mut groups: Vec<(Option<u64>, Vec<Code>)> = Vec::new();
        for (_, finding) in surplus {
            let schedule = self.schedule_of(finding);
            match groups.iter_mut().find(|(known, _)| *known == schedule) {
                Some((_, codes)) => codes.push(finding.code),
                None => groups.push((schedule, vec![finding.code])),
            }
        }
        let text = |(schedule, codes): &(Option<u64>, Vec<Code>)| match schedule {
            Some(schedule) => format!("{} in schedule {schedule}", list(codes)),
            None => list(codes),
        };
        let found: Vec<String> = groups.iter().map(text).collect();
        (!found.is_empty()).then(|| format!("found {}, which is not expected", found.join(", ")))
    }

    /// The schedule that showed a finding of this report, from 1, where there were several.
    pub(super) fn schedule_of(&self, finding: &Finding) -> Option<u64> {
        let elsewhere = finding.elsewhere.as_ref().map(|elsewhere| elsewhere.schedule);
        let reported = || (self.schedules > 1).then(|| self.reported.unwrap_or(self.schedules));
        elsewhere.or_else(reported)
    }
}

fn list(codes: &[Code]) -> String {
    codes.iter().map(Code::to_string).collect::<Vec<_>>().join(", ")
}
