//! What GitHub Actions shows of a report: an annotation on a source line for each finding, and the
//! whole report as a job summary.
//!
//! Key functions: [`Report::to_annotations`], [`Report::to_summary`]. They return text; `rt` prints
//! it. A workflow command is one line, so characters that could end the line or one of its parts
//! are escaped.

use core::fmt::Write as _;

use super::finding::Finding;
use super::value::{Outcome, Report};
use crate::error::visible;

impl Report {
    /// One `::error` line for each finding that is not part of another, with those that are part of
    /// it in its message, one for a panic, and one for each rule of the plan that never applied. A
    /// finding is shown at its last forbidden entry, else at its first step with a source line,
    /// else at `otherwise`, `file:line`.
    #[must_use]
    pub fn to_annotations(&self, otherwise: &str) -> String {
        let mut lines = String::new();
        for (index, finding) in self.wholes() {
            let site = site(finding).unwrap_or(otherwise);
            let title = format!("{} {}: {}", finding.code, finding.title, self.name);
            let mut message = finding.headline.clone();
            if let Some(elsewhere) = &finding.elsewhere {
                let _ =
                    write!(message, " (in schedule {} of {})", elsewhere.schedule, self.schedules);
            }
            for (_, part) in self.parts(index) {
                let Finding { code, title, headline, .. } = part;
                let _ = write!(message, "\npart of it: {code} {title}: {headline}");
            }
            annotation(&mut lines, site, &title, &message);
        }
        if let Outcome::Panicked { message } = &self.outcome {
            annotation(&mut lines, otherwise, &format!("panicked: {}", self.name), message);
        }
        for rule in &self.idle {
            annotation(&mut lines, otherwise, &format!("plan: {}", self.name), rule);
        }
        lines
    }

    /// The text report as Markdown that shows it to the letter.
    #[must_use]
    pub fn to_summary(&self) -> String {
        let text = self.to_text();
        // A fence is longer than any run of backticks inside it.
        let runs = text.split(|c| c != '`').map(str::len);
        let fence = "`".repeat(runs.max().unwrap_or(0).max(2) + 1);
        // Inside a code span, nothing but a backtick is markup.
        let name = visible(&self.name).replace('`', "\\u{60}");
        format!("### reclaimdep: `{name}`\n\n{fence}text\n{text}{fence}\n\n")
    }
}

/// The source line at which the finding is shown.
fn site(finding: &Finding) -> Option<&str> {
    let forbidden =
        finding.chain.iter().rfind(|step| step.forbidden_by.is_some() && step.site.is_some());
    let first = || finding.chain.iter().find(|step| step.site.is_some());
    forbidden.or_else(first)?.site.as_deref()
}

fn annotation(lines: &mut String, site: &str, title: &str, message: &str) {
    let (file, line) = site.rsplit_once(':').unwrap_or((site, "1"));
    let [file, line, title] = [file, line, title].map(property);
    let _ = writeln!(lines, "::error file={file},line={line},title={title}::{}", data(message));
}

/// The message of a workflow command, which may have several lines.
fn data(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| visible(line).replace('%', "%25")).collect();
    lines.join("%0A")
}

/// A property of a workflow command, whose delimiters are escaped too.
fn property(text: &str) -> String {
    visible(text).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::report::samples::{c01, hostile, recursion};

    #[track_caller]
    fn check(report: &Report, expect: &Expect) {
        let lines = report.to_annotations("tests/own.rs:4");
        assert!(lines.lines().all(|line| line.starts_with("::error file=")), "{lines}");
        expect.assert_eq(&lines);
    }

    #[test]
    fn a_finding_is_shown_once_at_its_forbidden_entry() {
        check(
            &c01(),
            &expect![[r#"
                ::error file=harness/src/fs/journal.rs,line=19,title=RD04 deadlock%3A c01::rsync, loop0 wait for each other%0Apart of it: RD02 carried recursion: loop0 entered fs:lower while rsync waits for it; scope nofs#1 of rsync forbids it
            "#]],
        );
        check(
            &recursion(),
            &expect![[r#"
                ::error file=stack.rs,line=6,title=RD01 recursion%3A c01::cp entered fs:upper below its own reclaim; scope nofs#1 of cp forbids it
            "#]],
        );
    }

    #[test]
    fn a_panic_is_shown_at_the_test() {
        let outcome = Outcome::Panicked { message: "50% of\r\nit: a, b".to_owned() };
        let report = Report::new("a::b", "model", "v5.9", Vec::new()).with_outcome(outcome);
        check(
            &report,
            &expect![[r#"
            ::error file=tests/own.rs,line=4,title=panicked%3A a%3A%3Ab::50%25 of%0Ait: a, b
        "#]],
        );
    }

    #[test]
    fn a_name_can_neither_end_the_line_nor_the_summary() {
        let report = hostile("x\u{1b}\n::warning::y\n````\n<b>");
        let lines = report.to_annotations("t.rs:1");
        assert_eq!(lines.lines().count(), 1);
        assert!(lines.bytes().all(|byte| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic()));
        let summary = report.to_summary();
        let fences = summary.lines().filter(|line| line.starts_with("```")).count();
        assert_eq!(fences, 2, "{summary}");
        let head = summary.lines().next().unwrap();
        assert_eq!(head.matches('`').count(), 2, "{summary}");
        assert!(summary.lines().all(|line| !line.trim_start().starts_with("::")), "{summary}");
    }
}
