//! `matrix --markdown`: the page `docs/catalogue.md`: each case, and how soon what must be found is
//! found.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reclaimdep::case::{Case, Origin};
use reclaimdep::kernel::error::visible;
use reclaimdep::{Era, Error, Result, Tier};

use crate::args::Selection;
use crate::chosen::Chosen;
use crate::planned::{Planned, Predictions, plan};

/// From how many seeds each is measured.
const SEEDS: u64 = 20;

/// How soon a variant is found.
struct Reach {
    /// Schedules to the finding, by seed, in order.
    schedules: Vec<u64>,
    /// The time of a run, by seed, in order.
    times: Vec<Duration>,
}

/// The page about these cases.
///
/// # Errors
/// If a run fails, or does not find what it must from some seed.
pub(crate) fn page(chosen: &[Chosen]) -> Result<String> {
    let selection = Selection { tier: Some(Tier::Model), ..Selection::default() };
    let planned = plan(chosen, &selection, Predictions::None)?;
    let mut page = String::from(HEAD);
    for chosen in chosen {
        let case = &chosen.case;
        let newest = |run: &&Planned<'_>| {
            let of_case = std::ptr::eq(run.chosen, chosen);
            of_case && run.row.eras.iter().max() == Some(&run.era)
        };
        for run in planned.iter().filter(newest).filter(|run| !run.row.findings.is_empty()) {
            let reach = measure(run, &selection)?;
            line(&mut page, case, run, &reach);
        }
    }
    let healthy = chosen.iter().filter(|chosen| is_quiet(&chosen.case));
    let _ = write!(page, "\n{QUIET}");
    for Chosen { case, .. } in healthy {
        let _ = writeln!(page, "| {} | {} |", case.id, cell(&case.title));
    }
    Ok(page)
}

const HEAD: &str = "# The catalogue\n\n\
    Printed by `cargo reclaimdep matrix --markdown`. For each variant in which something must be\n\
    found: how many schedules the model tier explores until then, from 20 seeds, and how long that\n\
    takes on the machine that printed the page. A case is a file of `fixtures/deadlocks`;\n\
    `cargo reclaimdep show CASE` shows it.\n\n\
    | case | what happens | shape | year | source | variant | eras | codes | predicted | schedules, \
    median and most | milliseconds, median |\n|---|---|---|---|---|---|---|---|---|---|---|\n";

const QUIET: &str = "Healthy controls, in which nothing may be found:\n\n\
    | case | what it shows |\n|---|---|\n";

fn measure(run: &Planned<'_>, selection: &Selection) -> Result<Reach> {
    let mut reach = Reach { schedules: Vec::new(), times: Vec::new() };
    for seed in 1..=SEEDS {
        let mut options = run.options(selection);
        options.seed = Some(seed);
        #[expect(clippy::disallowed_methods, reason = "the time of the program, not of a world")]
        let begin = Instant::now();
        let report = run.run(&options)?;
        reach.times.push(begin.elapsed());
        reach.schedules.push(report.schedules);
        let found = report.codes();
        if !run.row.findings.iter().all(|code| found.contains(code)) {
            let what = format!("{} {} is not found from seed {seed}", run.case().id, run.variant);
            return Err(Error::input(what));
        }
    }
    reach.schedules.sort_unstable();
    reach.times.sort_unstable();
    Ok(reach)
}

fn line(page: &mut String, case: &Case, run: &Planned<'_>, reach: &Reach) {
    let eras = match (run.row.eras.first(), run.row.eras.last()) {
        (Some(first), Some(last)) if first != last => format!("{first}..{last}"),
        (Some(only), _) => only.to_string(),
        _ => Era::V6_12.to_string(),
    };
    let codes = run.row.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let middle = reach.schedules.len() / 2;
    let cells = [
        case.id.clone(),
        cell(&case.title),
        cell(&case.shape),
        case.year.map_or_else(String::new, |year| year.to_string()),
        match case.origin {
            Origin::Reported => "reported",
            Origin::Constructed => "constructed",
        }
        .to_owned(),
        cell(run.variant),
        eras,
        codes,
        if run.row.predicted { "yes" } else { "no" }.to_owned(),
        format!("{}, {}", reach.schedules[middle], reach.schedules.last().copied().unwrap_or(0)),
        reach.times[middle].as_millis().to_string(),
    ];
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn is_quiet(case: &Case) -> bool {
    case.rows.iter().all(|row| row.findings.is_empty())
}

/// A text in a cell.
fn cell(text: &str) -> String {
    visible(text).replace('|', "\\|")
}
