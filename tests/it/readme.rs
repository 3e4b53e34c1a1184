//! The README shows exactly the code that runs, and reports of that code. The report on its first
//! screen is checked by `ci/run outside`, which runs the crate that it is about.

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
fn the_first_screen_shows_the_crate_outside_the_workspace() {
    for (text, file) in [
        (include_str!("../outside/src/lib.rs"), "tests/outside/src/lib.rs"),
        (include_str!("../outside/tests/reclaim.rs"), "tests/outside/tests/reclaim.rs"),
    ] {
        check(text, file);
    }
    let report = README.lines().position(|line| line.starts_with("RD04")).expect("it is shown");
    assert!(report < 120, "the report is on the first screens: line {report}");
}

#[test]
fn the_prediction_is_code_that_downstream_runs() {
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
fn the_prediction_shows_the_report_of_that_code() {
    let report = seen_coming::seen_coming(Era::V3_10).to_text();
    let about = |part: &&str| part.starts_with("RD03") && part.contains("lock journal of fs:lower");
    let part = report.split("\n\n").find(about).expect("the cycle goes through the journal");
    let (shown, _) = part.split_once("\nviews").expect("the views follow the cycle");
    let unnumbered = words(README).join(" ");
    assert!(unnumbered.contains(&words(shown).join(" ")), "put this into README.md:\n{shown}");
}
