//! A case file as a test: every row, what is predicted, and what the runs went through.
//!
//! Key functions: [`check`], [`Case::check`].

use std::io::Write as _;
use std::path::Path;

use super::coverage::Coverage;
use super::run::Options;
use super::script::{Case, Row};
use super::verdict::Verdict;
use crate::era::Era;
use crate::error::{Result, visible};
use crate::report::Report;
use crate::tier::Tier;
use crate::variables::RequiredTiers;

/// What came of all rows of a case.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Checked {
    /// What is not as the case says; with the report, where there is one.
    pub wrong: Vec<String>,
    /// What could not run here, and lines of steps that may wait and never waited.
    pub notes: Vec<String>,
    /// How many runs took place, predictions included.
    pub runs: usize,
}

/// Runs the case file `path` as a test: each row on each of its tiers in the oldest and the newest
/// of its eras, and what a run without pressure predicts. Each step must run, and a variant must
/// reclaim unless the case says that none does. Where `RECLAIMDEP_REPORT_DIR` names a folder, the
/// reports are written there. What this machine cannot run is said on standard error.
///
/// # Panics
/// If the file is no case, or anything is not as it says; the message has file and line, and the
/// report of each run that is wrong.
#[track_caller]
pub fn check(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let checked = super::load(path).and_then(|case| case.check(Tier::ALL));
    let checked = checked.unwrap_or_else(|error| panic!("{error}"));
    for note in &checked.notes {
        // If standard error is closed, there is nowhere left to say it.
        drop(writeln!(std::io::stderr(), "{}", visible(note)));
    }
    assert!(checked.wrong.is_empty(), "{}", checked.wrong.join("\n"));
}

impl Case {
    /// Runs each row on those of its tiers that are among `tiers`, in the oldest and the newest of
    /// its eras, and what a run without pressure predicts in the newest.
    ///
    /// # Errors
    /// Trouble of the harness, other than a tier that cannot run here.
    pub fn check(&self, tiers: &[Tier]) -> Result<Checked> {
        let required = RequiredTiers::from_env()?;
        let coverage = Coverage::default();
        let options = Options { coverage: Some(coverage.clone()), ..Options::default() };
        let mut checked = Checked::default();
        for row in &self.rows {
            for variant in &row.variants {
                for tier in row.tiers.iter().filter(|tier| tiers.contains(tier)) {
                    for era in ends(row) {
                        let outcome = self.run(variant, *tier, era, &options);
                        let about = format!("{} in {era} on {tier}", self.place(variant, row));
                        let report = outcome.as_ref().ok().cloned();
                        let verdict = Verdict::of(outcome, row, *tier, &required)?;
                        checked.add(&about, &verdict, report.as_ref())?;
                    }
                }
                let newest = row.eras.iter().copied().max();
                if let Some(era) = newest.filter(|_| self.predicts(row, tiers)) {
                    let report = self.predict(variant, era, &Options::default())?;
                    let verdict = Verdict::of_prediction(&report, row);
                    let about = format!("{} in {era}, predicted", self.place(variant, row));
                    checked.add(&about, &verdict, Some(&report))?;
                }
            }
        }
        let uncovered = coverage.uncovered(self);
        checked.wrong.extend(uncovered.faults);
        checked.notes.extend(uncovered.notes);
        if checked.runs == 0 && checked.wrong.is_empty() && checked.notes.is_empty() {
            checked.wrong.push(format!("{}: no row is about these tiers", self.path));
        }
        Ok(checked)
    }

    /// Whether a prediction is asked for.
    fn predicts(&self, row: &Row, tiers: &[Tier]) -> bool {
        self.reclaims && row.tiers.contains(&Tier::Model) && tiers.contains(&Tier::Model)
    }

    fn place(&self, variant: &str, row: &Row) -> String {
        format!("{}:{}: variant `{variant}`", self.path, row.line)
    }
}

/// The oldest and the newest era of a row.
fn ends(row: &Row) -> Vec<Era> {
    let mut ends: Vec<Era> =
        [row.eras.iter().min(), row.eras.iter().max()].into_iter().flatten().copied().collect();
    ends.dedup();
    ends
}

impl Checked {
    fn add(&mut self, about: &str, verdict: &Verdict, report: Option<&Report>) -> Result<()> {
        if let Some(report) = report {
            report.save_where_asked(&report.name.replace(' ', "::"))?;
        }
        match verdict {
            Verdict::Skipped { .. } => self.notes.push(format!("{about}: {verdict}")),
            verdict if verdict.is_wrong() => {
                let shown = report.map(Report::to_text).unwrap_or_default();
                self.wrong.push(format!("{about}: {verdict}\n{shown}"));
                self.runs += 1;
            }
            _ => self.runs += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::parse;

    /// A task reclaims under a lock that eviction takes, with `more` steps before that.
    fn case(head: &str, more: &str, findings: &str) -> Case {
        let text = format!(
            "id = \"x\"\ntitle = \"t\"\ncitation = []\nshape = \"P1\"\n{head}\n\
             [[lock]]\nname = \"guard\"\n\
             [[superblock]]\nname = \"fs\"\nevict = [{{ lock = \"guard\" }}, {{ unlock = \"guard\" }}]\n\
             [[task]]\nname = \"writer\"\nstep = [\n{more}{{ lock = \"guard\" }},\n\
             {{ alloc = \"GFP_KERNEL\" }},\n{{ unlock = \"guard\" }},\n]\n\
             [plan]\npressure = [{{ task = \"writer\" }}]\n\
             [[expect]]\nfindings = {findings}\npredicted = true\ntiers = [\"model\"]\n"
        );
        parse(&text, "x.toml").expect("the case is right")
    }

    #[track_caller]
    fn check(case: &Case, says: &[&str]) {
        let checked = case.check(&[Tier::Model]).expect("the model tier runs everywhere");
        let wrong = checked.wrong.join("\n");
        assert_eq!(wrong.is_empty(), says.is_empty(), "{wrong}");
        assert!(says.iter().all(|part| wrong.contains(part)), "{wrong}");
    }

    #[test]
    fn a_case_that_is_as_it_says_has_nothing_wrong() {
        check(&case("", "", "[\"RD04\"]"), &[]);
    }

    #[test]
    fn a_row_that_is_wrong_has_its_place_and_the_report() {
        check(&case("", "", "[]"), &["x.toml:20: variant `reported`", "found RD04", "RD04     "]);
    }

    #[test]
    fn a_step_that_never_runs_is_named() {
        let never = "{ if = { kswapd = true }, then = [\n\"free\"] },\n";
        check(&case("", never, "[\"RD04\"]"), &["x.toml:15: this step never ran"]);
        let runs = "{ if = { kswapd = false }, then = [\n\"free\"] },\n";
        check(&case("", runs, "[\"RD04\"]"), &[]);
    }

    #[test]
    fn whether_anybody_reclaims_is_as_the_case_says() {
        check(&case("reclaims = false", "", "[\"RD04\"]"), &["reclaims = false, and a run"]);
        let idle = "id = \"x\"\ntitle = \"t\"\ncitation = []\nshape = \"P1\"\n\
            [[lock]]\nname = \"guard\"\n\
            [[task]]\nname = \"a\"\nstep = [{ lock = \"guard\" }, { unlock = \"guard\" }]\n\
            [[expect]]\nfindings = []\ntiers = [\"model\"]\n";
        let idle_case = parse(idle, "x.toml").expect("the case is right");
        check(&idle_case, &["nobody reclaims in the variant `reported`"]);
        let says = parse(&idle.replacen("[[lock]]", "reclaims = false\n[[lock]]", 1), "x.toml");
        check(&says.expect("the case is right"), &[]);
    }

    #[test]
    fn a_wait_that_never_waits_is_a_note() {
        let checked = case("", "", "[\"RD04\"]").check(&[Tier::Model]).expect("it runs");
        assert_eq!(checked.notes, ["x.toml:14: no run waited here"]);
    }
}
