//! The catalogue: every file of `fixtures/deadlocks` is read; each variant shows what its rows say.

use std::path::{Path, PathBuf};

use reclaimdep::case::{Case, Options, parse};
use reclaimdep::{Code, Era, Tier};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/deadlocks");
    let entries = std::fs::read_dir(folder).expect("the folder of the cases");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn cases() -> Vec<Case> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        parse(&text, name).unwrap_or_else(|error| panic!("{error}"))
    };
    files().iter().map(read).collect()
}

/// The oldest era, one in the middle, and the newest.
const ERAS: [Era; 3] = [Era::V3_10, Era::V5_9, Era::V6_12];

/// Runs `judge` on each variant of each case in each era, and lists what it complains of.
#[track_caller]
fn check(judge: impl Fn(&Case, &str, Era) -> Option<String>) {
    let mut wrong = Vec::new();
    for case in cases() {
        for script in &case.scripts {
            for era in ERAS {
                if let Some(why) = judge(&case, &script.variant, era) {
                    wrong.push(format!("{} {} {era}: {why}", case.id, script.variant));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_variant_shows_exactly_what_its_row_says() {
    check(|case, variant, era| {
        let row = case.row(variant, Tier::Model, era)?;
        let report = case.run(variant, Tier::Model, era, &Options::default());
        match report {
            Ok(report) => report.matches(&row.findings).err(),
            Err(error) => Some(error.to_string()),
        }
    });
}

#[test]
fn a_run_without_pressure_predicts_what_the_rows_say() {
    check(|case, variant, era| {
        let row =
            case.row(variant, Tier::Model, era).filter(|_| case.reclaims && era == ERAS[2])?;
        let report = case.predict(variant, era, &Options::default());
        let found = match report {
            Ok(report) => report.codes(),
            Err(error) => return Some(error.to_string()),
        };
        let expected: &[Code] = if row.predicted { &[Code::RD03] } else { &[] };
        (found != expected).then(|| format!("predicted {found:?}, and the row says {expected:?}"))
    });
}

#[test]
fn every_file_is_named_by_its_id_and_every_id_is_there_once() {
    let ids: Vec<String> = cases().into_iter().map(|case| case.id).collect();
    for (id, path) in ids.iter().zip(files()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with(&format!("{id}-")), "{name} holds the case {id}");
    }
    let mut once = ids.clone();
    once.dedup();
    assert_eq!(ids, once);
}
