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
//! | `run` | the run of a variant in a world; what a run without pressure predicts |
//! | `stage` | the parts of a script in a world |
//! | `act`, `port` | the interpreter of steps |
//! | `ledger` over `reach` | who must act, derived from what is left of each program |
//!
//! Locking: leaf locks.

mod act;
mod check;
mod ledger;
mod nearest;
mod place;
mod port;
mod reach;
mod read;
mod run;
mod script;
mod stage;
pub mod words;

use crate::error::Result;

pub use run::Options;
pub use script::*;

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

#[cfg(test)]
mod tests;
