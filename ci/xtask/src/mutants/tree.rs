//! The small copy of the tree: the judges and reports, and what they import, without worlds.
//!
//! The code that the judges only import is a package of its own, so that it is built once and not
//! for each mutant. Paths below `harness/` are those of the workspace, so a mutant has the same
//! name in both.

use std::fs;
use std::io;
use std::path::Path;

/// Paths in the tree, each with its path in the copy.
const COPIED: &[(&str, &str)] = &[
    ("Cargo.lock", "Cargo.lock"),
    ("harness/scope", "scope"),
    ("harness/src/error.rs", "vocabulary/src/error.rs"),
    ("harness/src/units.rs", "vocabulary/src/units.rs"),
    ("harness/src/tier.rs", "vocabulary/src/tier.rs"),
    ("harness/src/variables.rs", "vocabulary/src/variables.rs"),
    ("harness/src/variables", "vocabulary/src/variables"),
    ("harness/src/event", "vocabulary/src/event"),
    // The tests of the judges draw random numbers from it.
    ("harness/src/sched/random.rs", "harness/src/sched/native.rs"),
    ("harness/src/witness", "harness/src/witness"),
    // Reports print what findings contain, so their tests test the judges too.
    ("harness/src/report", "harness/src/report"),
    // The tests of reports read their schema.
    ("harness/docs", "harness/docs"),
];

const WRITTEN: &[(&str, &str)] = &[
    ("Cargo.toml", WORKSPACE),
    ("vocabulary/Cargo.toml", VOCABULARY),
    (
        "vocabulary/src/lib.rs",
        "pub mod error;\npub mod event;\nmod tier;\npub mod units;\npub mod variables;\npub use error::{Error, Result};\npub use reclaimdep_scope as scope;\npub use tier::Tier;\n",
    ),
    ("harness/Cargo.toml", HARNESS),
    (
        "harness/src/lib.rs",
        "pub use vocabulary::*;\npub mod report;\npub mod sched {\n    pub mod native;\n}\npub mod witness;\n",
    ),
];

const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["scope", "vocabulary", "harness"]
[workspace.package]
version = "0.1.0"
edition = "2024"
rust-version = "1.95"
license = "MIT OR Apache-2.0"
publish = false
[workspace.lints.rust]
[profile.dev]
debug = false
opt-level = 0
[profile.dev.package.vocabulary]
opt-level = 1
"#;

const VOCABULARY: &str = r#"[package]
name = "vocabulary"
version = "0.1.0"
edition = "2024"
[dependencies]
reclaimdep-scope = { path = "../scope" }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
"#;

const HARNESS: &str = r#"[package]
name = "reclaimdep"
version = "0.1.0"
edition = "2024"
[dependencies]
reclaimdep-scope = { path = "../scope" }
vocabulary = { path = "../vocabulary" }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
indexmap = "2"
rustc-hash = "2"
[dev-dependencies]
expect-test = "1"
tempfile = "3"
"#;

/// Copies the tree at `root` to `copy`, which is deleted first.
///
/// # Errors
/// A file could not be read or written.
pub(super) fn write(root: &Path, copy: &Path) -> Result<(), String> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    match fs::remove_dir_all(copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(copy)(error)),
        _ => {}
    }
    for (from, to) in COPIED {
        let from = root.join(from);
        copy_all(&from, &copy.join(to)).map_err(told(&from))?;
    }
    for (to, text) in WRITTEN {
        let to = copy.join(to);
        fs::write(&to, text).map_err(told(&to))?;
    }
    Ok(())
}

/// Copies a file, or a folder with all that it contains.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map(drop)
}
