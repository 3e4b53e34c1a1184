//! Whole files that are read, and what is wrong with others.

mod bad;
mod good;
mod hostile;
mod stories;
mod words;

use super::parse;

const C42: &str = include_str!("tests/c42.toml");
const WORDS: &str = include_str!("tests/words.toml");

/// The least that every case has.
const HEAD: &str =
    "id = \"t\"\ntitle = \"t\"\ncitation = []\nshape = \"P1\"\nexpect = [{ findings = [] }]\n";

/// The error of a file, as it is printed; the body begins in line 6.
#[track_caller]
fn error(body: &str) -> String {
    parse(&format!("{HEAD}{body}"), "t.toml").expect_err("the file is wrong").to_string()
}
