//! Reported deadlocks as files: a case is read, checked, and given to the interpreter as data.
//!
//! | module | what it has |
//! |---|---|
//! | `script` | [`Case`]: what the interpreter runs |
//! | `words` | the registry of words |
//! | `place` | line and column of every error |
//! | `nearest` | the word that was meant |
//! | `read` | text to [`Case`] |
//! | `check` | names, rows, balance |

mod check;
mod nearest;
mod place;
mod read;
pub mod script;
#[cfg(test)]
mod tests;
pub mod words;

use crate::error::Result;

pub use script::Case;

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
