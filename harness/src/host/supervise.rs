//! Runs a world in a process of its own, so that a hang does no harm.
//!
//! Key types: [`Job`], [`Running`], [`SupervisedOutcome`]. The supervisor waits on three things at
//! once, each a descriptor: the process, its channel, its stderr. When the deadline passes, it
//! first records where every thread is, then aborts the process's FUSE connections, then kills it.
//! It never waits for the channel to close: a thread that is stuck in the kernel holds the other
//! end open. The process dies with the *thread* that started it, so one thread starts it and waits
//! for it. No locks.
#![expect(clippy::disallowed_methods, reason = "deadlines here are of real time")]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::child::{ChildMessage, this_supervisor};
use super::fuse_mount::ConnectionId;
use super::stacks::{ThreadStack, stacks};
use crate::error::{Error, Result};
use crate::variables::CHILD;

/// How long a world may take where the job does not say.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How long a killed process may take to end.
const REAP: Duration = Duration::from_secs(5);
/// Bytes of a process's stderr that are kept: the last ones.
const STDERR_KEPT: usize = 16 << 10;
/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// A run of this executable with other arguments.
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
    pub fn run(&self) -> Result<SupervisedOutcome> {
        Running::start(self)?.finish(self.deadline)
    }
}

/// How a supervised run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SupervisedOutcome {
    /// It sent a result and exited with success.
    Finished {
        /// The result.
        bytes: Vec<u8>,
    },
    /// It ended by itself, with a failure or without a result.
    Died {
        /// `exit status: 101`, `signal: 11 (SIGSEGV)`.
        how: String,
        /// The end of its stderr.
        stderr: String,
        /// The result that it sent before, if it sent one.
        bytes: Option<Vec<u8>>,
    },
    /// The deadline passed.
    Stuck {
        /// Where its threads waited.
        stacks: Vec<ThreadStack>,
        /// Whether it had ended after the kill. If not, its devices and mounts may still exist.
        gone: bool,
        /// The result that it sent before, if it sent one.
        bytes: Option<Vec<u8>>,
    },
}

/// A supervised process; dropping this kills it.
#[derive(Debug)]
#[must_use = "the process is killed when this drops"]
pub struct Running {
    process: std::process::Child,
    pidfd: OwnedFd,
    channel: Option<std::io::PipeReader>,
    stdout: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
    /// What it printed on stdout and is not shown yet: the beginning of a line.
    printed: Vec<u8>,
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
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
        inherit_nothing_else(&mut command);
        let mut process = command.spawn().map_err(failed)?;
        let pidfd = match pidfd_open(Pid::from_child(&process), PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                drop(process.kill());
                drop(process.wait());
                return Err(failed(error.into()));
            }
        };
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        Ok(Self {
            process,
            pidfd,
            channel: Some(channel),
            stdout,
            stderr,
            printed: Vec::new(),
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

    /// Waits until it has sent a result or has ended, at most until `deadline`.
    ///
    /// # Errors
    /// `Corrupt` if it does not speak the protocol.
    pub fn wait_for_result(&mut self, deadline: Instant) -> Result<Option<&[u8]>> {
        while self.result.is_none() && !self.step(deadline)? && Instant::now() < deadline {}
        Ok(self.result.as_deref())
    }

    /// Waits until it has ended, at most until `deadline`; returns whether it has.
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

    /// Kills it; [`Running::wait_until`] waits for its end.
    pub fn kill(&self) {
        // It may have ended: then there is nothing to kill.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits for its end. After `limit` it counts as stuck: its stacks are recorded, and it is
    /// killed.
    ///
    /// # Errors
    /// As [`Job::run`].
    pub fn finish(mut self, limit: Duration) -> Result<SupervisedOutcome> {
        if self.wait_until(Instant::now() + limit)? {
            return self.ended();
        }
        let stacks = stacks(self.pid());
        for connection in &self.connections {
            // A connection that is gone needs no abort, so the error is ignored.
            drop(connection.abort());
        }
        self.kill();
        let gone = self.wait_until(Instant::now() + REAP)?;
        Ok(SupervisedOutcome::Stuck { stacks, gone, bytes: self.result.take() })
    }

    fn ended(&mut self) -> Result<SupervisedOutcome> {
        let status = self
            .process
            .wait()
            .map_err(|error| Error::os("cannot reap a supervised process").because(error))?;
        Ok(match self.result.take() {
            Some(bytes) if status.success() => SupervisedOutcome::Finished { bytes },
            bytes => {
                let how = match (status.signal(), bytes.is_none()) {
                    (None, true) if status.success() => "exit without a result".to_owned(),
                    _ => status.to_string(),
                };
                SupervisedOutcome::Died {
                    how,
                    stderr: String::from_utf8_lossy(&self.last_words).into_owned(),
                    bytes,
                }
            }
        })
    }

    /// Waits for the next event and handles it; returns whether the process has ended.
    fn step(&mut self, deadline: Instant) -> Result<bool> {
        let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        fds.extend(self.channel.iter().map(|channel| PollFd::new(channel, PollFlags::IN)));
        fds.extend(self.stdout.iter().map(|stdout| PollFd::new(stdout, PollFlags::IN)));
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
        // The process wrote to the pipes before it ended, so all of that can be read now.
        while self.take_channel()? {}
        while self.take_stderr() {}
        while self.take_stdout(ended) {}
        Ok(ended)
    }

    fn take_channel(&mut self) -> Result<bool> {
        let more = take(&mut self.channel, &mut self.stream);
        while let Some(message) = ChildMessage::take(&mut self.stream)? {
            match message {
                ChildMessage::Connection(connection) => self.connections.push(connection),
                ChildMessage::Result(bytes) => self.result = Some(bytes),
            }
        }
        Ok(more)
    }

    /// Shows what the process prints, past the capture of the test runner and without the lines of
    /// its own test runner. It goes to stderr: what reads this process's stdout may expect JSON.
    fn take_stdout(&mut self, ended: bool) -> bool {
        let more = take(&mut self.stdout, &mut self.printed);
        let whole = match self.printed.iter().rposition(|byte| *byte == b'\n') {
            _ if ended && !more => self.printed.len(),
            last => last.map_or(0, |last| last + 1),
        };
        let lines: Vec<u8> = self.printed.drain(..whole).collect();
        for line in lines.split_inclusive(|byte| *byte == b'\n').filter(|line| is_users(line)) {
            // If this process has no stderr, the output is lost.
            drop(std::io::stderr().write_all(line));
        }
        more
    }

    fn take_stderr(&mut self) -> bool {
        let before = self.last_words.len();
        let more = take(&mut self.stderr, &mut self.last_words);
        // If this process has no stderr, the output is lost.
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

/// Whether a line of stdout is not one of libtest's.
fn is_users(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end();
    let of_runner = ["running 1 test", "running 0 tests", "test result: "];
    let begins_test = line.starts_with("test ") && line.ends_with("...");
    !line.is_empty() && !begins_test && !of_runner.iter().any(|begin| line.starts_with(begin))
}

/// Of this process's descriptors the new one gets stdin, stdout and stderr: a pipe of a test, or a
/// device that another test has open, would stay open for as long as it lives.
#[expect(unsafe_code, reason = "what runs between fork and exec is for system calls alone")]
fn inherit_nothing_else(command: &mut Command) {
    let close_at_exec = || {
        const FIRST: libc::c_uint = 3;
        // SAFETY: no memory is passed, and the descriptors stay open until the exec.
        let marked = unsafe {
            let flags = libc::CLOSE_RANGE_CLOEXEC;
            libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, flags)
        };
        if marked == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes one system call, and allocates and locks nothing.
    unsafe { command.pre_exec(close_at_exec) };
}

/// Appends what can be read from `pipe` to `to`; drops the pipe at its end. Returns whether there
/// may be more.
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
