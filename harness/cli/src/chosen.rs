//! `Chosen`: the cases that a command line names: ids of the catalogue, files, folders.

use std::fs;
use std::path::{Path, PathBuf};

use reclaimdep::case::{self, Case};
use reclaimdep::kernel::error::{visible, visible_os};
use reclaimdep::{Error, Result};
use reclaimdep_fixtures::cases;

/// A case, and the word that names it on a command line.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) case: Case,
    pub(crate) called: String,
}

/// What `words` name, in their order; the whole catalogue where there are none.
///
/// # Errors
/// A word that names nothing, a file that is no case, a folder without cases.
pub(crate) fn chosen(words: &[String]) -> Result<Vec<Chosen>> {
    let catalogue = cases()?;
    if words.is_empty() {
        return Ok(catalogue.into_iter().map(of_catalogue).collect());
    }
    let mut chosen = Vec::new();
    for word in words {
        let known = |case: &&Case| case.id == *word || case.path == word;
        let found = catalogue.iter().find(known);
        let path = Path::new(word);
        match found {
            Some(case) if case.id == *word || !path.exists() => {
                chosen.push(of_catalogue(case.clone()));
            }
            _ if path.is_dir() => chosen.extend(of_folder(path)?),
            _ if path.exists() || looks_like_a_path(word) => chosen.push(of_file(path)?),
            _ => return Err(unknown(word, &catalogue)),
        }
    }
    Ok(chosen)
}

fn of_catalogue(case: Case) -> Chosen {
    Chosen { called: case.id.clone(), case }
}

fn of_file(path: &Path) -> Result<Chosen> {
    let case = case::load(path)?;
    Ok(Chosen { called: path.to_string_lossy().into_owned(), case })
}

/// Every case file of a folder, in the order of their names.
fn of_folder(folder: &Path) -> Result<Vec<Chosen>> {
    let cannot = |error| Error::os(format!("cannot read {}", visible_os(folder))).because(error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        files.push(entry.map_err(cannot)?.path());
    }
    files.retain(|path: &PathBuf| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    if files.is_empty() {
        let what = format!("{} has no case file", visible_os(folder));
        return Err(Error::input(what).advice("the name of a case file ends with .toml"));
    }
    files.iter().map(|path| of_file(path)).collect()
}

fn looks_like_a_path(word: &str) -> bool {
    word.contains(std::path::is_separator) || word.ends_with(".toml")
}

fn unknown(word: &str, catalogue: &[Case]) -> Error {
    let known = catalogue.iter().map(|case| case.id.as_str()).collect::<Vec<_>>().join(", ");
    Error::input(format!("unknown case `{}`", visible(word)))
        .advice(format!("name a file, a folder, or one of {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], called: &[&str]) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let chosen = chosen(&words).unwrap();
        let found: Vec<&str> = chosen.iter().map(|chosen| chosen.called.as_str()).collect();
        assert_eq!(found, called);
    }

    #[track_caller]
    fn check_refused(word: &str, says: &[&str]) {
        let message = chosen(&[word.to_owned()]).unwrap_err().to_string();
        assert!(says.iter().all(|part| message.contains(part)), "{message}");
    }

    /// A file of the catalogue, as a file of the disk.
    const FILE: &str = "../../fixtures/deadlocks/c28-xfs-inode-cluster.toml";

    #[test]
    fn a_case_is_named_by_its_id_its_path_or_its_file() {
        check(&["c28", "c01"], &["c28", "c01"]);
        check(&["fixtures/deadlocks/c28-xfs-inode-cluster.toml"], &["c28"]);
        check(&[FILE], &[FILE]);
    }

    #[test]
    fn no_word_is_the_whole_catalogue_and_a_folder_is_its_files() {
        let all = chosen(&[]).unwrap();
        let folder = chosen(&["../../fixtures/deadlocks".to_owned()]).unwrap();
        let ids = |chosen: &[Chosen]| -> Vec<String> {
            chosen.iter().map(|chosen| chosen.case.id.clone()).collect()
        };
        assert_eq!(ids(&all), ids(&folder));
        assert!(all.len() > 30);
    }

    #[test]
    fn what_is_no_case_is_refused() {
        check_refused("c99", &["unknown case `c99`", "one of c01, "]);
        check_refused("no/such.toml", &["cannot open no/such.toml"]);
        check_refused("tests", &["tests has no case file", ".toml"]);
        check_refused("Cargo.toml", &["Cargo.toml:", "no part or field"]);
    }
}
