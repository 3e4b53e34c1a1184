//! The crate in `tests/outside`, as its author would test it: a workspace and a lock file of its
//! own, the harness without features.
//!
//! Key function: [`outside`]. The README shows the crate; this job shows that the README is true.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, cargo};

const FOLDER: &str = "tests/outside";
/// Where crates are built that take the harness without features.
pub(crate) const TARGET: &str = "target/outside";
/// The crate with the bug. It is as deep below the root as the original, whose paths are relative.
const PLANTED: &str = "target/notes";
/// What the bug leaves out.
const CHECK: &str = "        if !mask.contains(Gfp::FS) {
            return Err(Stop); // the allocation is inside our own scope: not now
        }
";
/// What a build without the feature `loop` must not contain: FUSE and device control.
const HEAVY: [&str; 2] = ["fuser", "nix"];

/// Tests the crate, the crate with a bug, its dependencies, and a tier that it did not ask for.
///
/// # Errors
/// What is not as the README says.
pub(crate) fn outside() -> Result<(), String> {
    command::run(of(FOLDER, &["test", "--locked"]))?;
    dependencies()?;
    missing_feature()?;
    planted_bug()
}

/// `cargo args`, for the crate in `folder`.
fn of(folder: &str, args: &[&str]) -> Command {
    let manifest = format!("{folder}/Cargo.toml");
    let (verb, rest) = args.split_first().expect("a verb comes first");
    let mut command = cargo(&[&[*verb, "--manifest-path", &manifest], rest].concat());
    command.env("CARGO_TARGET_DIR", TARGET);
    command
}

fn dependencies() -> Result<(), String> {
    let tree = ["tree", "--locked", "--prefix", "none", "--edges", "normal,dev"];
    match output(of(FOLDER, &tree))? {
        (true, printed) => check_dependencies(&printed),
        (false, printed) => Err(format!("the dependencies cannot be listed:\n{printed}")),
    }
}

/// Checks what `cargo tree` printed, one package a line.
fn check_dependencies(printed: &str) -> Result<(), String> {
    let names = || printed.lines().filter_map(|line| line.split_whitespace().next());
    if !names().any(|name| name == "reclaimdep") {
        return Err(format!("the list of dependencies is without reclaimdep:\n{printed}"));
    }
    let heavy: Vec<_> = names().filter(|name| HEAVY.contains(name)).collect();
    if heavy.is_empty() {
        return Ok(());
    }
    Err(format!("without features, reclaimdep depends on {}", heavy.join(", ")))
}

fn missing_feature() -> Result<(), String> {
    let test = ["--test", "loop_tier", "--features", "loop-tier-without-its-feature"];
    let (passed, printed) = output(of(FOLDER, &[&["test", "--locked"][..], &test].concat()))?;
    if !passed && printed.contains("needs the feature `loop` of reclaimdep") {
        return Ok(());
    }
    Err(format!("`tier(loop)` without the feature must not compile, and say why:\n{printed}"))
}

fn planted_bug() -> Result<(), String> {
    plant().map_err(|error| format!("cannot write {PLANTED}: {error}"))?;
    let (passed, printed) = output(of(PLANTED, &["test", "--locked"]))?;
    if passed {
        return Err("the test passes without the check of the mask".to_owned());
    }
    let readme = fs::read_to_string("README.md").map_err(|error| format!("README.md: {error}"))?;
    let shown = first_report(&readme).ok_or("README.md shows no report")?;
    if words(&printed).contains(&words(shown)) {
        return Ok(());
    }
    Err(format!("README.md does not show the report of the test:\n{printed}"))
}

fn plant() -> std::io::Result<()> {
    let (from, to) = (Path::new(FOLDER), Path::new(PLANTED));
    for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs", "tests/reclaim.rs", "tests/loop_tier.rs"]
    {
        let text = fs::read_to_string(from.join(file))?;
        fs::create_dir_all(to.join(file).parent().expect("it is in a folder"))?;
        fs::write(to.join(file), planted(file, &text))?;
    }
    Ok(())
}

/// The text of `file` in the crate with the bug. Its package has a name of its own, or cargo would
/// take what it built of the one crate for the other; the library keeps its name.
fn planted(file: &str, text: &str) -> String {
    let renamed = || text.replace("name = \"notes\"", "name = \"notes-with-a-bug\"");
    match file {
        "Cargo.toml" => format!("{}\n[lib]\nname = \"notes\"\n", renamed()),
        "Cargo.lock" => renamed(),
        _ => text.replace(CHECK, "").replace("mask: Gfp, nr_to_scan", "_: Gfp, nr_to_scan"),
    }
}

/// The first block of text in the README.
fn first_report(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once("```text\n")?;
    Some(rest.split_once("```")?.0)
}

/// The words of `text` without the numbers of source lines, which move with every edit.
fn words(text: &str) -> String {
    let place = |word: &str| match word.split_once(".rs:") {
        Some((file, _)) => format!("{file}.rs"),
        None => word.to_owned(),
    };
    text.split_whitespace().map(place).collect::<Vec<_>>().join(" ")
}

/// Whether the command succeeded, and all that it printed.
fn output(mut command: Command) -> Result<(bool, String), String> {
    println!("+ {}", command::shown(&command));
    let output = command.output().map_err(|error| format!("cargo does not start: {error}"))?;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&printed).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bug_is_that_the_mask_is_not_checked() {
        let text =
            format!("fn scan(&self, mask: Gfp, nr_to_scan: u64) {{\n{CHECK}        work();\n}}\n");
        let expected = "fn scan(&self, _: Gfp, nr_to_scan: u64) {\n        work();\n}\n";
        assert_eq!(planted("src/lib.rs", &text), expected);
    }

    #[track_caller]
    fn check_heavy(printed: &str, expected: Result<(), &str>) {
        match (check_dependencies(printed), expected) {
            (Ok(()), Ok(())) => {}
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_heavy_dependency_and_an_empty_list_are_refused() {
        check_heavy("notes v0.1.0\nreclaimdep v0.1.0 (/x)\nserde v1.0.0\n", Ok(()));
        check_heavy("reclaimdep v0.1.0\nfuser v0.18.0\n", Err("depends on fuser"));
        check_heavy("", Err("without reclaimdep"));
    }

    #[test]
    fn reports_are_compared_without_line_numbers() {
        assert_eq!(words("waits   src/lib.rs:38\n at x.rs:1)"), "waits src/lib.rs at x.rs");
        assert_eq!(first_report("a\n```text\nRD04\n```\n```text\nno\n```"), Some("RD04\n"));
    }
}
