//! `matrix`: cases in every era, or under every policy, as one table.

use std::fs;
use std::path::Path;

use reclaimdep::case::{Cell, Matrix, Options, Outcome, Verdict};
use reclaimdep::kernel::error::visible_os;
use reclaimdep::kernel::mm::policy::PolicyKind;
use reclaimdep::kernel::report::{file_name, write_file};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::{Era, Error, Outcome as Ended, Report, Result, Tier};

use crate::args::{MatrixArgs, Selection};
use crate::chosen::{Chosen, chosen};
use crate::exit::Exit;
use crate::output::print;
use crate::planned::{Planned, Predictions, each, plan};
use crate::reach::page;

/// A column of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Era(Era),
    Policy(PolicyKind),
}

impl Column {
    fn name(self) -> String {
        match self {
            Self::Era(era) => era.to_string(),
            Self::Policy(policy) => policy.to_string(),
        }
    }
}

/// A run of the table, with its column.
struct Entry<'a> {
    run: Planned<'a>,
    column: Column,
}

/// Runs what `args` selects on the model tier and prints the table.
///
/// # Errors
/// If `args` selects no run, or something cannot be written; the first failure of the harness.
pub(crate) fn matrix(args: &MatrixArgs) -> Result<Exit> {
    let chosen = chosen(&args.cases)?;
    if args.markdown {
        return print(&page(&chosen)?).map(|()| Exit::AsExpected);
    }
    let selection = Selection {
        tier: Some(Tier::Model),
        era: args.era,
        schedules: args.schedules,
        seed: args.seed,
        ..Selection::default()
    };
    let planned = plan(&chosen, &selection, Predictions::None)?;
    let columns = columns(args, &planned);
    let entries = entries(args, planned);
    if let Some(folder) = &args.html {
        fs::create_dir_all(folder).map_err(|error| {
            Error::os(format!("cannot make {}", visible_os(folder))).because(error)
        })?;
    }
    let made = each_entry(&entries, &selection, args.html.as_deref());
    let what = if args.policies { "case by policy" } else { "case by era" };
    let mut matrix = Matrix::new(what, columns.iter().map(|column| column.name()).collect());
    let (mut trouble, mut cells) = (None, Vec::new());
    for (entry, cell) in entries.iter().zip(made) {
        match cell {
            Ok(cell) => cells.push((entry, cell)),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    for chosen in &chosen {
        add_lines(&mut matrix, chosen, &columns, &cells, args.html.as_deref())?;
    }
    if let Some(folder) = &args.html {
        write_file(&folder.join("index.html"), &matrix.to_html())?;
    }
    print(&matrix.to_text())?;
    let end = if matrix.wrong() == 0 { Exit::AsExpected } else { Exit::Found };
    trouble.map_or(Ok(end), Err)
}

/// The columns: every era in which something is run, or every policy.
fn columns(args: &MatrixArgs, planned: &[Planned<'_>]) -> Vec<Column> {
    if args.policies {
        return PolicyKind::ALL.iter().copied().map(Column::Policy).collect();
    }
    let used = |era: &Era| planned.iter().any(|run| run.era == *era);
    Era::ALL.iter().copied().filter(used).map(Column::Era).collect()
}

/// A run for each cell: a policy is compared in one era, the newest that a variant has a row for.
fn entries<'a>(args: &MatrixArgs, planned: Vec<Planned<'a>>) -> Vec<Entry<'a>> {
    if !args.policies {
        let entry = |run: Planned<'a>| Entry { column: Column::Era(run.era), run };
        return planned.into_iter().map(entry).collect();
    }
    let newest = |run: &Planned<'_>| {
        let of_variant = |other: &&Planned<'_>| {
            other.chosen.called == run.chosen.called && other.variant == run.variant
        };
        planned.iter().filter(of_variant).map(|other| other.era).max() == Some(run.era)
    };
    let runs = planned.iter().filter(|run| newest(run));
    let each = |run: &Planned<'a>| {
        let entry = |policy| Entry { run: run.clone(), column: Column::Policy(policy) };
        PolicyKind::ALL.iter().copied().map(entry).collect::<Vec<_>>()
    };
    runs.flat_map(each).collect()
}

/// The cell of each entry, with its report written where a folder asks for it.
fn each_entry(
    entries: &[Entry<'_>],
    selection: &Selection,
    folder: Option<&Path>,
) -> Vec<Result<Cell>> {
    let runs: Vec<Planned<'_>> = entries.iter().map(|entry| entry.run.clone()).collect();
    each(&runs, |run, index| {
        let mut options = run.options(selection);
        let policy = match entries[index].column {
            Column::Policy(policy) => Some(policy),
            Column::Era(_) => None,
        };
        options.policy = policy;
        one(run, &options, folder)
    })
}

/// Makes one run.
fn one(run: &Planned<'_>, options: &Options, folder: Option<&Path>) -> Result<Cell> {
    let report = run.run(options)?;
    let outcome = match options.policy {
        None => of_verdict(&run.verdict(Ok(report.clone()), &RequiredTiers::default())?),
        // A row is about the policy of its case, so any finding under another is as it is.
        Some(_) => match report.outcome {
            Ended::Panicked { .. } => Outcome::Wrong,
            _ => Outcome::Fine,
        },
    };
    let cell = Cell::new(outcome, report.codes());
    match folder {
        None => Ok(cell),
        Some(folder) => Ok(cell.linked(write_report(&report, options.policy, folder)?)),
    }
}

fn of_verdict(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Skipped { .. } => Outcome::None,
        verdict if verdict.is_wrong() => Outcome::Wrong,
        _ => Outcome::Fine,
    }
}

/// Writes a report, and returns the name of its file.
fn write_report(report: &Report, policy: Option<PolicyKind>, folder: &Path) -> Result<String> {
    let policy = policy.map_or_else(String::new, |policy| format!("::{policy}"));
    let name = file_name(&(report.name.replace(' ', "::") + &policy)) + ".html";
    write_file(&folder.join(&name), &report.to_html())?;
    Ok(name)
}

/// A line for each variant of a case that was run.
fn add_lines(
    matrix: &mut Matrix,
    chosen: &Chosen,
    columns: &[Column],
    cells: &[(&Entry<'_>, Cell)],
    folder: Option<&Path>,
) -> Result<()> {
    for script in &chosen.case.scripts {
        let of = |column: &Column| {
            let here = |(entry, _): &&(&Entry<'_>, Cell)| {
                entry.run.chosen.called == chosen.called
                    && entry.run.variant == script.variant
                    && entry.column == *column
            };
            cells.iter().find(here).map(|(_, cell)| cell.clone())
        };
        let line: Vec<Option<Cell>> = columns.iter().map(of).collect();
        if line.iter().all(Option::is_none) {
            continue;
        }
        matrix.line([&chosen.called, &script.variant, &chosen.case.title], line);
        if let Some(folder) = folder {
            let name = file_name(&format!("case::{}", chosen.case.id)) + ".html";
            write_file(&folder.join(&name), &chosen.case.to_html(None))?;
            matrix.link_last(name);
        }
    }
    Ok(())
}
