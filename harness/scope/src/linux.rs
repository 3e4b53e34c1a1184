//! Reads and sets the task flags of real threads.
//!
//! Key type: [`LinuxError`]. A thread's `PF_*` word is field 9 of its `stat` in `/proc`. User space
//! can enter one kind of scope, with `PR_SET_IO_FLUSHER` (since 5.6): the call sets NOIO and
//! LOCAL_THROTTLE on the calling thread and is meant for daemons that serve a block device. The
//! state does not nest, a child inherits it over fork, and threads that were started before the
//! call do not get it.
//!
//! Written from docs/kernel/scopes.md, "Task flags" and "Local throttling and the I/O flusher".

use core::fmt;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, configure_io_flusher_behavior};

use crate::TaskFlags;

/// The two bits that form the IO-flusher state.
pub const IO_FLUSHER: TaskFlags = TaskFlags::MEMALLOC_NOIO.union(TaskFlags::LOCAL_THROTTLE);

/// Why a thread's flags could not be read or set.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinuxError {
    /// The thread's `stat` could not be read: there is no such thread, or no `/proc`.
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The thread's `stat` is not as `proc(5)` describes it.
    Format {
        /// Which file.
        path: String,
    },
    /// The caller may not become an IO flusher.
    NotPermitted,
    /// The kernel has no such call: it is older than 5.6.
    Unsupported,
    /// The call succeeded, but the thread's flags are not those that were requested.
    NotApplied {
        /// The flags that the thread has.
        flags: TaskFlags,
    },
    /// The call failed in a way that is not documented.
    Call(io::Error),
}

impl fmt::Display for LinuxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {path}: {source}"),
            Self::Format { path } => write!(f, "{path} has no flags in field 9"),
            Self::NotPermitted => f.write_str(
                "PR_SET_IO_FLUSHER is not permitted; give the process CAP_SYS_RESOURCE in the initial user namespace",
            ),
            Self::Unsupported => f.write_str("PR_SET_IO_FLUSHER needs Linux 5.6 or newer"),
            Self::NotApplied { flags } => {
                write!(f, "PR_SET_IO_FLUSHER returned success, and the thread's flags are {flags:?}")
            }
            Self::Call(source) => write!(f, "PR_SET_IO_FLUSHER failed: {source}"),
        }
    }
}

impl core::error::Error for LinuxError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Call(source) => Some(source),
            _ => None,
        }
    }
}

/// The flags of the calling thread.
///
/// # Errors
/// If `/proc` is not there.
pub fn current_flags() -> Result<TaskFlags, LinuxError> {
    read(Path::new("/proc/thread-self/stat"))
}

/// The flags of thread `thread` of process `process`.
///
/// # Errors
/// If there is no such thread, or it is another user's.
pub fn thread_flags(process: Pid, thread: Pid) -> Result<TaskFlags, LinuxError> {
    let (process, thread) = (process.as_raw_nonzero(), thread.as_raw_nonzero());
    read(Path::new(&format!("/proc/{process}/task/{thread}/stat")))
}

fn read(path: &Path) -> Result<TaskFlags, LinuxError> {
    let name = || path.display().to_string();
    // The command in field 2 may contain any bytes.
    let stat = std::fs::read(path).map_err(|source| LinuxError::Read { path: name(), source })?;
    flags_of(&stat).ok_or_else(|| LinuxError::Format { path: name() })
}

/// Field 9 of a `stat` line. Field 2 is the command in parentheses and may hold both spaces and
/// parentheses, so the fields are counted from the last closing one.
fn flags_of(stat: &[u8]) -> Option<TaskFlags> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(&stat[end + 1..]).ok()?;
    let word: u32 = rest.split_ascii_whitespace().nth(6)?.parse().ok()?;
    Some(TaskFlags::from_bits_truncate(word))
}

/// Enters or leaves the IO-flusher state of the calling thread, and reads the flags back.
///
/// Leaving the state also ends a surrounding NOIO scope of the real thread.
///
/// # Errors
/// [`LinuxError::NotPermitted`] without CAP_SYS_RESOURCE; [`LinuxError::NotApplied`] where the
/// flags read back are not those that were requested.
pub fn set_io_flusher(enable: bool) -> Result<(), LinuxError> {
    configure_io_flusher_behavior(enable).map_err(|errno| match errno {
        Errno::PERM => LinuxError::NotPermitted,
        Errno::INVAL => LinuxError::Unsupported,
        other => LinuxError::Call(other.into()),
    })?;
    let flags = current_flags()?;
    let applied = if enable { flags.contains(IO_FLUSHER) } else { !flags.intersects(IO_FLUSHER) };
    if applied { Ok(()) } else { Err(LinuxError::NotApplied { flags }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stat: &str, expect: Option<TaskFlags>) {
        assert_eq!(flags_of(stat.as_bytes()), expect, "{stat}");
    }

    #[test]
    fn field_9_is_found_behind_any_command() {
        let nofs = Some(TaskFlags::MEMALLOC_NOFS | TaskFlags::KTHREAD);
        check("12 (kworker/u8:1) S 2 0 0 0 -1 2359296 0 0", nofs);
        check("12 (a) b (c) d) S 2 0 0 0 -1 2359296 0 0", nofs);
        check("12 (1 2 3 4 5 6 7 8 9) S 2 0 0 0 -1 2359296 0 0", nofs);
        check("12 (short) S 2 0 0", None);
        check("no command", None);
    }

    #[test]
    fn both_ways_to_name_this_thread_give_the_same_flags() {
        let (process, thread) = (rustix::process::getpid(), rustix::thread::gettid());
        assert_eq!(thread_flags(process, thread).unwrap(), current_flags().unwrap());
        assert!(!current_flags().unwrap().contains(TaskFlags::KTHREAD));
    }

    #[test]
    fn a_thread_that_does_not_exist_is_an_error_that_names_the_file() {
        let nobody = Pid::from_raw(i32::MAX).unwrap();
        let error = thread_flags(rustix::process::getpid(), nobody).unwrap_err().to_string();
        assert!(error.contains("/task/2147483647/stat"), "{error}");
    }

    /// With CAP_SYS_RESOURCE the state is entered and left; without it the error must say so.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the state belongs to a real thread and remains set on it"
    )]
    fn the_io_flusher_state_is_set_and_read_back_or_the_capability_is_named() {
        let outcome = std::thread::spawn(|| {
            set_io_flusher(true)?;
            assert!(current_flags()?.contains(IO_FLUSHER));
            set_io_flusher(false)?;
            assert!(!current_flags()?.intersects(IO_FLUSHER));
            Ok::<(), LinuxError>(())
        });
        match outcome.join().unwrap() {
            Ok(()) => assert!(may_be_io_flusher(), "it was permitted without the capability"),
            Err(error) => {
                assert!(matches!(error, LinuxError::NotPermitted), "{error}");
                assert!(error.to_string().contains("CAP_SYS_RESOURCE"));
                assert!(!may_be_io_flusher(), "it was refused in spite of the capability");
            }
        }
    }

    /// Whether this process has CAP_SYS_RESOURCE, as the kernel reports it.
    fn may_be_io_flusher() -> bool {
        const CAP_SYS_RESOURCE: u32 = 24;
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & (1 << CAP_SYS_RESOURCE) != 0
    }
}
