//! Errors with file, line and column.
//!
//! Key type: [`Source`]. Each value of a file knows its bytes; the source says in which line and
//! column they are.

use std::fmt::Display;

use crate::error::Error;

/// A file's text and what to call it.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    /// The first byte of each line.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { path, text, lines: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// What the TOML reader says, at its place.
    pub(crate) fn toml_error(&self, error: &toml::de::Error) -> Error {
        let start = error.span().map_or(0, |span| span.start);
        self.error(start, error.message().trim_end())
    }

    /// `what`, at the byte `offset`.
    pub(crate) fn error(&self, offset: usize, what: impl Display) -> Error {
        let line = self.line_index(offset);
        let start = self.lines[line];
        let column = self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        Error::input(format!("{}:{}:{column}: {what}", self.path, line + 1))
    }

    /// `what`, at the start of line `line`.
    pub(crate) fn error_in_line(&self, line: u32, what: impl Display) -> Error {
        let start = self.lines.get(line as usize - 1).copied().unwrap_or(0);
        let text = self.text.get(start..).unwrap_or("");
        let blanks = text.len() - text.trim_start_matches([' ', '\t']).len();
        self.error(start + blanks, what)
    }

    /// The line of the byte `offset`, from 1.
    pub(crate) fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.line_index(offset) + 1).unwrap_or(u32::MAX)
    }

    /// The first byte of the last value `"word"`: `[plan]` is read by types that know no places.
    pub(crate) fn find_word(&self, word: &str) -> usize {
        self.text.rfind(&format!("\"{word}\"")).unwrap_or(0)
    }

    fn line_index(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }
}
