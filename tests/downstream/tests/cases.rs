//! The deadlocks of this crate as files: each file of `cases` is a test.

use std::path::PathBuf;

use rstest::rstest;

#[rstest]
fn the_case(#[files("cases/*.toml")] path: PathBuf) {
    reclaimdep::case::check(path);
}
