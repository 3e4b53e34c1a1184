//! The floors of dm-bufio: which of its files may import which, as data.
//!
//! A file imports from its own floor and from lower ones. An import is any `super::x` or
//! `crate::bufio::x` that names a file of the folder. Files that import each other in a circle are
//! two at the most.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::imported;
use super::source::{File, code, line_of, rust_files};
use super::{assert_complaints, assert_tidy};

/// The floors, the lowest first, and the files on each.
const FLOORS: &[(&str, &[&str])] = &[
    ("data", &["lists", "memory", "options", "order", "ring", "slot", "slots", "table"]),
    (
        "parts",
        &[
            "allocator",
            "cache",
            "choose",
            "context",
            "index",
            "io",
            "pool",
            "queue",
            "shared",
            "waiters",
        ],
    ),
    (
        "operations",
        &["allocate", "buffer", "client", "evict", "global", "lookup", "relocate", "writeback"],
    ),
    ("policies", &["lifecycle", "shrinker", "sweep"]),
];

/// The files of one circle of imports, at the most.
const CIRCLE: usize = 2;

/// The floor that a file is on, from 0.
fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, files)| files.contains(&name))
}

/// The name by which the other files of the folder import this one; none for files elsewhere, the
/// folder's header and its tests.
fn name(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("harness/src/bufio/")?;
    let name = inside.split(['/', '.']).next()?;
    (!["mod", "tests"].contains(&name)).then_some(name)
}

/// The files of the folder that this one imports, each with its offset in the code.
fn imports(path: &str, code: &str) -> Vec<(usize, String)> {
    let inside = path.trim_start_matches("harness/src/bufio/").trim_end_matches("mod.rs");
    let to_folder = "super::".repeat(inside.trim_end_matches('/').split('/').count());
    [to_folder.as_str(), "crate::bufio::"]
        .into_iter()
        .flat_map(|prefix| imported(code, prefix))
        .filter(|(_, name)| floor(name).is_some())
        .map(|(at, name)| (at, name.to_owned()))
        .collect()
}

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let Some(name) = name(path) else {
        return Vec::new();
    };
    let Some(own) = floor(name) else {
        return vec![format!("{path}: it is on no floor of dm-bufio")];
    };
    let code = code(text);
    let above = imports(path, &code).into_iter().filter_map(|(at, name)| {
        let (other, line) = (floor(&name)?, line_of(&code, at));
        let (own, above) = (FLOORS[own].0, FLOORS.get(other).filter(|_| other > own)?.0);
        Some(format!("{path}:{line}: floor {own} must not import `{name}` of floor {above}"))
    });
    let mut complaints: Vec<String> = above.collect();
    if own == 0 {
        // A leaf lock is not a scheduling point.
        let sched = imported(&code, "crate::sched::").into_iter();
        complaints.extend(sched.filter(|(_, name)| *name != "SpinLock").map(|(at, name)| {
            format!("{path}:{}: floor data must not know sched's {name}", line_of(&code, at))
        }));
    }
    complaints
}

type Edges = BTreeMap<String, BTreeSet<String>>;

fn edges(files: &[File]) -> Edges {
    let mut edges = Edges::new();
    for File { path, text } in files {
        if let Some(name) = name(path) {
            let names = imports(path, &code(text)).into_iter().map(|(_, name)| name);
            edges.entry(name.to_owned()).or_default().extend(names.filter(|other| other != name));
        }
    }
    edges
}

/// The files that `from` imports, directly or through others.
fn reachable<'a>(edges: &'a Edges, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&str> = vec![from];
    while let Some(next) = left.pop() {
        for name in edges.get(next).into_iter().flatten() {
            if found.insert(name.as_str()) {
                left.push(name);
            }
        }
    }
    found
}

/// The files of the largest circle.
fn largest_circle(edges: &Edges) -> Vec<&str> {
    let circle = |name: &str| -> Vec<&str> {
        let comes_back = |other: &&str| reachable(edges, other).contains(name);
        reachable(edges, name).into_iter().filter(comes_back).collect()
    };
    edges.keys().map(|name| circle(name)).max_by_key(Vec::len).unwrap_or_default()
}

#[test]
fn dm_bufio_imports_only_from_lower_floors() {
    assert_tidy(rust_files().iter().flat_map(check).collect());
}

#[test]
fn every_file_on_a_floor_exists() {
    let files = rust_files();
    let there: BTreeSet<&str> = files.iter().filter_map(|file| name(&file.path)).collect();
    let listed: BTreeSet<&str> = FLOORS.iter().flat_map(|(_, files)| *files).copied().collect();
    assert_eq!(there, listed);
}

#[test]
fn dm_bufio_has_no_circle_of_more_than_two_files() {
    let edges = edges(&rust_files());
    let circle = largest_circle(&edges);
    assert!(circle.len() <= CIRCLE, "these files import each other: {}", circle.join(", "));
}

#[track_caller]
fn planted(path: &str, text: &str, expected: &[&str]) {
    let complaints = check(&File { path: path.to_owned(), text: text.to_owned() });
    assert_complaints(&complaints, expected);
}

#[test]
fn an_import_from_a_higher_floor_is_found() {
    planted(
        "harness/src/bufio/ring.rs",
        "//! x\nuse super::io::ClientIo;",
        &["ring.rs:2: floor data must not import `io` of floor parts"],
    );
    planted(
        "harness/src/bufio/pool.rs",
        "use super::{slot::Slot, client::Client};",
        &["must not import `client` of floor operations"],
    );
    planted(
        "harness/src/bufio/lookup.rs",
        "fn f(_: &crate::bufio::sweep::X) {}",
        &["must not import `sweep` of floor policies"],
    );
    planted(
        "harness/src/bufio/slot.rs",
        "use crate::sched::{SpinLock, Mutex};",
        &["must not know sched's Mutex"],
    );
    planted("harness/src/bufio/attic.rs", "", &["it is on no floor"]);
}

#[test]
fn an_import_from_a_lower_floor_is_allowed() {
    planted("harness/src/bufio/shrinker/inline.rs", "use super::super::client::Client;", &[]);
    planted("harness/src/bufio/shrinker/mod.rs", "use super::sweep::BUSY;\nmod forms;", &[]);
    planted("harness/src/bufio/io.rs", "use super::slot::Slot;\nuse super::pool::Pool;", &[]);
    planted("harness/src/bufio/mod.rs", "pub use sweep::X;", &[]);
}

#[test]
fn a_circle_of_three_files_is_found() {
    let file = |name: &str, imports: &str| File {
        path: format!("harness/src/bufio/{name}.rs"),
        text: format!("use super::{imports};"),
    };
    let files =
        [file("pool", "io"), file("io", "cache"), file("cache", "pool"), file("slot", "io")];
    assert_eq!(largest_circle(&edges(&files)), ["cache", "io", "pool"]);
}
