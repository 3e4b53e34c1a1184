//! One world in a process of its own, which may hang without harm.
//!
//! Key types: [`Job`], [`Running`], [`Outcome`]. The supervisor waits on three things at once, each
//! a descriptor: the process, its channel, its stderr. When the deadline passes it first writes
//! down where every thread is, then aborts the process's FUSE connections, then kills it. It never
//! waits for the channel to close: a thread that is stuck in the kernel holds its end open. The
//! process dies with the *thread* that started it, so one thread starts it and waits.
#![expect(clippy::disallowed_methods, reason = "deadlines here are of real time")]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::child::{Message, this_supervisor};
use super::fuse_mount::ConnectionId;
use super::stacks::{ThreadStack, stacks};
use crate::error::{Error, Result};
use crate::variables::CHILD;

/// How long a world may take where the job does not say.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How long a killed process may take to be gone.
const REAP: Duration = Duration::from_secs(5);
/// How much of a process's last words is kept.
const STDERR_KEPT: usize = 16 << 10;
/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// What to run: this executable again, with other arguments.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set for it, besides this process's own.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub deadline: Duration,
}

impl Job {
    /// A job with these arguments and [`DEADLINE`].
    pub fn new(args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// Runs it to its end, or to the deadline.
    ///
    /// # Errors
    /// `Os` if it cannot be started or watched; `Corrupt` if it does not speak the protocol.
    pub fn run(&self) -> Result<Outcome> {
        Running::start(self)?.finish(self.deadline)
    }
}

/// How a supervised run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It sent a result and exited well.
    Finished {
        /// The result.
        bytes: Vec<u8>,
    },
    /// It ended by itself, badly or without a result.
    Died {
        /// `exit status: 101`, `signal: 11 (SIGSEGV)`.
        how: String,
        /// The last it wrote to stderr.
        stderr: String,
        /// What it sent before.
        bytes: Option<Vec<u8>>,
    },
    /// The deadline passed.
    Stuck {
        /// Where its threads were.
        stacks: Vec<ThreadStack>,
        /// Whether it was gone after the kill. If not, a device or mount of it is there as well.
        gone: bool,
        /// What it sent before.
        bytes: Option<Vec<u8>>,
    },
}

/// A supervised process. Dropping it kills it.
#[derive(Debug)]
#[must_use = "the process is killed when this drops"]
pub struct Running {
    process: std::process::Child,
    pidfd: OwnedFd,
    channel: Option<std::io::PipeReader>,
    stderr: Option<std::process::ChildStderr>,
    stream: Vec<u8>,
    connections: Vec<ConnectionId>,
    result: Option<Vec<u8>>,
    last_words: Vec<u8>,
}

impl Running {
    /// Starts the job.
    ///
    /// # Errors
    /// `Os` if the system cannot.
    pub fn start(job: &Job) -> Result<Self> {
        let failed =
            |error: std::io::Error| Error::os("cannot start a supervised process").because(error);
        let (channel, theirs) = std::io::pipe().map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command
            .args(&job.args)
            .envs(job.env.iter().map(|(key, value)| (key, value)))
            .env(CHILD, this_supervisor().value());
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let pidfd = match pidfd_open(Pid::from_child(&process), PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                drop(process.kill());
                drop(process.wait());
                return Err(failed(error.into()));
            }
        };
        let stderr = process.stderr.take();
        Ok(Self {
            process,
            pidfd,
            channel: Some(channel),
            stderr,
            stream: Vec::new(),
            connections: Vec::new(),
            result: None,
            last_words: Vec::new(),
        })
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The FUSE connections it has reported.
    #[must_use]
    pub fn connections(&self) -> &[ConnectionId] {
        &self.connections
    }

    /// Waits until it has sent a result or has ended, at the longest until `deadline`.
    ///
    /// # Errors
    /// `Corrupt` if it does not speak the protocol.
    pub fn wait_for_result(&mut self, deadline: Instant) -> Result<Option<&[u8]>> {
        while self.result.is_none() && !self.step(deadline)? && Instant::now() < deadline {}
        Ok(self.result.as_deref())
    }

    /// Waits until it has ended, at the longest until `deadline`; says whether it has.
    ///
    /// # Errors
    /// `Corrupt` if it does not speak the protocol.
    pub fn wait_until(&mut self, deadline: Instant) -> Result<bool> {
        loop {
            let ended = self.step(deadline)?;
            if ended || Instant::now() >= deadline {
                return Ok(ended);
            }
        }
    }

    /// Kills it at once; [`Running::wait_until`] says when it is gone.
    pub fn kill(&self) {
        // It may have ended: then there is nothing to kill.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits for its end; past `limit` from now it is stuck, and is written down and killed.
    ///
    /// # Errors
    /// As [`Job::run`].
    pub fn finish(mut self, limit: Duration) -> Result<Outcome> {
        if self.wait_until(Instant::now() + limit)? {
            return self.ended();
        }
        let stacks = stacks(self.pid());
        for connection in &self.connections {
            // One that is gone cannot be what it hangs in.
            drop(connection.abort());
        }
        self.kill();
        let gone = self.wait_until(Instant::now() + REAP)?;
        Ok(Outcome::Stuck { stacks, gone, bytes: self.result.take() })
    }

    fn ended(&mut self) -> Result<Outcome> {
        let status = self
            .process
            .wait()
            .map_err(|error| Error::os("cannot reap a supervised process").because(error))?;
        Ok(match self.result.take() {
            Some(bytes) if status.success() => Outcome::Finished { bytes },
            bytes => {
                let how = match (status.signal(), bytes.is_none()) {
                    (None, true) if status.success() => "exit without a result".to_owned(),
                    _ => status.to_string(),
                };
                Outcome::Died {
                    how,
                    stderr: String::from_utf8_lossy(&self.last_words).into_owned(),
                    bytes,
                }
            }
        })
    }

    /// Waits for anything, and takes it; says whether the process has ended.
    fn step(&mut self, deadline: Instant) -> Result<bool> {
        let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        fds.extend(self.channel.iter().map(|channel| PollFd::new(channel, PollFlags::IN)));
        fds.extend(self.stderr.iter().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::os("cannot watch a supervised process").because(error)),
        }
        let ended = !fds[0].revents().is_empty();
        drop(fds);
        // What it wrote before it ended is in the pipes by now.
        while self.take_channel()? {}
        while self.take_stderr() {}
        Ok(ended)
    }

    fn take_channel(&mut self) -> Result<bool> {
        let more = take(&mut self.channel, &mut self.stream);
        while let Some(message) = Message::take(&mut self.stream)? {
            match message {
                Message::Connection(connection) => self.connections.push(connection),
                Message::Result(bytes) => self.result = Some(bytes),
            }
        }
        Ok(more)
    }

    fn take_stderr(&mut self) -> bool {
        let before = self.last_words.len();
        let more = take(&mut self.stderr, &mut self.last_words);
        // Nobody is told if this process has no stderr.
        drop(std::io::stderr().write_all(&self.last_words[before..]));
        let excess = self.last_words.len().saturating_sub(STDERR_KEPT);
        self.last_words.drain(..excess);
        more
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.kill();
            drop(self.wait_until(Instant::now() + REAP));
            drop(self.process.try_wait());
        }
    }
}

/// Appends what `pipe` has to `to`; forgets the pipe at its end. Says whether there may be more.
fn take<R: Read + AsFd>(pipe: &mut Option<R>, to: &mut Vec<u8>) -> bool {
    let Some(open) = pipe else {
        return false;
    };
    let mut fds = [PollFd::new(open, PollFlags::IN)];
    if !matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1)) {
        return false;
    }
    let mut chunk = [0; CHUNK];
    match open.read(&mut chunk) {
        Ok(0) | Err(_) => {
            *pipe = None;
            false
        }
        Ok(count) => {
            to.extend_from_slice(&chunk[..count]);
            true
        }
    }
}
