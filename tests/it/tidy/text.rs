//! Headers, ASCII, lengths, paths of one machine.

use super::source::{File, rust_files};
use super::{assert_complaints, assert_tidy};

/// A file longer than this is several.
const MAX_LINES: usize = 400;
/// Tests are tables: they may be longer.
const MAX_TEST_LINES: usize = 600;

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}:1: a file begins with `//!`: what it is"));
    }
    let (lines, limit) =
        (text.lines().count(), if is_test(path) { MAX_TEST_LINES } else { MAX_LINES });
    if lines > limit {
        complaints.push(format!(
            "{path}: {lines} lines, and {limit} are the limit: which module is missing?"
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

/// A path that exists only where somebody wrote it. The needles are joined here so that this file
/// does not contain them.
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
