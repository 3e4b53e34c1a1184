//! The case language: a reported deadlock as one file, without Rust.
//!
//! Key types: [`Case`], [`Script`], [`Options`]. Parts are what a stack has; steps are what a task
//! does. Tasks, servers, work items, scans and evictions are programs of the same steps.
//!
//! | module | holds |
//! |---|---|
//! | `script` | [`Case`], [`Script`]: a case as data, by variant |
//! | `words` | the registry of words: parser, errors and documentation read it |
//! | `read` over `place`, `nearest` | text to [`Case`]; where an error is; the word that was meant |
//! | `check` | names, rows, balance |
//! | `checked` | [`check`], [`Case::check`]: a case file as a test |
//! | `coverage` | [`Coverage`]: which steps ran, who reclaimed, who waited |
//! | `verdict` | [`Verdict`]: a report against the row that it should match |
//! | `show` | a case as text and as a page with pictures |
//! | `matrix` | [`Matrix`]: the outcome of many runs as one table |
//! | `minimal` | [`Case::unneeded`]: steps without which the same is found |
//! | `run` | the run of a variant in a world; what a run without pressure predicts |
//! | `stage` | the parts of a script in a world |
//! | `act`, `port` | the interpreter of steps |
//! | `ledger` over `reach` | who must act, derived from what is left of each program |
//!
//! Locking: leaf locks.

mod act;
mod check;
mod checked;
mod coverage;
mod ledger;
mod matrix;
mod minimal;
mod nearest;
mod place;
mod port;
mod reach;
mod read;
mod run;
mod script;
mod show;
mod stage;
mod verdict;
pub mod words;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result, visible_os};

pub use checked::{Checked, check};
pub use coverage::{Coverage, Uncovered};
pub use matrix::{Cell, Matrix, Outcome};
pub use minimal::Unneeded;
pub use run::Options;
pub use script::*;
pub use verdict::Verdict;

/// Reads a case; `path` is what errors and sites call the file.
///
/// # Errors
/// What is wrong, with file, line, column and what would be right.
pub fn parse(text: &str, path: &str) -> Result<Case> {
    let source = place::Source::new(path, text);
    let case = read::case(&source)?;
    check::check(&case, &source)?;
    Ok(case)
}

/// Reads a case from a file.
///
/// # Errors
/// If the file cannot be read, and what [`parse`] refuses.
pub fn load(path: &Path) -> Result<Case> {
    let cannot =
        |what: &str, error| Error::os(format!("cannot {what} {}", visible_os(path))).because(error);
    let file = File::open(path).map_err(|error| cannot("open", error))?;
    let mut text = Vec::new();
    // One byte more than a case may have, so that a longer file is refused as one.
    let read = file.take(read::MAX_BYTES as u64 + 1).read_to_end(&mut text);
    read.map_err(|error| cannot("read", error))?;
    let text = match String::from_utf8(text) {
        Ok(text) => text,
        // It is too long, which `parse` says; where it was cut may be inside of a character.
        Err(cut) if cut.as_bytes().len() > read::MAX_BYTES => "#".repeat(read::MAX_BYTES + 1),
        Err(_) => {
            return Err(Error::input(format!("{} is not text in UTF-8", visible_os(path))));
        }
    };
    // What a report calls the file should not depend on where the project is.
    let here = std::env::current_dir().unwrap_or_default();
    parse(&text, &visible_os(path.strip_prefix(here).unwrap_or(path)))
}

#[cfg(test)]
mod tests;
