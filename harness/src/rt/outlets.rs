//! Where the report of a failed test goes besides its panic: the log and the summary of GitHub
//! Actions.
//!
//! Key type: [`Outlets`]. None of them decides whether the test passes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::report::Report;

/// The places that the environment asks for.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    /// Whether GitHub Actions reads annotations from the log.
    actions: bool,
    /// The file of the job's summary.
    summary: Option<PathBuf>,
}

impl Outlets {
    /// The places that the environment of this process asks for.
    pub(super) fn of_environment() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let actions = variable("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let summary = variable("GITHUB_STEP_SUMMARY").filter(|path| actions && !path.is_empty());
        Self { actions, summary: summary.map(PathBuf::from) }
    }

    /// Tells of a test that failed. `test` is the test's place, `file:line`.
    pub(super) fn failed(&self, report: &Report, test: &str, log: &mut dyn Write) {
        if self.actions {
            // If the log is closed, there is nowhere left to say it.
            drop(log.write_all(report.to_annotations(test).as_bytes()));
        }
        if let Some(path) = &self.summary {
            // A full disk must not turn into another failure: the panic has the report.
            drop(append(path, &report.to_summary()));
        }
    }
}

/// Appends in one write, because other steps and tests write to the same file.
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
        assert!(summary.starts_with("before\n### reclaimdep: `t`\n"), "{summary}");
        told(&[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "/nowhere/at/all")]);
    }
}
