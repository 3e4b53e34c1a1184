//! A pool of threads that serves a device's requests on an open file.
//!
//! Key types: [`IoOptions`], `Pool`. A device hands its requests to `Requests`; its lead thread,
//! which owns the open file, runs a `Pool` that takes them from there. Each thread of the pool has
//! one system call in the kernel, which carries one request or several adjacent ones.
//!
//! | module | holds |
//! |---|---|
//! | `requests` | the FIFO, the requests in flight, stopping and draining |
//! | `batch` | adjacent requests that one system call carries, and how far they got |
//! | `memory` | buffers that are aligned as `O_DIRECT` wants them |
//! | `threads` | the pool's threads |
//!
//! As in the block layer, requests in flight are not ordered among themselves: a caller that needs
//! an order waits in between. Locking: leaf locks alone, none held over a system call.

mod batch;
mod memory;
mod requests;
mod threads;

use std::os::fd::BorrowedFd;

use crate::error::{Error, Result};
pub(super) use requests::{Requests, RequestsOptions};

/// The most system calls that a device can be asked to keep in the kernel.
pub const MAX_IN_FLIGHT: usize = 64;
/// System calls that a device keeps in the kernel unless it is told otherwise.
const IN_FLIGHT: usize = 4;

/// How a device serves its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoOptions {
    /// How many system calls may be in the kernel at a time, from 1 to [`MAX_IN_FLIGHT`]; by
    /// default 4. Each has a thread, and may carry several adjacent requests.
    pub in_flight: usize,
}

impl Default for IoOptions {
    fn default() -> Self {
        Self { in_flight: IN_FLIGHT }
    }
}

/// The threads of a device, not started yet.
#[derive(Debug)]
pub(super) struct Pool {
    threads: usize,
}

impl Pool {
    /// A pool as `options` ask for it.
    ///
    /// # Errors
    /// `Input` for a number of requests in flight that no device can have.
    pub(super) fn new(options: IoOptions) -> Result<Self> {
        let IoOptions { in_flight } = options;
        if !(1..=MAX_IN_FLIGHT).contains(&in_flight) {
            return Err(Error::input(format!("a device with {in_flight} requests in flight"))
                .advice(format!("ask for 1 to {MAX_IN_FLIGHT}")));
        }
        Ok(Self { threads: in_flight })
    }

    /// Serves, with the calling thread as one of the pool's, until the requests are stopped and the
    /// last of them is complete. The other threads are gone when it returns.
    pub(super) fn serve(self, device: BorrowedFd<'_>, requests: &Requests) {
        threads::serve(device, requests, self.threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_device_has_at_least_one_request_in_flight_and_a_bounded_number() {
        for in_flight in [0, MAX_IN_FLIGHT + 1] {
            let refused = Pool::new(IoOptions { in_flight }).expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::Input);
        }
        assert!(Pool::new(IoOptions { in_flight: MAX_IN_FLIGHT }).is_ok());
    }
}
