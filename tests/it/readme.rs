//! The README's test is the one that runs, to the letter.

#[test]
fn the_readme_shows_the_test_that_downstream_runs() {
    let readme = include_str!("../../README.md");
    let file = include_str!("../downstream/tests/readme.rs");
    let (_, code) = file.split_once("\n\n").expect("a header, then the test");
    assert!(
        readme.contains(&format!("```rust\n{code}```")),
        "copy tests/downstream/tests/readme.rs into README.md"
    );
}
