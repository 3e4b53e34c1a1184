//! `FuseMount`: a filesystem of ours, mounted in the kernel without a mount point.
//!
//! Key types: [`FuseMount`], [`ConnectionId`]. The mount is *detached*: it exists as a descriptor,
//! files on it are opened by `openat` through that, and it is gone with its last descriptor. The
//! server's threads wait in `/dev/fuse`, or in the filesystem's own locks; both are killable.
//!
//! A thread that opens a file through [`FuseMount::as_fd`] waits for the server, so it must be a
//! thread of [`super::fd_table`]. Another process can abort the connection by its number: then
//! every request fails and every waiter goes on. No locks.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fuser::{Config, Filesystem, Session, SessionACL};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, openat, statx};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use super::diagnose::{Facts, Node, mount_refused};
use crate::error::{Error, Result};

/// Threads that serve requests: a handler that waits for a lock must not keep the others waiting.
const SERVERS: usize = 4;
/// How long the server may take to end after the mount is gone, and again after an abort.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// A FUSE connection's number, the same in every process of the machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl ConnectionId {
    /// Fails every request of the connection with an error, now and from now on.
    ///
    /// # Errors
    /// `Os` where there is no such connection any more, or the kernel offers no control files.
    pub fn abort(self) -> Result<()> {
        let abort = || -> io::Result<()> {
            let control = fusectl()?;
            let file = openat(
                &control,
                format!("{self}/abort"),
                OFlags::WRONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            File::from(file).write_all(b"1")
        };
        abort().map_err(|error| {
            Error::os(format!("cannot abort FUSE connection {self}")).because(error)
        })
    }

    /// Whether the connection exists.
    #[must_use]
    pub fn exists(self) -> bool {
        let found = fusectl().and_then(|control| {
            Ok(openat(&control, self.to_string(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
        });
        found.is_ok()
    }
}

/// The kernel's control files for FUSE, whether or not they are mounted anywhere.
fn fusectl() -> io::Result<OwnedFd> {
    let context = fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// A served mount. Stop every device on it before [`FuseMount::shutdown`].
#[derive(Debug)]
#[must_use = "the mount is gone when this drops"]
pub struct FuseMount {
    mount: Option<OwnedFd>,
    connection: ConnectionId,
    server: Option<JoinHandle<()>>,
    ended: Receiver<io::Result<()>>,
}

impl FuseMount {
    /// Mounts `filesystem` and serves it; `name` is what the kernel calls the source.
    ///
    /// # Errors
    /// `Environment` where `/dev/fuse` or the mount interface is missing; `Os` where the handshake
    /// fails or no thread starts.
    pub fn serve<F: Filesystem>(name: &str, filesystem: F) -> Result<Self> {
        let device = open_device()?;
        let mount = mount_detached(device.as_fd(), name)?;
        let failed =
            |what: &str, error: io::Error| Error::os(format!("{what} `{name}`")).because(error);
        let connection = connection_of(mount.as_fd())
            .map_err(|error| failed("cannot identify FUSE mount", error))?;
        let mut config = Config::default();
        config.n_threads = Some(SERVERS);
        let session = Session::from_fd(filesystem, device, SessionACL::Owner, config)
            .map_err(|error| failed("the kernel refuses to talk to filesystem", error))?;
        let (report, ended) = channel();
        let server = std::thread::Builder::new()
            .name(format!("fuse:{name}"))
            .spawn(move || drop(report.send(session.run())))
            .map_err(|error| failed("cannot start the server of", error))?;
        Ok(Self { mount: Some(mount), connection, server: Some(server), ended })
    }

    /// The connection's number.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Fails every request, so that every waiter goes on.
    ///
    /// # Errors
    /// As [`ConnectionId::abort`].
    pub fn abort(&self) -> Result<()> {
        self.connection.abort()
    }

    /// Unmounts and waits for the server's threads.
    ///
    /// # Errors
    /// `Misuse` if files on the mount are still open: then the connection was aborted. `Os` if the
    /// server failed, or a handler does not return even so.
    pub fn shutdown(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        drop(self.mount.take());
        let (ended, aborted) = match self.ended.recv_timeout(SHUTDOWN) {
            Err(RecvTimeoutError::Timeout) => {
                self.abort()?;
                (self.ended.recv_timeout(SHUTDOWN), true)
            }
            ended => (ended, false),
        };
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Error::os(format!(
                    "a handler of FUSE connection {} does not return",
                    self.connection
                )));
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the server panicked")),
        };
        // The thread has nothing left to do; a panic of it is in `outcome`.
        drop(server.join());
        outcome.map_err(|error| {
            Error::os(format!("the server of FUSE connection {} failed", self.connection))
                .because(error)
        })?;
        if aborted {
            return Err(Error::misuse(format!(
                "FUSE connection {} still had open files and was aborted",
                self.connection
            ))
            .advice("stop every device on a mount before the mount"));
        }
        Ok(())
    }
}

impl AsFd for FuseMount {
    /// The mount's root, for `openat` on a thread with a private file table (`fd_table`).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_ref().expect("a mount that was not shut down").as_fd()
    }
}

impl Drop for FuseMount {
    fn drop(&mut self) {
        // The error is dropped here; `shutdown` returns it.
        drop(self.end());
    }
}

/// Opens `/dev/fuse`.
pub(super) fn open_device() -> Result<OwnedFd> {
    Ok(Node::fuse().open()?.into())
}

/// Makes a detached mount, whose server reads `device`.
pub(super) fn mount_detached(device: BorrowedFd<'_>, source: &str) -> Result<OwnedFd> {
    let mount = || -> io::Result<OwnedFd> {
        let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let fd = device.as_raw_fd().to_string();
        let user = rustix::process::geteuid().as_raw().to_string();
        let group = rustix::process::getegid().as_raw().to_string();
        let settings = [
            ("source", source),
            ("fd", &fd),
            ("rootmode", "40000"),
            ("user_id", &user),
            ("group_id", &group),
        ];
        for (key, value) in settings {
            fsconfig_set_string(&context, key, value)?;
        }
        fsconfig_create(&context)?;
        Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
    };
    mount().map_err(|error| mount_refused("fuse", error, Facts::here()))
}

/// The connection's number is the minor of the mount's device.
fn connection_of(mount: BorrowedFd<'_>) -> io::Result<ConnectionId> {
    // With DONT_SYNC the kernel answers from its cache. No server serves this mount yet, and a
    // thread with `/dev/fuse` in its table must never wait for one.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let status = statx(mount, "", flags, StatxFlags::empty())?;
    Ok(ConnectionId(status.stx_dev_minor))
}
