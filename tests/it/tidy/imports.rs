//! Which module of the harness may know which other: the project's table of rooms, as data.
//!
//! A module is the first component of a file's path below `harness/src`. An import is any
//! `crate::x`, grouped or not, and any chain of `super` that climbs to the root.

use super::source::{File, code, line_of, rust_files, words};
use super::{assert_complaints, assert_tidy};

/// What everybody may import: words, no behaviour.
const VOCABULARY: &[&str] = &["event", "error", "units", "era", "tier", "variables"];

/// What each module may import besides the vocabulary and itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("error", &[]),
    ("units", &[]),
    ("era", &[]),
    ("tier", &[]),
    ("variables", &[]),
    ("sched", &[]),
    ("inject", &["sched"]),
    ("mm", &["sched", "inject"]),
    ("block", &["sched", "inject", "mm"]),
    ("bufio", &["sched", "inject", "mm", "block"]),
    ("fs", &["sched", "inject", "mm", "block", "bufio"]),
    ("parts", &["sched", "mm", "block"]),
    ("stack", &["sched", "inject", "mm", "block", "bufio", "fs"]),
    ("verity", &["sched", "inject", "mm", "block", "bufio"]),
    ("witness", &[]),
    ("report", &["witness"]),
    ("explore", &["sched", "witness", "inject", "report"]),
    ("host", &["block", "sched"]),
    ("recording", &["witness", "report"]),
    ("heap", &["sched", "inject", "mm"]),
];

/// Folders inside a module that may import less than the module: what they must not know.
const MUST_NOT_IMPORT: &[(&str, &[&str])] = &[
    ("harness/src/recording/events/", &["witness", "report"]),
    ("harness/src/recording/kernel/", &["witness", "report"]),
];

/// The place where both columns meet, what stands on it (the case language, the macro's support),
/// and the list of public names.
const EVERYTHING: &[&str] = &["world", "case", "rt", "lib", "kernel"];

/// The module of a file of the harness; none for any other file.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("harness/src/")?;
    inside.split(['/', '.']).next()
}

/// How deep the file's own module is below the crate's root.
fn depth(path: &str) -> usize {
    let inside = path.strip_prefix("harness/src/").unwrap_or(path).trim_end_matches(".rs");
    inside.trim_end_matches("/mod").split('/').filter(|part| *part != "lib").count()
}

/// Every import of a root module: the offset and the name.
fn imports<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let to_root = "super::".repeat(depth(path));
    let prefixes = ["crate::", to_root.as_str()].into_iter().filter(|prefix| !prefix.is_empty());
    prefixes.flat_map(|prefix| imported(code, prefix)).collect()
}

/// Every name that follows `prefix`, grouped or not, with the offset of the prefix.
pub(super) fn imported<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix).filter(|(at, _)| !within_word(code, *at)) {
        let rest = &code[at + prefix.len()..];
        found.extend(first_names(rest).into_iter().map(|name| (at, name)));
    }
    found
}

fn within_word(code: &str, at: usize) -> bool {
    code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == ':')
}

/// The name that `rest` begins with, or the first name of each part of the group that it begins
/// with.
fn first_names(rest: &str) -> Vec<&str> {
    let name =
        |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else {
        return vec![&rest[..name(rest)]];
    };
    let (mut depth, mut names, mut expected) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && (c.is_alphanumeric() || c == '_') => {
                names.push(&group[at..at + name(&group[at..])]);
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let Some(module) = module(path) else {
        return Vec::new();
    };
    if EVERYTHING.contains(&module) || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| *known == module) else {
        return vec![format!("{path}: `{module}` is not in the table of rooms")];
    };
    let code = code(text);
    let rooms =
        |name: &str| MAY_IMPORT.iter().any(|(room, _)| *room == name) || EVERYTHING.contains(&name);
    let inner = MUST_NOT_IMPORT.iter().find(|(folder, _)| path.starts_with(folder));
    let mut wrong = Vec::new();
    for (at, name) in imports(path, &code).into_iter().filter(|(_, name)| rooms(name)) {
        let place = format!("{path}:{}", line_of(&code, at));
        if name != module && !VOCABULARY.contains(&name) && !allowed.contains(&name) {
            wrong.push(format!("{place}: {module} must not know {name}"));
        } else if let Some((folder, _)) = inner.filter(|(_, forbidden)| forbidden.contains(&name)) {
            wrong.push(format!("{place}: {folder} must not know {name}"));
        }
    }
    wrong
}

/// The scope crate is what production links: it must not know the harness.
fn check_scope(file: &File) -> Vec<String> {
    let File { path, text } = file;
    if !path.starts_with("harness/scope/") {
        return Vec::new();
    }
    let code = code(text);
    words(&code, "reclaimdep")
        .map(|at| format!("{path}:{}: scope must not know reclaimdep", line_of(&code, at)))
        .collect()
}

#[test]
fn every_module_imports_only_what_the_table_allows() {
    let files = rust_files();
    assert_tidy(files.iter().flat_map(|file| [check(file), check_scope(file)].concat()).collect());
}

#[track_caller]
fn planted(path: &str, text: &str, expected: &[&str]) {
    let complaints = check(&File { path: path.to_owned(), text: text.to_owned() });
    assert_complaints(&complaints, expected);
}

#[test]
fn an_import_against_the_table_is_found() {
    planted(
        "harness/src/mm/alloc.rs",
        "//! x\nuse crate::block::Bio;",
        &["alloc.rs:2: mm must not know block"],
    );
    planted(
        "harness/src/witness/code.rs",
        "fn f(_: &crate::mm::Mm) {}",
        &["witness must not know mm"],
    );
    planted(
        "harness/src/fs/tx.rs",
        "use crate::{\n error::Errno,\n stack::{spec::X, Y},\n};",
        &["fs must not know stack"],
    );
    planted(
        "harness/src/sched/core.rs",
        "use super::super::world::World;",
        &["sched must not know world"],
    );
    planted("harness/src/sched/mod.rs", "use super::mm::Mm;", &["sched must not know mm"]);
    planted("harness/src/new_room/mod.rs", "", &["`new_room` is not in the table"]);
}

#[test]
fn a_judge_inside_a_reader_of_recordings_is_found() {
    let import = "use crate::{error::Error, witness::Witness};";
    planted(
        "harness/src/recording/kernel/infer.rs",
        import,
        &["recording/kernel/ must not know witness"],
    );
    planted(
        "harness/src/recording/events/reader.rs",
        "use super::super::super::report::Report;",
        &["recording/events/ must not know report"],
    );
    planted("harness/src/recording/judge.rs", import, &[]);
}

#[test]
fn imports_that_the_table_allows_are_quiet() {
    planted(
        "harness/src/mm/alloc.rs",
        "use crate::sched::Sched;\nuse crate::units::Pages;\nuse super::mm;",
        &[],
    );
    planted("harness/src/world/mod.rs", "use crate::witness::Code;\nuse crate::mm::Mm;", &[]);
    planted(
        "harness/src/mm/alloc.rs",
        "// crate::fs is above\n#[cfg(test)]\nmod tests { use crate::fs::Fs; }",
        &[],
    );
    planted("fixtures/src/run.rs", "use crate::case::Case;", &[]);
}
