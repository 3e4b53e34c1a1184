//! Rows: what must be found for which variants, eras and tiers.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::table::{Entry, Node, short};
use crate::case::nearest::advise;
use crate::case::place::Source;
use crate::case::script::Row;
use crate::case::words::ROW;
use crate::era::Era;
use crate::error::{Error, Result};
use crate::tier::Tier;
use crate::witness::Code;

/// Reads every row. Each variant, era and tier has at most one.
pub(super) fn rows<'a>(
    source: &'a Source<'a>,
    node: Option<&'a Node<'a>>,
    variants: &[String],
) -> Result<Vec<Row>> {
    let list = node.and_then(|node| node.get_ref().as_array());
    let mut rows = Vec::new();
    let mut seen = BTreeMap::new();
    for node in list.into_iter().flatten() {
        let at = node.span().start;
        let DeValue::Table(table) = node.get_ref() else {
            return Err(source.error(at, "a row is a table").advice("write [[expect]]"));
        };
        let entry = Entry::new(source, (table, at), ("an `[[expect]]` row", ROW), None)?;
        let row = row(&entry, variants)?;
        for variant in &row.variants {
            for era in &row.eras {
                for tier in &row.tiers {
                    let key = (variant.clone(), era.name(), tier.name());
                    if let Some(line) = seen.insert(key, row.line) {
                        let text = format!(
                            "`{variant}` in {era} on tier {tier} is expected in line {line} too"
                        );
                        return Err(source.error(at, text).advice("narrow one of the two rows"));
                    }
                }
            }
        }
        rows.push(row);
    }
    if rows.is_empty() {
        let at = node.map_or(0, |node| node.span().start);
        return Err(source.error(at, "a case expects something").advice("add an [[expect]] row"));
    }
    Ok(rows)
}

fn row(entry: &Entry<'_>, variants: &[String]) -> Result<Row> {
    let mut named = Vec::new();
    for (name, at) in entry.texts("variant").unwrap_or_default() {
        if !variants.contains(&name) {
            let error = entry.source.error(at, format!("no variant is called `{}`", short(&name)));
            return Err(advise(error, &name, variants.iter().map(String::as_str)));
        }
        named.push(name);
    }
    let tiers = match entry.texts("tiers") {
        None => vec![Tier::Model, Tier::Native],
        Some(tiers) => parsed::<Tier>(entry.source, tiers)?,
    };
    for (field, none) in [("variant", named.is_empty()), ("tiers", tiers.is_empty())] {
        if none && entry.node(field).is_some() {
            return Err(entry
                .error(field, "the list is empty")
                .advice("leave it out for the default"));
        }
    }
    Ok(Row {
        variants: if named.is_empty() { variants.to_vec() } else { named },
        eras: eras(entry)?,
        tiers,
        findings: parsed::<Code>(entry.source, entry.texts("findings").unwrap_or_default())?,
        may: parsed::<Code>(entry.source, entry.texts("may").unwrap_or_default())?,
        predicted: entry.bool("predicted"),
        class_view: entry.node("view").is_some(),
        why: entry.text("why"),
        line: entry.source.line(entry.at),
    })
}

fn parsed<T: std::str::FromStr<Err: Into<Error>>>(
    source: &Source<'_>,
    words: Vec<(String, usize)>,
) -> Result<Vec<T>> {
    words
        .into_iter()
        .map(|(word, at)| {
            let word = short(&word);
            word.parse().map_err(|error: T::Err| placed(source, at, &error.into()))
        })
        .collect()
}

/// The error of a word, at its place.
fn placed(source: &Source<'_>, at: usize, error: &Error) -> Error {
    source.error(at, error)
}

/// The eras of a row, oldest first; all where it names none.
fn eras(entry: &Entry<'_>) -> Result<Vec<Era>> {
    let (field, text) = match (entry.text("era"), entry.text("eras")) {
        (Some(_), Some(_)) => {
            let error = entry.error("eras", "the row has both `era` and `eras`");
            return Err(error.advice("keep one of them"));
        }
        (Some(era), None) => ("era", era),
        (None, Some(eras)) => ("eras", eras),
        (None, None) => return Ok(Era::ALL.to_vec()),
    };
    let at = entry.node(field).map_or(entry.at, |node| node.span().start);
    let one = |name: &str| {
        let era = short(name.trim()).parse::<Era>();
        era.map_err(|error| placed(entry.source, at, &error))
    };
    let Some((first, last)) = text.split_once("..").filter(|_| field == "eras") else {
        return Ok(vec![one(&text)?]);
    };
    let first = if first.trim().is_empty() { Era::V3_10 } else { one(first)? };
    let last = if last.trim().is_empty() { Era::V6_12 } else { one(last)? };
    if first > last {
        return Err(entry
            .error(field, format!("no era is from {first} to {last}"))
            .advice(format!("write `{last}..{first}`")));
    }
    Ok(Era::ALL.iter().copied().filter(|era| (first..=last).contains(era)).collect())
}
