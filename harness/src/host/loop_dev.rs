//! `LoopHandle`: one real loop device, which detaches when its last descriptor closes.
//!
//! Key types: [`LoopHandle`], [`LoopOptions`]. `LOOP_CTL_GET_FREE` reserves nothing, so another
//! process may take the number first; then we ask for another number, a bounded number of times.
//! `LOOP_CONFIGURE` sets AUTOCLEAR together with the file, so a kill never leaves the device bound.
//! Every call here can wait for the filesystem of the backing file. If that is a filesystem of
//! ours, call it on a thread of [`super::fd_table`].
//!
//! Written from docs/kernel/loop.md, "The control interface".
#![expect(
    clippy::disallowed_methods,
    reason = "detaching is polled for; the kernel offers no event"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use linux_raw_sys::loop_device::loop_info64;

use super::diagnose::{Facts, Node, no_free_loop, not_configured};
use super::loop_ioctl::{AUTOCLEAR, DIRECT_IO, configure, free_number, status};
use crate::error::{Error, Result};

/// How often attaching is tried where another process takes the free device first.
const MAX_ATTEMPTS: u32 = 256;
/// How often, and how long apart, a closed device is checked to be unbound: another process may
/// have it open for a moment.
const UNBIND: (u32, Duration) = (2000, Duration::from_millis(1));

/// How a device is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoopOptions {
    /// The kernel's worker bypasses the page cache of the backing file. Attaching fails if the
    /// filesystem does not support that.
    pub direct_io: bool,
    /// Bytes of a logical block; 0 lets the kernel choose.
    pub block_size: u32,
}

impl Default for LoopOptions {
    fn default() -> Self {
        Self { direct_io: true, block_size: 512 }
    }
}

/// A bound loop device; dropping this detaches it.
///
/// It cannot leave its thread: its descriptor lives in that thread's file table.
#[derive(Debug)]
#[must_use = "the device is detached when this drops"]
pub struct LoopHandle {
    number: u32,
    file: File,
    identity: BackingIdentity,
    _table: PhantomData<*const ()>,
}

/// The backing file of a bound device, by filesystem and inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct BackingIdentity {
    device: u64,
    inode: u64,
}

impl LoopHandle {
    /// Binds a free loop device to `backing`.
    ///
    /// # Errors
    /// `Environment` if the control node or a device node is missing, or no device becomes free;
    /// `Os` if the kernel refuses, or did not use the options that were asked for.
    pub fn attach(backing: BorrowedFd<'_>, options: LoopOptions) -> Result<Self> {
        let control = open_control()?;
        for _ in 0..MAX_ATTEMPTS {
            let number = free_number(control.as_fd()).map_err(no_free_loop)?;
            match Self::bind(number, backing, options) {
                Ok(file) => return Self::verify(number, file, options),
                Err(Refused::Lost) => std::thread::yield_now(),
                Err(Refused::For(error)) => return Err(error),
            }
        }
        Err(Error::environment(format!("lost the race for a loop device {MAX_ATTEMPTS} times"))
            .advice("something on this machine attaches loop devices without pause"))
    }

    fn bind(number: u32, backing: BorrowedFd<'_>, options: LoopOptions) -> Result<File, Refused> {
        let path = node(number);
        Node::loop_device(number).check().map_err(Refused::For)?;
        let open =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_DIRECT).open(&path);
        let file = match open {
            Ok(file) => file,
            Err(error) if lost(&error) => return Err(Refused::Lost),
            Err(error) => {
                return Err(Refused::For(Node::loop_device(number).refused(error, Facts::here())));
            }
        };
        let flags = AUTOCLEAR | if options.direct_io { DIRECT_IO } else { 0 };
        match configure(file.as_fd(), backing, flags, options.block_size) {
            Ok(()) => Ok(file),
            Err(error) if lost(&error) => Err(Refused::Lost),
            Err(error) => Err(Refused::For(not_configured(&path, error, Facts::here()))),
        }
    }

    fn verify(number: u32, file: File, options: LoopOptions) -> Result<Self> {
        let path = node(number);
        let status = status(file.as_fd()).map_err(|error| {
            Error::os(format!("{} has no status after it was configured", path.display()))
                .because(error)
        })?;
        if status.lo_flags & AUTOCLEAR == 0 {
            return Err(Error::os(format!(
                "{} would outlive this process: it is bound without autoclear",
                path.display()
            )));
        }
        if options.direct_io && status.lo_flags & DIRECT_IO == 0 {
            return Err(Error::os(format!("{} is bound without direct I/O", path.display()))
                .advice("the backing file's filesystem must support O_DIRECT at the device's block size"));
        }
        Ok(Self { number, file, identity: identity(&status), _table: PhantomData })
    }

    /// N of `/dev/loopN`.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// `/dev/loopN`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        node(self.number)
    }

    /// Bytes of the device.
    ///
    /// # Errors
    /// If the device went away.
    pub fn bytes(&self) -> io::Result<u64> {
        io::Seek::seek(&mut &self.file, io::SeekFrom::End(0))
    }

    /// Closes the device and waits until it is unbound.
    ///
    /// # Errors
    /// `Os` if something else holds the device open for longer than 2 s.
    pub fn detach(self) -> Result<()> {
        let Self { number, file, identity: ours, .. } = self;
        drop(file);
        for _ in 0..UNBIND.0 {
            if !still_bound(number, ours) {
                return Ok(());
            }
            std::thread::sleep(UNBIND.1);
        }
        Err(Error::os(format!("/dev/loop{number} is still bound after its last close here"))
            .advice(format!("something holds it open: fuser /dev/loop{number}")))
    }
}

impl AsFd for LoopHandle {
    /// For I/O with buffers, offsets and lengths that are whole blocks: it is open with `O_DIRECT`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

enum Refused {
    /// Another process has the device now.
    Lost,
    For(Error),
}

fn lost(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENXIO))
}

fn node(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/loop{number}"))
}

/// Opens `/dev/loop-control`.
pub(super) fn open_control() -> Result<File> {
    Node::loop_control().open()
}

fn identity(status: &loop_info64) -> BackingIdentity {
    BackingIdentity { device: status.lo_device, inode: status.lo_inode }
}

/// Whether device `number` is still bound to our backing file; another process may have it by now.
fn still_bound(number: u32, ours: BackingIdentity) -> bool {
    if !PathBuf::from(format!("/sys/block/loop{number}/loop")).exists() {
        return false;
    }
    let Ok(file) = File::open(node(number)) else {
        return false;
    };
    status(file.as_fd()).is_ok_and(|status| identity(&status) == ours)
}
