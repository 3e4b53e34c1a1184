//! The README shows exactly the code of tests that run, and the report on its first screen is the
//! report of that code.

use reclaimdep::Era;

#[path = "../downstream/tests/seen_coming.rs"]
mod seen_coming;

const README: &str = include_str!("../../README.md");

#[track_caller]
fn check(code: &str, file: &str) {
    assert!(README.contains(&format!("```rust\n{code}```")), "copy {file} into README.md");
}

#[test]
fn the_readme_shows_the_test_that_downstream_runs() {
    let file = include_str!("../downstream/tests/readme.rs");
    let (_, code) = file.split_once("\n\n").expect("a header, then the test");
    check(code, "tests/downstream/tests/readme.rs");
}

#[test]
fn the_first_screen_shows_code_that_downstream_runs() {
    let file = include_str!("../downstream/tests/seen_coming.rs");
    let (_, code) = file.split_once("\n\npub(crate) ").expect("the function comes last");
    check(code, "the last function of tests/downstream/tests/seen_coming.rs");
}

/// The words of `text`. Line numbers of source files are removed, so that an edit above a line does
/// not change the README.
fn words(text: &str) -> Vec<&str> {
    let place = |word| match word {
        word if str::contains(word, ".rs:") => {
            word.trim_end_matches(')').trim_end_matches(|c: char| c.is_ascii_digit())
        }
        word => word,
    };
    text.split_whitespace().map(place).collect()
}

#[test]
fn the_first_screen_shows_the_report_of_that_code() {
    let report = seen_coming::seen_coming(Era::V3_10).to_text();
    let about = |part: &&str| part.starts_with("RD03") && part.contains("lock journal of fs:lower");
    let part = report.split("\n\n").find(about).expect("the cycle goes through the journal");
    let (shown, _) = part.split_once("\nviews").expect("the views follow the cycle");
    let unnumbered = words(README).join(" ");
    assert!(unnumbered.contains(&words(shown).join(" ")), "put this into README.md:\n{shown}");
    let lines = README.lines().position(|line| line.starts_with("RD03")).expect("it was found");
    assert!(lines < 60, "it is on the first screen or two: line {lines}");
}
