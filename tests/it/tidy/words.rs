//! `unsafe`, threads, clocks and hash maps only where they belong.

use super::source::{File, code, line_of, rust_files, words};
use super::{assert_complaints, assert_tidy};

/// A word and the places of the harness that may use it, as prefixes of paths below `harness/src`.
struct Rule {
    word: &'static str,
    allowed: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        word: "unsafe",
        allowed: &[
            "host/",
            "heap.rs",
            "heap/",
            "sched/cell.rs",
            "sched/lock.rs",
            "sched/mutex.rs",
            "sched/rwsem.rs",
            // Signal handlers say where a stuck thread is and which task overflowed its stack.
            "sched/watch/signal.rs",
            "sched/watch/thread.rs",
        ],
        why: "unsafe belongs to host, the heap hook, sched's cells and locks, and the deadline",
    },
    Rule {
        word: "std::thread",
        // The heap hook asks whether the thread is panicking; it starts none.
        allowed: &["heap/", "host/", "sched/"],
        why: "tasks are spawned through sched",
    },
    Rule { word: "Instant::now", allowed: &["host/", "sched/"], why: "time is the world's" },
    Rule {
        word: "SystemTime",
        // The FUSE protocol has wall-clock times in its types; no clock is read there.
        allowed: &["host/", "sched/", "fs/fuse.rs"],
        why: "time is the world's",
    },
    Rule {
        word: "HashMap",
        allowed: &["host/", "sched/"],
        why: "its order would leak into traces; use BTreeMap",
    },
    Rule {
        word: "HashSet",
        allowed: &["host/", "sched/"],
        why: "its order would leak into traces; use BTreeSet",
    },
    Rule {
        word: "RandomState",
        allowed: &["host/", "sched/"],
        why: "a run is what its seed makes it",
    },
];

/// Locks of std that sched has in the world's terms.
const STD_LOCKS: &[&str] = &["Mutex", "RwLock", "Condvar", "Barrier"];

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let Some(inside) = path.strip_prefix("harness/src/") else {
        return Vec::new();
    };
    let code = code(text);
    let mut complaints = Vec::new();
    for Rule { word, allowed, why } in RULES {
        if allowed.iter().any(|prefix| inside.starts_with(prefix)) {
            continue;
        }
        for at in words(&code, word) {
            complaints.push(format!("{path}:{}: `{word}`: {why}", line_of(&code, at)));
        }
    }
    // The table of words belongs to the process and to no world, and no task waits while it has it.
    let may_lock = ["host/", "sched/", "event/interned.rs"];
    if !may_lock.iter().any(|prefix| inside.starts_with(prefix)) {
        for (at, lock) in std_locks(&code) {
            complaints.push(format!(
                "{path}:{}: std's {lock}: wait through sched, which sees it",
                line_of(&code, at)
            ));
        }
    }
    complaints
}

/// Locks that are named below `std::sync`, in a path or in a group.
fn std_locks(code: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (at, prefix) in code.match_indices("std::sync::") {
        let rest = &code[at + prefix.len()..];
        let end = if rest.starts_with('{') {
            rest.find(';')
        } else {
            rest.find(|c: char| !c.is_alphanumeric())
        };
        let named = &rest[..end.unwrap_or(rest.len())];
        found.extend(
            STD_LOCKS
                .iter()
                .filter(|lock| words(named, lock).next().is_some())
                .map(|lock| (at, *lock)),
        );
    }
    found
}

#[test]
fn words_stand_only_where_they_belong() {
    assert_tidy(rust_files().iter().flat_map(check).collect());
}

#[track_caller]
fn planted(path: &str, text: &str, expected: &[&str]) {
    assert_complaints(&check(&File { path: path.to_owned(), text: text.to_owned() }), expected);
}

#[test]
fn unsafe_outside_its_rooms_is_found() {
    planted("harness/src/mm/alloc.rs", "fn f() {\n unsafe { g() } }", &["alloc.rs:2: `unsafe`"]);
    planted("harness/src/host/loop_dev.rs", "unsafe { g() }", &[]);
    planted(
        "harness/src/mm/alloc.rs",
        "// unsafe\nconst X: &str = \"unsafe\"; fn unsafe_looking() {}",
        &[],
    );
}

#[test]
fn threads_clocks_and_hash_maps_are_found() {
    planted("harness/src/fs/tx.rs", "std::thread::spawn(f);", &["`std::thread`"]);
    planted("harness/src/fs/tx.rs", "let t = Instant::now();", &["`Instant::now`"]);
    planted("harness/src/report/text.rs", "use std::collections::HashMap;", &["`HashMap`"]);
    planted("harness/src/sched/native.rs", "std::thread::spawn(f); Instant::now();", &[]);
}

#[test]
fn locks_of_std_are_found() {
    planted("harness/src/fs/tx.rs", "use std::sync::Mutex;", &["std's Mutex"]);
    planted(
        "harness/src/fs/tx.rs",
        "use std::sync::{Arc, RwLock, atomic::AtomicU64};",
        &["std's RwLock"],
    );
    planted("harness/src/fs/tx.rs", "use std::sync::Arc;\nuse crate::sched::Mutex;", &[]);
    planted("harness/src/fs/tx.rs", "let x: std::sync::Arc<Mutex<u8>>;", &[]);
}
