//! `run`: runs cases, over variants, eras and tiers, and compares with what they expect.

use std::collections::BTreeSet;
use std::fmt;

use reclaimdep::case::{Coverage, Verdict};
use reclaimdep::kernel::error::visible;
use reclaimdep::kernel::report::write_file;
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Code, Era, Error, Outcome, Report, Result, Tier};

use crate::args::{RunArgs, Selection};
use crate::chosen::{Chosen, chosen};
use crate::exit::Exit;
use crate::output::{print, print_aside};
use crate::planned::{Planned, Predictions, What, each, plan};
use crate::table::Table;

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

/// A run that was made.
struct Made {
    /// What it is compared to, or the trouble.
    verdict: Result<Verdict>,
    report: Option<Report>,
    /// Whether its files could be written.
    written: Result<()>,
}

/// Runs what `args` selects and prints the table.
///
/// # Errors
/// If `args` selects no run, or something cannot be written; the first failure of the harness. The
/// other runs take place all the same, unless standard output is closed.
pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let chosen = chosen(&args.cases)?;
    if args.minimal {
        return minimal(&chosen, &args.selection);
    }
    let planned = plan(&chosen, &args.selection, predictions(args))?;
    if (args.replay.is_some() || args.html.is_some() || args.trace.is_some()) && planned.len() != 1
    {
        return Err(more_than_one(&planned));
    }
    let required = RequiredTiers::from_env()?;
    let told = told(&planned, &args.selection);
    let whole = is_whole(args);
    let seen: Vec<Coverage> = chosen.iter().map(|_| Coverage::default()).collect();
    let made = each(&planned, |run, _| {
        let of_case = chosen.iter().position(|one| std::ptr::eq(one, run.chosen));
        let coverage = of_case.filter(|_| whole).map(|place| seen[place].clone());
        one(run, args, &required, (told.contains(&key(run)), coverage))
    });
    let mut lines = Lines::default();
    let (mut ends, mut trouble) = (Vec::new(), None);
    for (run, Made { verdict, report, written }) in planned.iter().zip(made) {
        if let Some(report) = &report {
            let wrong = verdict.as_ref().is_ok_and(Verdict::is_wrong);
            show(report, args, wrong || told.contains(&key(run)))?;
        }
        trouble = trouble.or(written.err());
        lines.add(run, &verdict, report.as_ref(), args.selection.policy.is_some());
        match verdict {
            Ok(_) if args.selection.policy.is_some() => ends.push(Some(Exit::AsExpected)),
            Ok(verdict) => ends.push(end(&verdict)),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    let mut table = lines.to_string();
    for (chosen, coverage) in chosen.iter().zip(&seen).filter(|_| whole) {
        for fault in coverage.uncovered(&chosen.case).faults {
            table += &format!("WRONG: {}\n", visible(&fault));
            ends.push(Some(Exit::Found));
        }
    }
    if args.json {
        print_aside(&table)?;
    } else {
        print(&table)?;
    }
    trouble.map_or(Ok(together(&ends)), Err)
}

/// Names the steps without which the same is found, in the newest era of each row.
fn minimal(chosen: &[Chosen], selection: &Selection) -> Result<Exit> {
    let selection = Selection { tier: Some(Tier::Model), ..selection.clone() };
    let planned = plan(chosen, &selection, Predictions::None)?;
    let newest = |run: &&Planned<'_>| run.row.eras.iter().max() == Some(&run.era);
    let planned: Vec<Planned<'_>> = planned
        .iter()
        .filter(|run| !run.row.findings.is_empty())
        .filter(|run| selection.era.is_some() || newest(run))
        .cloned()
        .collect();
    if planned.is_empty() {
        return Err(Error::input("nothing must be found of this, so no step is needed"));
    }
    let found = each(&planned, |run, _| {
        run.case().unneeded(run.variant, run.era, &run.options(&selection))
    });
    let mut text = String::new();
    for (run, found) in planned.iter().zip(found) {
        for one in found? {
            let (path, variant) = (visible(run.case().path), visible(run.variant));
            let step = visible(&one.step);
            text += &format!("{path}:{}: {variant} is found without `{step}`\n", one.line);
        }
    }
    let end = if text.is_empty() { Exit::AsExpected } else { Exit::Found };
    print(if text.is_empty() { "each step is needed\n" } else { &text }).map(|()| end)
}

/// Whether every run of the cases is made, so that what no run reached is a fault of the case.
const fn is_whole(args: &RunArgs) -> bool {
    let Selection { variant, tier, era, policy, .. } = &args.selection;
    let narrowed = variant.is_some() || tier.is_some() || era.is_some() || policy.is_some();
    !narrowed && !args.predicted && args.replay.is_none()
}

/// A replay repeats a schedule of a run, and another policy has no row: no prediction then.
const fn predictions(args: &RunArgs) -> Predictions {
    let one_kind = args.selection.tier.is_some() || args.selection.policy.is_some();
    match args.predicted {
        true => Predictions::Only,
        false if one_kind || args.replay.is_some() => Predictions::None,
        false => Predictions::Too,
    }
}

fn more_than_one(planned: &[Planned<'_>]) -> Error {
    let what = format!(
        "--replay, --html and --trace are about one run, and this chooses {}",
        planned.len()
    );
    Error::input(what).advice("name one case with --variant, --era and --tier")
}

/// What tells one printed report from another: eras of a kind show the same story.
type Key<'a> = (&'a str, &'a str, &'static str, Era);

fn key<'a>(run: &Planned<'a>) -> Key<'a> {
    (&run.chosen.called, run.variant, run.what.name(), run.era)
}

/// The runs whose report is printed though it is as expected: of one case, the first of each
/// variant and tier in which something must be found; with an era, that era.
fn told<'a>(planned: &[Planned<'a>], selection: &Selection) -> BTreeSet<Key<'a>> {
    let one_case = planned.windows(2).all(|pair| pair[0].chosen.called == pair[1].chosen.called);
    if !one_case {
        return BTreeSet::new();
    }
    let mut seen: BTreeSet<(&str, &str, Vec<Code>)> = BTreeSet::new();
    let found = planned.iter().filter(|run| match run.what {
        What::On(_) => !run.row.findings.is_empty() || selection.policy.is_some(),
        What::Predicted => run.row.predicted,
    });
    let first =
        found.filter(|run| seen.insert((run.variant, run.what.name(), run.row.findings.clone())));
    first.map(key).collect()
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

/// Makes one run and writes the files of its report; the report is there even if they are not.
fn one(
    run: &Planned<'_>,
    args: &RunArgs,
    required: &RequiredTiers,
    (told, coverage): (bool, Option<Coverage>),
) -> Made {
    let mut options = run.options(&args.selection);
    options.coverage = coverage;
    options.replay.clone_from(&args.replay);
    // A thousand schedules for each finding are too many where the report is not printed.
    options.try_cuts = told;
    match run.run(&options) {
        Ok(report) => {
            // The parts of the name of a file are separated as those of a test's are.
            let saved = report.save_where_asked(&report.name.replace(' ', "::"));
            let written = saved.and_then(|_| write_files(&report, args));
            let verdict = run.verdict(Ok(report.clone()), required);
            Made { verdict, report: Some(report), written }
        }
        Err(error) => {
            Made { verdict: run.verdict(Err(error), required), report: None, written: Ok(()) }
        }
    }
}

fn show(report: &Report, args: &RunArgs, told: bool) -> Result<()> {
    if args.json {
        print(&(report.to_json_line() + "\n"))
    } else if report.is_quiet() || !told {
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

/// The table: eras of one variant and tier that came out alike share a line.
#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    notes: Footnotes,
}

#[derive(PartialEq, Eq)]
struct Line {
    /// Case, variant, tier.
    about: [String; 3],
    eras: (Era, Era),
    verdict: String,
}

impl Lines {
    fn add(
        &mut self,
        run: &Planned<'_>,
        verdict: &Result<Verdict>,
        report: Option<&Report>,
        observed: bool,
    ) {
        let codes = report.map(Report::codes).unwrap_or_default();
        let verdict = match (verdict, report) {
            (Ok(Verdict::Skipped { reason }), _) => format!("skipped {}", self.notes.mark(reason)),
            (Ok(_), Some(report)) if observed => shown(report),
            (Ok(Verdict::Found), _) => format!("found {}", list(&codes)),
            (Ok(verdict), _) => verdict.to_string(),
            (Err(error), _) => format!("ERROR: {error}"),
        };
        let about = [run.chosen.called.as_str(), run.variant, run.what.name()].map(str::to_owned);
        match self.lines.last_mut() {
            Some(last)
                if last.about == about
                    && last.verdict == verdict
                    && next(last.eras.1) == Some(run.era) =>
            {
                last.eras.1 = run.era;
            }
            _ => self.lines.push(Line { about, eras: (run.era, run.era), verdict }),
        }
    }
}

/// What a run without a row showed.
fn shown(report: &Report) -> String {
    match &report.outcome {
        Outcome::Panicked { message } => format!("panicked: {message}"),
        _ if report.codes().is_empty() => "quiet".to_owned(),
        _ => list(&report.codes()),
    }
}

fn list(codes: &[Code]) -> String {
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The era after `era`.
fn next(era: Era) -> Option<Era> {
    let at = Era::ALL.iter().position(|known| *known == era)?;
    Era::ALL.get(at + 1).copied()
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["case", "variant", "eras", "tier", "verdict"]);
        for Line { about: [case, variant, tier], eras: (from, to), verdict } in &self.lines {
            let eras = if from == to { from.to_string() } else { format!("{from}..{to}") };
            let cells = [case, variant, &eras, tier, verdict];
            table.row(cells.map(Clone::clone));
        }
        write!(f, "{table}{}", self.notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn eras_that_came_out_alike_share_a_line() {
        let chosen = chosen(&["c01".to_owned()]).unwrap();
        let planned = plan(&chosen, &Selection::default(), Predictions::None).unwrap();
        let mut lines = Lines::default();
        for run in planned.iter().filter(|run| run.what.name() == "model") {
            let verdict = if run.era < Era::V5_2 { Verdict::Found } else { Verdict::Quiet };
            lines.add(run, &Ok(verdict), None, false);
        }
        let eras: Vec<_> = lines.lines.iter().map(|line| line.eras).collect();
        assert_eq!(eras, [(Era::V3_10, Era::V4_19), (Era::V5_2, Era::V6_12)]);
    }
}
