//! Serving a device's requests on an open file, many in the kernel at a time.
//!
//! Key types: [`IoOptions`], [`IoEngine`], `Server`. A device hands its requests to `Requests`; its
//! lead thread, which owns the open file, lets a `Server` take them from there. Two engines do the
//! same: one thread with an io_uring, or a small pool of threads that read and write. Which one is
//! found out by trying, unless [`IoOptions::engine`] or `RECLAIMDEP_IO` says it.
//!
//! | module | holds |
//! |---|---|
//! | `requests` | the FIFO, what is in flight, stopping and draining |
//! | `batch` | what one system call carries: adjacent requests, and how far they got |
//! | `memory` | buffers that are aligned as `O_DIRECT` wants them |
//! | `uring` | the engine on io_uring |
//! | `threads` | the engine on blocking system calls |
//!
//! As in the block layer, requests in flight are not ordered among themselves: whoever needs an
//! order waits in between. Locking: leaf locks alone, none held over a system call.

mod batch;
mod memory;
mod requests;
mod threads;
mod uring;

use std::os::fd::BorrowedFd;

use crate::error::{Error, Result};
pub(super) use requests::{Options as RequestsOptions, Requests};

/// Names the engine for every device that does not name its own: `uring` or `threads`.
pub const ENGINE_VARIABLE: &str = "RECLAIMDEP_IO";
/// Most requests that a device can be asked to keep in the kernel.
pub const MAX_IN_FLIGHT: usize = 256;
/// Threads of the pool, where that many may be in flight.
const POOL: usize = 4;

/// How requests get into the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoEngine {
    /// One thread with an io_uring.
    Uring,
    /// A pool of at most 4 threads; each has one request in the kernel.
    Threads,
}

impl IoEngine {
    /// Its name in `RECLAIMDEP_IO`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Threads => "threads",
        }
    }

    fn named(name: &str) -> Result<Self> {
        [Self::Uring, Self::Threads].into_iter().find(|engine| engine.name() == name).ok_or_else(
            || {
                Error::input(format!("{ENGINE_VARIABLE} names no engine: `{name}`"))
                    .advice("uring or threads")
            },
        )
    }
}

/// How a device serves its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoOptions {
    /// The engine; none takes what `RECLAIMDEP_IO` says, else io_uring where the kernel lets us
    /// have one.
    pub engine: Option<IoEngine>,
    /// How many system calls or ring entries may be in the kernel at a time, from 1 to
    /// [`MAX_IN_FLIGHT`]; each may carry several adjacent requests.
    pub in_flight: usize,
}

impl Default for IoOptions {
    fn default() -> Self {
        Self { engine: None, in_flight: 32 }
    }
}

/// Tries an io_uring with the operations that the engine needs.
pub(super) fn try_uring() -> Result<()> {
    uring::Ring::open(1).map(drop).map_err(|error| {
        Error::environment("no io_uring with reads, writes, syncs and polls can be had")
            .because(error)
    })
}

/// An engine that is ready to serve.
pub(super) struct Server(Engine);

enum Engine {
    Uring(Box<uring::Ring>),
    Threads(usize),
}

impl Server {
    /// Prepares the engine that `options` ask for. On the device's lead thread: the ring's
    /// descriptors belong to its table.
    ///
    /// # Errors
    /// `Input` for options that make no sense; `Environment` where io_uring is asked for by name
    /// and cannot be had.
    pub(super) fn open(options: IoOptions) -> Result<Self> {
        let IoOptions { engine, in_flight } = options;
        if !(1..=MAX_IN_FLIGHT).contains(&in_flight) {
            return Err(Error::input(format!("a device with {in_flight} requests in flight"))
                .advice(format!("ask for 1 to {MAX_IN_FLIGHT}")));
        }
        let named = match (engine, std::env::var(ENGINE_VARIABLE)) {
            (Some(engine), _) => Some(engine),
            (None, Ok(name)) => Some(IoEngine::named(&name)?),
            (None, Err(_)) => None,
        };
        if named == Some(IoEngine::Threads) {
            return Ok(Self(Engine::Threads(in_flight.min(POOL))));
        }
        match uring::Ring::open(in_flight) {
            Ok(ring) => Ok(Self(Engine::Uring(Box::new(ring)))),
            Err(_) if named.is_none() => Ok(Self(Engine::Threads(in_flight.min(POOL)))),
            Err(error) => Err(Error::environment("no io_uring can be had").because(error).advice(format!(
                "leave {ENGINE_VARIABLE} unset, or see /proc/sys/kernel/io_uring_disabled and the seccomp filter"
            ))),
        }
    }

    /// Which one it is.
    pub(super) const fn engine(&self) -> IoEngine {
        match self.0 {
            Engine::Uring(_) => IoEngine::Uring,
            Engine::Threads(_) => IoEngine::Threads,
        }
    }

    /// Serves until the requests are stopped and the last of them is complete. Its threads are gone
    /// when it returns.
    pub(super) fn serve(self, device: BorrowedFd<'_>, requests: &Requests) {
        match self.0 {
            Engine::Uring(ring) => uring::serve(*ring, device, requests),
            Engine::Threads(threads) => threads::serve(device, requests, threads),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_engine_is_known_by_its_name_and_no_other() {
        assert_eq!(IoEngine::named("uring").expect("known"), IoEngine::Uring);
        assert_eq!(IoEngine::named("threads").expect("known"), IoEngine::Threads);
        assert_eq!(IoEngine::named("aio").expect_err("unknown").kind(), ErrorKind::Input);
    }

    #[test]
    fn a_device_needs_a_request_in_flight_and_not_too_many() {
        for in_flight in [0, MAX_IN_FLIGHT + 1] {
            let opened = Server::open(IoOptions { engine: Some(IoEngine::Threads), in_flight });
            assert_eq!(opened.err().expect("refused").kind(), ErrorKind::Input);
        }
    }

    #[test]
    fn without_a_wish_io_uring_is_taken_where_it_can_be_had() {
        if std::env::var_os(ENGINE_VARIABLE).is_some() {
            return;
        }
        let expected = if try_uring().is_ok() { IoEngine::Uring } else { IoEngine::Threads };
        let opened = Server::open(IoOptions::default()).expect("some engine can always be had");
        assert_eq!(opened.engine(), expected);
    }
}
