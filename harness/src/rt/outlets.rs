//! Where a test's report goes besides its panic: files that somebody asked for, and GitHub Actions.
//!
//! Key type: [`Outlets`]. None of them decides whether the test passes, but for files that were
//! asked for and cannot be written.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::report::Report;

/// What the environment asks for.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    /// Annotations are read from the log.
    actions: bool,
    /// The job's summary.
    summary: Option<PathBuf>,
}

impl Outlets {
    /// What the environment of this process asks for.
    pub(super) fn of_environment() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let actions = variable("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let summary = variable("GITHUB_STEP_SUMMARY").filter(|path| actions && !path.is_empty());
        Self { actions, summary: summary.map(PathBuf::from) }
    }

    /// Tells of a test that failed. `test` is its own place, `file:line`.
    pub(super) fn failed(&self, report: &Report, test: &str, log: &mut dyn Write) {
        if self.actions {
            // Nobody is left to tell if the log is closed.
            drop(log.write_all(report.to_annotations(test).as_bytes()));
        }
        if let Some(path) = &self.summary {
            // A summary is a courtesy: a full disk must not turn into another failure.
            drop(append(path, &report.to_summary()));
        }
    }
}

/// Other steps and other tests write there too. One write, so that reports do not mix.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;

    fn told(variables: &[(&str, &str)]) -> String {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        let outlets = Outlets::new(|name| find(name).map(|(_, value)| (*value).to_owned()));
        let outcome = Outcome::Panicked { message: "no".to_owned() };
        let report = Report::new("t", "model", "v5.9", Vec::new()).with_outcome(outcome);
        let mut log = Vec::new();
        outlets.failed(&report, "tests/t.rs:3", &mut log);
        String::from_utf8(log).unwrap()
    }

    #[test]
    fn annotations_are_for_actions_alone() {
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[("GITHUB_ACTIONS", "false")]), "");
        let line = "::error file=tests/t.rs,line=3,title=panicked%3A t::no\n";
        assert_eq!(told(&[("GITHUB_ACTIONS", "true")]), line);
    }

    #[test]
    fn the_summary_is_appended_to_and_may_be_out_of_reach() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "before\n").unwrap();
        let path = file.path().to_str().unwrap();
        told(&[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", path)]);
        let summary = std::fs::read_to_string(path).unwrap();
        assert!(summary.starts_with("before\n### reclaimdep: t\n"), "{summary}");
        told(&[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "/nowhere/at/all")]);
    }
}
