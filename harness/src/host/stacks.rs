//! Where the threads of a stuck process wait.
//!
//! Key type: [`ThreadStack`]. A thread that waits for a FUSE server is in state `S` or `D`,
//! depending on how far its request got, so the stack says more than the state.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a thread of a stuck process was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadStack {
    /// The thread's name.
    pub comm: String,
    /// Its state: `S`, `D`, `R`.
    pub state: char,
    /// The kernel function it waits in.
    pub wchan: String,
    /// Its kernel stack, innermost first.
    pub stack: Vec<String>,
}

/// Where every thread of a process is, as far as the kernel says.
#[must_use]
pub fn stacks(pid: u32) -> Vec<ThreadStack> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let read = |dir: &Path, file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default();
    let mut threads: Vec<_> = threads.filter_map(|entry| Some(entry.ok()?.path())).collect();
    threads.sort();
    let describe = |dir: PathBuf| ThreadStack {
        comm: read(&dir, "comm").trim_end().to_owned(),
        state: state(&read(&dir, "stat")),
        wchan: read(&dir, "wchan"),
        stack: read(&dir, "stack")
            .lines()
            .map(|line| line.trim_start_matches("[<0>] ").to_owned())
            .collect(),
    };
    threads.into_iter().map(describe).collect()
}

/// The state in a `stat` line: it follows the name, which may hold anything.
fn state(stat: &str) -> char {
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?')
}
