//! Threads with a private file table: the rule that makes a stuck stack killable.
//!
//! A thread that waits in the kernel for I/O of a loop device ignores SIGKILL until the I/O ends.
//! While it lives, so does its file table. If that table holds `/dev/fuse`, the FUSE connection is
//! never closed, the I/O that its server should answer never ends, and the process stays for ever.
//! So every system call that can wait for the stack runs on a thread started here, whose
//! table holds the descriptors it needs and nothing else; `/dev/fuse` stays in the process's own
//! table, with threads that wait killably. SIGKILL then closes the connection, the kernel fails
//! the requests that were waiting, and the last thread ends.
//!
//! On such a thread a descriptor number means another file than in the rest of the process. So own
//! (`OwnedFd`, `File`) only descriptors that this thread opened: drop none that another thread
//! opened, and give none to another thread.
#![expect(unsafe_code, reason = "close_range has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::thread::JoinHandle;

/// The first descriptor that is not stdin, stdout or stderr.
const FIRST: u32 = 3;

/// Starts a thread whose file table holds stdin, stdout, stderr and copies of `keep`.
///
/// `body` owns the copies, or gets the reason why the table could not be made. Threads that `body`
/// starts share its table. What `keep` borrows must stay open until `body` runs: the caller waits
/// for a sign from it.
///
/// # Errors
/// If the system starts no thread.
pub(super) fn spawn_private<T: Send + 'static>(
    name: &str,
    keep: &[BorrowedFd<'_>],
    body: impl FnOnce(io::Result<Vec<OwnedFd>>) -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let keep: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    let entry = move || {
        let table = leave_table(&keep).map(|()| {
            // SAFETY: in the table that is this thread's since the line above, the numbers in
            // `keep` are open and nobody else owns them.
            keep.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }).collect()
        });
        body(table)
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(entry)
}

/// Gives this thread a table of its own with nothing from [`FIRST`] up but `keep`.
fn leave_table(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    // The range above the last one comes first: it is the call that copies the table, and it copies
    // no more than it must.
    let above = keep.last().map_or(FIRST, |last| last + 1);
    close_range(above, u32::MAX, libc::CLOSE_RANGE_UNSHARE)?;
    let mut next = FIRST;
    for fd in keep {
        if next < fd {
            close_range(next, fd - 1, 0)?;
        }
        next = fd + 1;
    }
    Ok(())
}

fn close_range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: no memory is passed. The descriptors are closed in a table that the first call with
    // CLOSE_RANGE_UNSHARE made private to this thread, which has just begun and owns none of them;
    // in the process's table they stay open for their owners.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
