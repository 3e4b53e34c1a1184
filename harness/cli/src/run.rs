//! `run`: runs cases, over eras and tiers, and compares with what they expect.

use std::fmt;

use reclaimdep::kernel::error::visible;
use reclaimdep::kernel::report::write_file;
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Era, Error, Report, Result, Tier};
use reclaimdep_fixtures::{Case, Options, Row, Verdict, cases};

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::output::{print, print_aside};
use crate::table::Table;

/// A run to make: a case, in an era, on a tier.
struct Planned<'a> {
    case: &'a Case,
    row: &'a Row,
    tier: Tier,
}

/// Reasons below the table. They are long, and the same for every run of a tier.
#[derive(Default)]
struct Footnotes(Vec<String>);

impl Footnotes {
    /// The mark in the table that refers to `reason`.
    fn mark(&mut self, reason: &str) -> String {
        let known = self.0.iter().position(|note| note == reason);
        let index = known.unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        });
        format!("[{}]", index + 1)
    }
}

impl fmt::Display for Footnotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, note) in self.0.iter().enumerate() {
            writeln!(f, "[{}] {}", index + 1, visible(note))?;
        }
        Ok(())
    }
}

/// Runs what `args` selects and prints the table.
///
/// # Errors
/// If `args` selects no run, or something cannot be written; the first failure of the harness. The
/// other runs take place all the same, unless standard output is closed.
pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let cases = cases()?;
    let planned = select(&cases, args)?;
    let required = RequiredTiers::from_env()?;
    let mut table = Table::new(["case", "era", "tier", "verdict"]);
    let (mut ends, mut trouble, mut notes) = (Vec::new(), None, Footnotes::default());
    for Planned { case, row, tier } in planned {
        let verdict = match one(case, row, tier, args) {
            Ok((report, written)) => {
                show(&report, args)?;
                trouble = trouble.or(written.err());
                Verdict::of(Ok(report), row, tier, &required)
            }
            Err(error) => Verdict::of(Err(error), row, tier, &required),
        };
        let shown = match &verdict {
            Ok(Verdict::Skipped { reason }) => format!("skipped {}", notes.mark(reason)),
            Ok(verdict) => verdict.to_string(),
            Err(error) => format!("ERROR: {error}"),
        };
        table.row([case.id.clone(), row.era.to_string(), tier.to_string(), shown]);
        match verdict {
            Ok(verdict) => ends.push(end(&verdict)),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    let table = format!("{table}{notes}");
    if args.json {
        print_aside(&table)?;
    } else {
        print(&table)?;
    }
    trouble.map_or(Ok(together(&ends)), Err)
}

/// How one run ended; nothing where it did not take place.
const fn end(verdict: &Verdict) -> Option<Exit> {
    match verdict {
        Verdict::Skipped { .. } => None,
        verdict if verdict.is_wrong() => Some(Exit::Found),
        _ => Some(Exit::AsExpected),
    }
}

/// How all runs ended. If none took place, nothing can be said.
fn together(ends: &[Option<Exit>]) -> Exit {
    ends.iter().copied().flatten().reduce(Exit::and).unwrap_or(Exit::Inconclusive)
}

/// Runs one case and writes the files of its report; the report is there even if they are not.
fn one(case: &Case, row: &Row, tier: Tier, args: &RunArgs) -> Result<(Report, Result<()>)> {
    let options = Options {
        schedules: args.schedules,
        seed: args.seed,
        replay: args.replay.clone(),
        // A thousand schedules for each finding are too many where every case runs.
        try_cuts: args.case.is_some(),
        rerun: Some(again(case, row, tier, args)),
    };
    let report = case.run(tier, row.era, &options)?;
    // The parts of the name of a file are separated as those of a test's are.
    let saved = report.save_where_asked(&report.name.replace(' ', "::"));
    let written = saved.and_then(|_| write_files(&report, args));
    Ok((report, written))
}

fn show(report: &Report, args: &RunArgs) -> Result<()> {
    if args.json {
        print(&(report.to_json_line() + "\n"))
    } else if report.is_quiet() {
        Ok(())
    } else {
        print(&(report.to_text() + "\n"))
    }
}

fn write_files(report: &Report, args: &RunArgs) -> Result<()> {
    for (path, render) in [
        (&args.html, Report::to_html as fn(&Report) -> String),
        (&args.trace, Report::to_chrome_trace),
    ] {
        if let Some(path) = path {
            write_file(path, &render(report))?;
        }
    }
    Ok(())
}

/// The arguments with which a child process comes back to this run and no other.
fn again(case: &Case, row: &Row, tier: Tier, args: &RunArgs) -> Vec<String> {
    let mut words = ["run", &case.id, "--tier", tier.name(), "--era", row.era.name()]
        .map(str::to_owned)
        .to_vec();
    for (name, number) in [("--schedules", args.schedules), ("--seed", args.seed)] {
        words.extend(number.into_iter().flat_map(|number| [name.to_owned(), number.to_string()]));
    }
    words
}

/// Every run for which a case expects something, unless `args` rules it out.
fn select<'a>(cases: &'a [Case], args: &RunArgs) -> Result<Vec<Planned<'a>>> {
    if let Some(id) = &args.case
        && !cases.iter().any(|case| case.id == *id)
    {
        let known = cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>().join(", ");
        return Err(
            Error::input(format!("unknown case `{id}`")).advice(format!("use one of {known}"))
        );
    }
    let wanted = |era: Era, tier: Tier| {
        args.era.is_none_or(|only| only == era) && args.tier.is_none_or(|only| only == tier)
    };
    let mut planned = Vec::new();
    for case in cases.iter().filter(|case| args.case.as_ref().is_none_or(|id| case.id == *id)) {
        for row in &case.expect {
            let tiers = row.tiers.iter().copied().filter(|tier| wanted(row.era, *tier));
            planned.extend(tiers.map(|tier| Planned { case, row, tier }));
        }
    }
    if planned.is_empty() {
        return Err(Error::input("no case expects anything in this era on this tier")
            .advice("see `cargo reclaimdep list` for the eras of each case"));
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cases of the tests' own, because the project's cases may gain rows.
    fn two_cases() -> Vec<Case> {
        let case = |id: &str, expect: &str| {
            let head = format!(
                "id = \"{id}\"\ntitle = \"t\"\ncitation = []\nshape = \"P3\"\n\
                 task = []\nstack = {{}}\n"
            );
            Case::parse(&(head + expect), "own.toml").unwrap()
        };
        let old =
            "[[expect]]\nera = \"v3.10\"\ntiers = [\"model\", \"loop\"]\nfindings = [\"RD04\"]\n";
        let new = "[[expect]]\nera = \"v5.9\"\ntiers = [\"model\"]\nfindings = []\n";
        vec![case("a", &format!("{old}{new}")), case("b", old)]
    }

    #[track_caller]
    fn check(args: &RunArgs, expected: &[&str]) {
        let cases = two_cases();
        let planned = select(&cases, args).unwrap();
        let shown: Vec<_> = planned
            .iter()
            .map(|run| format!("{} {} {}", run.case.id, run.row.era, run.tier))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_case_runs_in_every_era_and_tier_that_it_expects() {
        let all =
            ["a v3.10 model", "a v3.10 loop", "a v5.9 model", "b v3.10 model", "b v3.10 loop"];
        check(&RunArgs::default(), &all);
    }

    #[test]
    fn case_era_and_tier_narrow_the_selection() {
        check(
            &RunArgs { case: Some("b".into()), ..RunArgs::default() },
            &["b v3.10 model", "b v3.10 loop"],
        );
        check(&RunArgs { era: Some(Era::V5_9), ..RunArgs::default() }, &["a v5.9 model"]);
        check(
            &RunArgs { tier: Some(Tier::Loop), ..RunArgs::default() },
            &["a v3.10 loop", "b v3.10 loop"],
        );
    }

    #[test]
    fn each_reason_is_a_footnote_once() {
        let mut notes = Footnotes::default();
        let marks =
            ["no fuse; load it", "no loop", "no fuse; load it"].map(|reason| notes.mark(reason));
        assert_eq!(marks, ["[1]", "[2]", "[1]"]);
        assert_eq!(notes.to_string(), "[1] no fuse; load it\n[2] no loop\n");
    }

    #[test]
    fn a_selection_in_which_nothing_ran_says_nothing() {
        let skipped = Verdict::Skipped { reason: "no fuse".into() };
        let wrong = Verdict::Wrong {
            expected: std::iter::empty().collect(),
            found: std::iter::empty().collect(),
            why: None,
        };
        let of = |verdicts: &[&Verdict]| {
            together(&verdicts.iter().map(|verdict| end(verdict)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[&skipped, &skipped]), Exit::Inconclusive);
        assert_eq!(of(&[&skipped, &Verdict::Quiet]), Exit::AsExpected);
        assert_eq!(of(&[&Verdict::Found, &wrong, &skipped]), Exit::Found);
    }

    #[test]
    fn a_child_runs_with_the_seed_that_was_asked_for() {
        let cases = two_cases();
        let args = RunArgs { seed: Some(7), ..RunArgs::default() };
        let words = again(&cases[0], &cases[0].expect[0], Tier::Loop, &args);
        assert_eq!(words, ["run", "a", "--tier", "loop", "--era", "v3.10", "--seed", "7"]);
    }

    #[track_caller]
    fn check_refused(args: &RunArgs, says: &str) {
        let cases = two_cases();
        let message = select(&cases, args).err().expect("nothing to run").to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn a_selection_of_nothing_is_an_error_and_not_a_success() {
        check_refused(&RunArgs { case: Some("c".into()), ..RunArgs::default() }, "use one of a, b");
        let native = RunArgs { tier: Some(Tier::Native), ..RunArgs::default() };
        check_refused(&native, "no case expects");
    }
}
