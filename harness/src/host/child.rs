//! `Child`: the supervised side of [`super::supervise`], and the messages between both sides.
//!
//! Key types: [`Child`], [`ChildMessage`]. The channel is a pipe that the child gets as stdin, so
//! that it needs no descriptor number and no other process inherits it; [`Child::from_env`] moves
//! it to another descriptor. A message is a tag, a length and the bytes. The child dies with the
//! thread that started it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::fuse_mount::ConnectionId;
use crate::error::{Error, Result};
use crate::sched::SpinLock;
use crate::variables::{self, CHILD, Supervisor};

/// The version of the messages below.
const PROTOCOL: u32 = 2;
/// Bytes of a message's tag and length.
const HEADER: usize = 5;
/// Bytes of the longest message; a longer one is an error.
const MAX_MESSAGE: usize = 256 << 20;

/// A message from a child to its supervisor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ChildMessage {
    /// The child serves this FUSE connection, which must be aborted if the child hangs.
    Connection(ConnectionId),
    /// The run's result.
    Result(Vec<u8>),
}

impl ChildMessage {
    fn encode(&self) -> Vec<u8> {
        let (tag, body) = match self {
            Self::Connection(connection) => (b'c', connection.0.to_le_bytes().to_vec()),
            Self::Result(bytes) => (b'r', bytes.clone()),
        };
        let length = u32::try_from(body.len()).expect("a message is far below 4 GiB");
        [&[tag], &length.to_le_bytes()[..], &body].concat()
    }

    /// Takes the first message out of `stream`, if all of it is there.
    ///
    /// # Errors
    /// `Corrupt` for bytes that no child of this version sends.
    pub(super) fn take(stream: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some((header, rest)) = stream.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [tag, length @ ..] = *header;
        let length = u32::from_le_bytes(length) as usize;
        let bad =
            || Error::corrupt(format!("a supervised process sent tag {tag} with {length} bytes"));
        if length > MAX_MESSAGE {
            return Err(bad());
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let message = match tag {
            b'c' => Self::Connection(ConnectionId(u32::from_le_bytes(
                body.try_into().map_err(|_| bad())?,
            ))),
            b'r' => Self::Result(body.to_vec()),
            _ => return Err(bad()),
        };
        stream.drain(..HEADER + length);
        Ok(Some(message))
    }
}

/// This process as the supervisor of those that it starts.
pub(super) fn this_supervisor() -> Supervisor {
    Supervisor { protocol: PROTOCOL, pid: std::process::id() }
}

/// This process, when it is a supervised one.
#[derive(Debug)]
pub struct Child {
    channel: SpinLock<File>,
}

impl Child {
    /// The supervised process's side of the channel; `None` in any other process. Call it once,
    /// first, on a thread that stays: from here on, while that thread lives, this process dies with
    /// its supervisor.
    ///
    /// # Errors
    /// `Misuse` if another version started it, if it is called twice, or if its supervisor is gone.
    pub fn from_env() -> Result<Option<Self>> {
        let Some(supervisor) = variables::supervisor()? else {
            return Ok(None);
        };
        if supervisor.protocol != PROTOCOL {
            let value = supervisor.value();
            let what = format!("{CHILD}={value} is not from this version of the harness");
            return Err(Error::misuse(what));
        }
        let system = |error: rustix::io::Errno| {
            Error::os("cannot tie this process to its supervisor").because(error)
        };
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(system)?;
        // The signal is sent for deaths from now on. If the supervisor died earlier, the parent is
        // another process.
        let parent = getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
        if parent != Some(supervisor.pid) {
            return Err(Error::misuse("the supervisor of this process is gone"));
        }
        let channel = move_stdin().map_err(|error| {
            Error::misuse("this process has no channel to its supervisor").because(error)
        })?;
        Ok(Some(Self { channel: SpinLock::new(File::from(channel)) }))
    }

    fn tell(&self, message: &ChildMessage) -> Result<()> {
        let told = self.channel.lock().write_all(&message.encode());
        told.map_err(|error| Error::os("the supervisor's pipe is closed").because(error))
    }

    /// Says which FUSE connection to abort if this process hangs. As early as it is known.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub fn report_connection(&self, connection: ConnectionId) -> Result<()> {
        self.tell(&ChildMessage::Connection(connection))
    }

    /// Sends the run's result; the last one counts.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        self.tell(&ChildMessage::Result(bytes.to_vec()))
    }
}

/// This thread's name: libtest names a thread after the test that it runs.
#[must_use]
pub fn thread_name() -> Option<String> {
    std::thread::current().name().map(str::to_owned)
}

/// Takes the pipe from stdin, where every thread's file table would keep it, and leaves
/// `/dev/null`.
fn move_stdin() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    let channel = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3)?;
    if rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&channel)?.st_mode)
        != rustix::fs::FileType::Fifo
    {
        return Err(io::Error::other("stdin is not the supervisor's pipe"));
    }
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &[u8], expect: &[ChildMessage], rest: &[u8]) {
        let mut stream = stream.to_vec();
        let taken: Vec<ChildMessage> =
            std::iter::from_fn(|| ChildMessage::take(&mut stream).expect("a valid stream"))
                .collect();
        assert_eq!((&taken[..], &stream[..]), (expect, rest));
    }

    #[test]
    fn messages_are_taken_one_by_one_and_an_incomplete_one_is_left() {
        let (one, two) =
            (ChildMessage::Connection(ConnectionId(7)), ChildMessage::Result(b"ok".to_vec()));
        let both = [one.encode(), two.encode()].concat();
        check(&[], &[], &[]);
        check(&both, &[one.clone(), two], &[]);
        check(&both[..12], &[one], &both[9..12]);
    }

    #[test]
    fn a_stream_with_an_unknown_message_is_refused() {
        for bytes in [&b"x\0\0\0\0"[..], b"c\x01\0\0\0z", b"r\xff\xff\xff\xff"] {
            assert!(ChildMessage::take(&mut bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }
}
