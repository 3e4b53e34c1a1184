//! Headers, ASCII, lengths of files and lines, paths of one machine.

use std::collections::BTreeSet;

use super::source::{File, PartKind, markdown_files, parts, rust_files};
use super::{assert_complaints, assert_tidy};

/// A longer file should be several modules.
const MAX_LINES: usize = 400;
/// Test files hold tables of cases, so they may be longer.
const MAX_TEST_LINES: usize = 600;
/// Columns of a line of code, comment or Markdown; rustfmt's own limit.
const MAX_COLUMNS: usize = 100;

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}:1: a file begins with `//!` and says what it is"));
    }
    let (lines, limit) =
        (text.lines().count(), if is_test(path) { MAX_TEST_LINES } else { MAX_LINES });
    if lines > limit {
        complaints.push(format!(
            "{path}: {lines} lines, and the limit is {limit}; split the file into modules"
        ));
    }
    for (index, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", index + 1);
        if !line.is_ascii() {
            complaints.push(format!("{place}: not ASCII"));
        }
        if let Some(home) = machine_path(line) {
            complaints.push(format!("{place}: `{home}` is a path of one machine"));
        }
    }
    complaints
}

/// Lines over [`MAX_COLUMNS`]. Tables and URLs cannot be broken. Literals, and list items of
/// Markdown that begin with code, are messages and quoted output, which stay as they are printed.
fn long_lines(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let exempt = if path.ends_with(".md") { fenced_lines(text) } else { lines_of_literals(text) };
    let wide = |line: &str| line.chars().count() > MAX_COLUMNS;
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| wide(line)) {
        let inside = line.trim_start().trim_start_matches(['/', '!']).trim_start();
        let table = inside.starts_with('|');
        let quoted = path.ends_with(".md") && inside.starts_with("- `");
        let link = inside.starts_with('[') && inside.contains("]: ");
        if !exempt.contains(&(index + 1)) && !table && !quoted && !link && !line.contains("://") {
            let number = index + 1;
            complaints.push(format!("{path}:{number}: the line has over {MAX_COLUMNS} columns"));
        }
    }
    complaints
}

/// The lines, from 1, that hold a part of a string literal.
fn lines_of_literals(text: &str) -> BTreeSet<usize> {
    let (mut lines, mut line) = (BTreeSet::new(), 1);
    for (kind, part) in parts(text) {
        let breaks = part.matches('\n').count();
        if kind == PartKind::Literal {
            lines.extend(line..=line + breaks);
        }
        line += breaks;
    }
    lines
}

/// The lines, from 1, of fenced code.
fn fenced_lines(text: &str) -> BTreeSet<usize> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        fence || fenced
    });
    lines.map(|(index, _)| index + 1).collect()
}

/// A path that exists on one machine only. The needles are joined here, so that this file does not
/// contain them.
fn machine_path(line: &str) -> Option<String> {
    let folders = ["home", "root", "Users", "work", "tmp/wt", "tmp/target"];
    folders.iter().map(|folder| format!("/{folder}/")).find(|needle| {
        line.match_indices(needle.as_str()).any(|(at, _)| {
            at == 0 || !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
        })
    })
}

#[test]
fn every_file_has_a_header_and_is_short_ascii_without_machine_paths() {
    assert_tidy(rust_files().iter().flat_map(check).collect());
}

#[test]
fn no_line_of_rust_or_markdown_has_more_than_100_columns() {
    let files = [rust_files(), markdown_files()].concat();
    assert_tidy(files.iter().flat_map(long_lines).collect());
}

#[track_caller]
fn planted(path: &str, text: &str, expected: &[&str]) {
    assert_complaints(&check(&File { path: path.to_owned(), text: text.to_owned() }), expected);
}

#[test]
fn a_file_without_a_header_is_found() {
    planted("harness/src/x.rs", "use a;\n", &["x.rs:1: a file begins with"]);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    planted("harness/src/x.rs", &format!("//! x\n{}", "\n".repeat(MAX_LINES)), &["401 lines"]);
    planted("tests/it/x.rs", &format!("//! x\n{}", "\n".repeat(MAX_LINES)), &[]);
    planted("tests/it/x.rs", &format!("//! x\n{}", "\n".repeat(MAX_TEST_LINES)), &["601 lines"]);
}

#[test]
fn text_that_is_not_ascii_is_found() {
    planted("harness/src/x.rs", "//! x\n// na\u{ef}ve\n", &["x.rs:2: not ASCII"]);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let line = format!("//! x\n//! see /{}/me/notes\n", "home");
    planted("harness/src/x.rs", &line, &["x.rs:2"]);
    planted("harness/src/x.rs", "//! x\n//! src/work/mod.rs and /sys/block\n", &[]);
}

#[track_caller]
fn planted_long_line(path: &str, text: &str, expected: &[&str]) {
    assert_complaints(
        &long_lines(&File { path: path.to_owned(), text: text.to_owned() }),
        expected,
    );
}

#[test]
fn a_long_line_of_rust_is_found() {
    let long = "a".repeat(MAX_COLUMNS);
    let complaint = &["x.rs:2: the line has over 100 columns"];
    for line in [
        format!("// {long}"),
        format!("    /// {long}"),
        format!("let {long};"),
        format!("let b; // \"{long}\""),
    ] {
        planted_long_line("x.rs", &format!("//! x\n{line}\n"), complaint);
    }
    for line in [
        format!("//! | {long} |"),
        format!("//! <https://{long}>"),
        format!("let b = \"{long}\";"),
        format!("let b = r\"\n{long}a\n\";"),
    ] {
        planted_long_line("x.rs", &format!("//! x\n{line}\n"), &[]);
    }
}

#[test]
fn a_long_line_of_markdown_is_found() {
    let long = "a".repeat(MAX_COLUMNS + 1);
    let complaint = &["x.md:3: the line has over 100 columns"];
    planted_long_line("x.md", &format!("# x\n\n{long}\n"), complaint);
    let exempt =
        format!("```\n{long}\n```\n| {long} |\n[a]: {long}\n- `{long}`\n<https://{long}>\n");
    planted_long_line("x.md", &exempt, &[]);
}
