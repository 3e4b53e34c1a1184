//! The function and source line of an allocation, from a backtrace.
//!
//! Key function: [`find`]. A backtrace of `std` can be read only as text. It lists its frames from
//! the innermost outwards; the first frame that belongs neither to the allocator, nor to a
//! collection, nor to the harness is the user's. A backtrace costs milliseconds, so the hook takes
//! one only where something was found.

use std::backtrace::Backtrace;
use std::sync::OnceLock;

use crate::event::HeapPlace;

/// Crates whose frames stand between an allocator and the function that allocates.
const BETWEEN: &[&str] = &[
    "std",
    "core",
    "alloc",
    "hashbrown",
    "__rustc",
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

/// The user's function that is allocating on this thread.
pub(super) fn find() -> HeapPlace {
    let trace = format!("{:#}", Backtrace::force_capture());
    let place = frames(&trace).into_iter().find(is_users);
    let unknown = || HeapPlace { function: "an unknown function".to_owned(), line: None };
    place.map_or_else(unknown, in_workspace)
}

/// The frames of a trace in its long form: `N: ADDRESS - FUNCTION`, then `at FILE:LINE:COLUMN`
/// where that is known. An inlined frame has neither number nor address.
fn frames(trace: &str) -> Vec<HeapPlace> {
    let mut frames: Vec<HeapPlace> = Vec::new();
    for line in trace.lines().map(str::trim) {
        match (line.strip_prefix("at "), frames.last_mut()) {
            (Some(at), Some(frame)) => frame.line = file_line(at),
            _ => frames.push(HeapPlace { function: function(line), line: None }),
        }
    }
    frames
}

/// The function's name, without the address before it and the hash after it, which differ between
/// builds.
fn function(line: &str) -> String {
    let name = match line.split_once(" - ") {
        Some((number, name)) if number.contains("0x") => name,
        _ => line,
    };
    let hash =
        |tail: &str| tail.strip_prefix('h').is_some_and(|hex| hex.len() == 16 && is_hex(hex));
    match name.rsplit_once("::") {
        Some((name, tail)) if hash(tail) => name.to_owned(),
        _ => name.to_owned(),
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `FILE` and `LINE` of `FILE:LINE:COLUMN`.
fn file_line(at: &str) -> Option<(String, u32)> {
    let (rest, _column) = at.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file.to_owned(), line.parse().ok()?))
}

/// The place with its file relative to the workspace, as the compiler names it at other steps.
fn in_workspace(place: HeapPlace) -> HeapPlace {
    static ROOT: OnceLock<Option<String>> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        // Cargo runs a test in the folder of its package.
        let package = std::env::current_dir().ok()?;
        let root = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file())?;
        Some(format!("{}/", root.to_str()?.trim_end_matches('/')))
    });
    let relative = |file: String| match root.as_ref().and_then(|root| file.strip_prefix(root)) {
        Some(inside) => inside.to_owned(),
        None => file,
    };
    HeapPlace { line: place.line.map(|(file, line)| (relative(file), line)), ..place }
}

/// Whether the frame is the user's. Where debug information has line tables alone, a function's
/// name has no path, but its file is known; without debug information it is the other way round.
fn is_users(frame: &HeapPlace) -> bool {
    let HeapPlace { function, line } = frame;
    let name = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let krate = name.split_once("::").map(|(krate, _)| krate.split('[').next().unwrap_or(krate));
    match (krate, line) {
        (Some(krate), _) if BETWEEN.contains(&krate) => false,
        _ if function.contains(SHIM) => false,
        (_, Some((file, _))) => {
            !STD.iter().any(|part| file.contains(part)) && !file.contains(harness_source())
        }
        (krate, None) => krate.is_some(),
    }
}

/// The path of the harness's own source in debug information.
fn harness_source() -> &'static str {
    file!().trim_end_matches("heap/place.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "
   0:     0x55d1c2a3f0a1 - std::backtrace::Backtrace::create::h0123456789abcdef
                               at /rustc/59807616e/library/std/src/backtrace.rs:331:13
   1:     0x55d1c2a3f0a1 - <reclaimdep::Heap<A> as core::alloc::global::GlobalAlloc>::alloc::h00112233445566aa
                               at /build/harness/src/heap/mod.rs:101:9
                           __rust_alloc
                               at /build/downstream/tests/heap.rs:19:1
                           hear
                               at /build/HARNESS/heap/hook.rs:38:9
   2:     0x55d1c2a3f0b2 - <T as alloc::slice::hack::ConvertVec>::to_vec::h8899aabbccddeeff
                               at /rustc/59807616e/library/alloc/src/slice.rs:160:6
   3:     0x55d1c2a3f0c3 - <downstream::Notes as core::clone::Clone>::clone::hfedcba9876543210
                               at /build/downstream/src/lib.rs:41:22
   4:     0x55d1c2a3f0d4 - main
";

    #[test]
    fn the_first_frame_outside_std_and_the_harness_is_the_users() {
        let trace = TRACE.replace("HARNESS/", harness_source());
        let frame = frames(trace.trim_matches('\n')).into_iter().find(is_users).unwrap();
        let function = "<downstream::Notes as core::clone::Clone>::clone".to_owned();
        assert_eq!(
            frame,
            HeapPlace { function, line: Some(("/build/downstream/src/lib.rs".to_owned(), 41)) }
        );
    }

    #[test]
    fn without_line_information_the_function_is_left() {
        let frame = frames("   3:     0x55d1c2a3f0c3 - downstream::edit::hfedcba9876543210\n")
            .pop()
            .unwrap();
        assert_eq!(frame, HeapPlace { function: "downstream::edit".to_owned(), line: None });
        assert!(is_users(&frame));
    }

    #[test]
    fn a_real_backtrace_is_readable_and_this_crate_is_not_the_user() {
        let all = frames(&format!("{:#}", Backtrace::force_capture()));
        let mine = "a_real_backtrace_is_readable";
        assert!(
            all.iter().any(|frame| frame.function.contains(mine)),
            "the form of a backtrace has changed: {all:?}"
        );
        assert!(!find().function.contains(mine));
    }
}
