//! `list`: prints a table of the cases.

use reclaimdep::case::Case;
use reclaimdep::{Error, Result};

use crate::args::{ListArgs, Years};
use crate::chosen::{Chosen, chosen};
use crate::table::Table;

/// The table: id, shape, year, eras and codes of what must be found, and title of every case that
/// `args` leaves.
///
/// # Errors
/// If a word names no case, or no case is left.
pub(crate) fn list(args: &ListArgs) -> Result<String> {
    let all = chosen(&args.cases)?;
    if let Some(layer) = &args.layer {
        known_layer(&all, layer)?;
    }
    let mut table = Table::new(["case", "shape", "year", "found in", "codes", "title"]);
    let mut count = 0;
    for Chosen { case, called } in all.iter().filter(|chosen| wanted(&chosen.case, args)) {
        let year = case.year.map_or_else(String::new, |year| year.to_string());
        let (eras, codes) = found(case);
        table.row([called.clone(), case.shape.clone(), year, eras, codes, case.title.clone()]);
        count += 1;
    }
    if count == 0 {
        return Err(Error::input("no case is left").advice("leave out an option"));
    }
    Ok(table.to_string())
}

fn wanted(case: &Case, args: &ListArgs) -> bool {
    let shape = |shape: &String| case.shape.split('+').any(|one| one.trim() == shape);
    let year = |Years(from, to): Years| case.year.is_some_and(|year| (from..=to).contains(&year));
    args.shape.as_ref().is_none_or(shape)
        && args.layer.as_ref().is_none_or(|layer| case.layers().contains(&layer.as_str()))
        && args.year.is_none_or(year)
        && case.rows.iter().any(|row| {
            args.era.is_none_or(|era| row.eras.contains(&era) && !row.findings.is_empty())
                && args.finds.is_none_or(|code| row.findings.contains(&code))
        })
}

/// From where to where something must be found in some variant, and the codes.
fn found(case: &Case) -> (String, String) {
    let rows = || case.rows.iter().filter(|row| !row.findings.is_empty());
    let eras = || rows().flat_map(|row| row.eras.iter());
    let range = match (eras().min(), eras().max()) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first}..{last}"),
        _ => "none".to_owned(),
    };
    let mut codes: Vec<_> = rows().flat_map(|row| row.findings.iter().copied()).collect();
    codes.sort_unstable();
    codes.dedup();
    (range, codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

fn known_layer(all: &[Chosen], layer: &str) -> Result<()> {
    let mut known: Vec<&str> = all.iter().flat_map(|chosen| chosen.case.layers()).collect();
    known.sort_unstable();
    known.dedup();
    if known.contains(&layer) {
        return Ok(());
    }
    let advice = format!("use one of {}", known.join(", "));
    Err(Error::input(format!("no case has the layer `{layer}`")).advice(advice))
}
