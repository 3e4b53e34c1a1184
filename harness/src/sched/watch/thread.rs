//! Where a stuck thread is.
//!
//! Key types: [`ThreadState`], [`StackLine`]. On Linux `/proc` says whether a thread runs or waits
//! and where in the kernel, and its stack is asked for by a signal ([`super::signal`]).

/// Lines of a stack that are kept.
#[cfg(target_os = "linux")]
const MAX_LINES: usize = 24;

/// One function on the stack of a stuck thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StackLine {
    pub(crate) function: String,
    /// File and line, where the program has them.
    pub(crate) place: Option<(String, u32)>,
}

/// Where a thread is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct ThreadState {
    /// `R`: it runs. `S`, `D`: it waits in the kernel. None where the system does not say.
    pub(crate) state: Option<char>,
    /// The kernel function that it waits in, where the system says so.
    pub(crate) wchan: Option<String>,
    /// Its stack, innermost first; empty where it cannot be had.
    pub(crate) stack: Vec<StackLine>,
}

/// The number of this thread; 0 on systems other than Linux.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std does not tell the number of a thread")]
pub(crate) fn own_id() -> i32 {
    // SAFETY: the call has no arguments and cannot fail.
    i32::try_from(unsafe { libc::syscall(libc::SYS_gettid) }).unwrap_or(0)
}

/// The number of this thread; 0 on systems other than Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn own_id() -> i32 {
    0
}

/// Whether a debugger is attached: then a run may stand still for as long as it likes.
pub(super) fn is_debugged() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|pid| pid.trim() != "0")
}

/// Where thread `id` of this process is.
#[cfg(target_os = "linux")]
pub(super) fn state(id: i32) -> ThreadState {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/task/{id}/{file}")).ok();
    // First: the signal for the stack interrupts a wait.
    let after_name =
        |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    let state = read("stat").and_then(after_name);
    let wchan = read("wchan").filter(|name| !name.is_empty() && name != "0");
    ThreadState { state, wchan, stack: lines(&super::signal::frames(id)) }
}

/// Only Linux tells where a thread is.
#[cfg(not(target_os = "linux"))]
pub(super) fn state(_id: i32) -> ThreadState {
    ThreadState::default()
}

/// The functions at these addresses, from the one that was interrupted outwards, without those that
/// say nothing about the code under test: our handler, and what starts a task.
#[cfg(target_os = "linux")]
fn lines(addresses: &[usize]) -> Vec<StackLine> {
    let Some((interrupted, walked)) = addresses.split_first() else {
        return Vec::new();
    };
    // The walk begins in our handler; what was interrupted is found in it again.
    let start = walked.iter().position(|address| address == interrupted).map_or(0, |at| at + 1);
    let mut lines = look_up(*interrupted);
    for address in &walked[start..] {
        // A return address may be the first of another line.
        lines.extend(look_up(address.saturating_sub(1)));
    }
    if let Some(at) = lines.iter().position(|line| line.function.contains("signal::on_fault")) {
        // It overflowed its stack, and waits in our handler.
        lines.drain(..=at);
        lines.retain(|line| !line.function.contains("restore_rt"));
    }
    let end = lines.iter().position(|line| is_start(&line.function)).unwrap_or(lines.len());
    lines.truncate(end.min(MAX_LINES));
    lines
}

/// The functions at `address`, with those inlined there.
#[cfg(target_os = "linux")]
fn look_up(address: usize) -> Vec<StackLine> {
    let mut lines = Vec::new();
    backtrace::resolve(address as *mut _, |symbol| {
        let Some(name) = symbol.name() else {
            return;
        };
        let place = symbol.filename().zip(symbol.lineno());
        lines.push(StackLine {
            function: format!("{name:#}"),
            place: place.map(|(file, line)| (file.to_string_lossy().into_owned(), line)),
        });
    });
    lines
}

/// Whether the function calls the body of a task, and what is further out is the engine's.
#[cfg(target_os = "linux")]
fn is_start(function: &str) -> bool {
    let harness = function.contains("reclaimdep::sched") || function.contains("reclaimdep::world");
    (harness && (function.contains("run_task") || function.contains("::execute")))
        || function.contains("__rust_begin_short_backtrace")
}
