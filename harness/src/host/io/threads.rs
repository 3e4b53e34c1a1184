//! The threads of the pool, each with one batch in the kernel.
//!
//! Key function: [`serve`]. Each thread has one buffer for its life. An idle thread waits in a wait
//! queue of the world, so a world that is unwound ends it there.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::fs::fdatasync;
use rustix::io::{pread, pwrite, pwritev, retry_on_intr};

use super::batch::Batch;
use super::memory::{Alignment, Memory, alignment};
use super::requests::Requests;
use crate::error::{Errno, Error};
use crate::event::Op;

/// Serves with this thread and `threads - 1` more, until the requests end.
pub(super) fn serve(device: BorrowedFd<'_>, requests: &Requests, threads: usize) {
    std::thread::scope(|scope| {
        let helper = |_| {
            let helper = std::thread::Builder::new().name(requests.name().to_owned());
            // One server is enough to make progress; the others only add concurrency.
            helper.spawn_scoped(scope, || serve_all(device, requests)).ok()
        };
        let helpers: Vec<_> = (1..threads).filter_map(helper).collect();
        serve_all(device, requests);
        for helper in helpers {
            // The scope alone only waits until their closures have returned, not until the threads
            // have ended.
            if helper.join().is_err() {
                requests.note(Error::os(format!("a thread of `{}` panicked", requests.name())));
            }
        }
    });
}

fn serve_all(device: BorrowedFd<'_>, requests: &Requests) {
    let _task = requests.adopt("io");
    let (align, mut memory) = (alignment(device), Memory::new());
    requests.until_unwound(|| {
        while let Some(mut taken) = requests.next() {
            let outcome = carry_out(device, align, &mut taken.batch, &mut memory);
            requests.finish(device, taken, outcome);
        }
    });
}

/// Carries the batch out, through a buffer that is aligned as `O_DIRECT` wants it if its own data
/// is not.
fn carry_out(
    device: BorrowedFd<'_>,
    align: Option<Alignment>,
    batch: &mut Batch,
    memory: &mut Memory,
) -> Result<(), Errno> {
    if batch.op() == Op::Flush {
        return retry_on_intr(|| fdatasync(device)).map_err(errno);
    }
    while !batch.is_done() {
        let chunk = memory.buffer(batch.next_len());
        let moved = if batch.op() == Op::Read {
            retry_on_intr(|| pread(device, &mut *chunk, batch.offset()))
        } else if let Some(pieces) = batch.in_place(align) {
            let pieces: Vec<IoSlice<'_>> = pieces.map(IoSlice::new).collect();
            retry_on_intr(|| pwritev(device, &pieces, batch.offset()))
        } else {
            batch.fill(chunk);
            retry_on_intr(|| pwrite(device, chunk, batch.offset()))
        };
        batch.moved(moved.map_err(errno)?, chunk)?;
    }
    Ok(())
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
