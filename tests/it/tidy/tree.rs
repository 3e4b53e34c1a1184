//! What may stand at the top of the tree.

use super::source::root;
use super::{assert_complaints, assert_tidy};

/// Entries besides dot-files and licences. `target` is what a build leaves.
const TOP: &[&str] =
    &["Cargo.toml", "Cargo.lock", "harness", "fixtures", "tests", "ci", "README.md", "target"];

fn check(entries: &[String]) -> Vec<String> {
    let known =
        |name: &str| TOP.contains(&name) || name.starts_with('.') || name.starts_with("LICENSE-");
    let strange = entries.iter().filter(|name| !known(name));
    strange
        .map(|name| format!("{name}: nothing new stands at the top; which folder is its room?"))
        .collect()
}

#[test]
fn only_what_belongs_there_stands_at_the_top() {
    let entries = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_tidy(check(&entries.collect::<Vec<_>>()));
}

#[test]
fn a_new_entry_is_found() {
    let entries = ["Cargo.toml", "LICENSE-MIT", ".github", "notes.md"].map(str::to_owned);
    assert_complaints(&check(&entries), &["notes.md"]);
}
