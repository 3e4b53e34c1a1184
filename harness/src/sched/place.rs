//! The user's code on the stack of the running thread.
//!
//! Key functions: [`heap`] names the line that allocates, and [`user_site`] the line that has a
//! method called by the standard library, as in `.map(Mutex::lock)`, where `#[track_caller]` sees
//! only the library. Both walk the stack from the innermost frame outwards to the first that
//! belongs neither to the allocator, nor to a collection, nor to the harness. What an address is
//! gets looked up once in the process, so a walk costs microseconds. No address leaves this module.
//!
//! Locking: the table of known addresses is a leaf.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::SpinLock;
use super::side::harness_side;
use super::task;
use crate::event::{Site, UNKNOWN_ON_HEAP, heap_file};

/// Crates whose frames stand between what is called and the user's function.
const BETWEEN: &[&str] = &[
    "std",
    "core",
    "alloc",
    "hashbrown",
    "__rustc",
    "backtrace",
    "reclaimdep",
    "reclaimdep_scope",
    "shuttle",
    "generator",
];

/// The compiler's own functions between a collection and the allocator. Their line is the one of
/// the `#[global_allocator]` static, which is the user's.
const SHIM: &str = "__rust_";

/// Paths of the standard library's source in debug information: its own build's, or a toolchain's.
const STD: &[&str] = &["/rustc/", "/rustlib/src/", "/rust/deps/"];

/// Folders of crates that stand between, as Cargo unpacks them.
const CRATES: &[&str] =
    &["/backtrace-0.", "/shuttle-0.", "/generator-0.", "/hashbrown-0.", "/reclaimdep-scope-0."];

/// Frames of a walk: a deeper stack has no user's function among those nearest.
const MAX_FRAMES: usize = 256;

/// A frame of the user's code as a site.
#[derive(Clone, Copy)]
struct Found {
    /// Of a call made there, where there is line information.
    call: Option<Site>,
    /// Of an allocation made there.
    heap: Site,
}

/// By address, also those that are not the user's.
static KNOWN: SpinLock<BTreeMap<usize, Option<Found>>> = SpinLock::new(BTreeMap::new());

/// The site of the allocation that the running thread makes on the heap.
pub(crate) fn heap() -> Site {
    find().map_or(UNKNOWN_ON_HEAP, |found| found.heap)
}

/// Where the user's code has the standard library call what has `site`, a line of that library. A
/// task whose whole body is a method passed as a function has no such frame: its place is where the
/// task was made. `site` where that is not known either.
pub(super) fn user_site(site: Site) -> Site {
    let _side = harness_side();
    let made_at = || task::with_current(|current| current.made_at);
    find().and_then(|found| found.call).or_else(made_at).unwrap_or(site)
}

/// The innermost frame of the user's code on this thread.
fn find() -> Option<Found> {
    let (mut found, mut left) = (None, MAX_FRAMES);
    backtrace::trace(|frame| {
        let address = frame.ip() as usize;
        let known = KNOWN.lock().get(&address).copied();
        found = known.unwrap_or_else(|| {
            let place = look_up(frame);
            KNOWN.lock().insert(address, place);
            place
        });
        left -= 1;
        found.is_none() && left > 0
    });
    found
}

/// The user's function at a frame: the innermost of those inlined there.
fn look_up(frame: &backtrace::Frame) -> Option<Found> {
    let mut found = None;
    backtrace::resolve_frame(frame, |symbol| {
        if found.is_some() {
            return;
        }
        let Some(name) = symbol.name() else {
            return;
        };
        // Without the hash at its end, which differs between builds.
        let function = format!("{name:#}");
        let file = symbol.filename().and_then(|file| file.to_str());
        if is_users(&function, file) {
            let file = file.map(in_workspace).zip(symbol.lineno());
            found = Some(Found::new(&function, file));
        }
    });
    found
}

impl Found {
    /// Its texts are leaked: there are as many as places in the program.
    fn new(function: &str, place: Option<(&str, u32)>) -> Self {
        let (file, line) = place.unzip();
        let heap = Site { file: heap_file(function, file).leak(), line: line.unwrap_or(0) };
        let call = place.map(|(file, line)| Site { file: file.to_owned().leak(), line });
        Self { call, heap }
    }
}

/// The file relative to the workspace, as the compiler names it at other steps.
fn in_workspace(file: &str) -> &str {
    static ROOT: OnceLock<Option<String>> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        // Cargo sets the variable for what it runs. A test that is started by hand most often runs
        // in the folder of its package or of its workspace.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let package = package.or_else(|| std::env::current_dir().ok())?;
        let root = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file())?;
        Some(format!("{}/", root.to_str()?.trim_end_matches('/')))
    });
    root.as_ref().and_then(|root| file.strip_prefix(root.as_str())).unwrap_or(file)
}

/// Whether the frame is the user's. Where debug information has line tables alone, a function's
/// name has no path, but its file is known; without debug information it is the other way round.
fn is_users(function: &str, file: Option<&str>) -> bool {
    let name = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let krate = name.split_once("::").map(|(krate, _)| krate.split('[').next().unwrap_or(krate));
    match (krate, file) {
        (Some(krate), _) if BETWEEN.contains(&krate) => false,
        _ if function.contains(SHIM) => false,
        (_, Some(file)) => !is_between(file),
        (krate, None) => krate.is_some(),
    }
}

/// Whether the file is of the standard library, of the C library, of the harness, or of a crate
/// that the harness uses.
fn is_between(file: &str) -> bool {
    let in_c = file.ends_with(".c") || file.ends_with(".S");
    let ours = file
        .split_once(harness_folder())
        .is_some_and(|(_, inside)| inside.starts_with("src/") || inside.starts_with("scope/src/"));
    in_c || ours || STD.iter().chain(CRATES).any(|part| file.contains(part))
}

/// The path of the harness's own package in debug information.
fn harness_folder() -> &'static str {
    file!().trim_end_matches("src/sched/place.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(function: &str, file: Option<&str>, expect: bool) {
        assert_eq!(is_users(function, file), expect, "{function} {file:?}");
    }

    #[test]
    fn frames_of_std_and_of_the_harness_are_not_the_users() {
        let std = Some("/rustc/59807616e/library/alloc/src/slice.rs");
        let user = Some("/build/downstream/src/lib.rs");
        check("std::backtrace::Backtrace::create", std, false);
        check("<reclaimdep::Heap<A> as core::alloc::global::GlobalAlloc>::alloc", user, false);
        check("__rust_alloc", Some("/build/downstream/tests/heap.rs"), false);
        check("hear", Some(&format!("/build/{}src/heap/hook.rs", harness_folder())), false);
        check("to_vec", std, false);
        check("<T as alloc::slice::hack::ConvertVec>::to_vec", std, false);
        check("core::ptr::drop_in_place<downstream::Notes>", std, false);
        check("<downstream::Notes as core::clone::Clone>::clone", user, true);
        check("trace", Some("/cargo/registry/src/mirror/backtrace-0.3.77/src/lib.rs"), false);
        check("from", Some(&format!("/build/{}scope/src/site.rs", harness_folder())), false);
        check("edit", Some(&format!("/build/{}examples/edit.rs", harness_folder())), true);
        check("downstream::edit", None, true);
        check("main", None, false);
    }

    #[test]
    fn this_crate_is_not_the_user() {
        let place = heap();
        assert!(!place.file.contains("this_crate_is_not_the_user"), "{place}");
    }
}
