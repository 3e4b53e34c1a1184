//! Why the machine refuses something: from an error number, and from what is there, to a sentence
//! and what to do.
//!
//! Key types: [`Node`], a device node as it should be; [`Facts`], what this process is allowed. An
//! error number alone misleads: a plain file over `/dev/fuse` opens, and the mount then fails as if
//! a privilege were missing. So a node is looked at before it is opened. No locks.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use crate::error::{Error, Result, visible_os};

/// `CAP_SYS_ADMIN` in a word of capabilities.
const SYS_ADMIN: u64 = 1 << 21;
/// The map of the first user namespace, in which root is root.
const FIRST_NAMESPACE: [&str; 3] = ["0", "0", "4294967295"];

/// A device node as it should be.
#[derive(Clone, Debug)]
pub(super) struct Node {
    path: PathBuf,
    is_block: bool,
    number: (u32, u32),
    /// The kernel module behind it.
    module: &'static str,
}

/// What this process is, and what the kernel has, as far as a diagnosis needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) is_root: bool,
    pub(super) sys_admin: bool,
    /// A filter decides about its system calls.
    pub(super) seccomp: bool,
    /// Its root is that of a user namespace.
    pub(super) user_namespace: bool,
}

impl Facts {
    /// Those of this process.
    pub(super) fn here() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let capabilities =
            field("CapEff:").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self {
            is_root: rustix::process::geteuid().is_root(),
            // Where /proc is not there, the kernel's own answer stands.
            sys_admin: capabilities.is_none_or(|word| word & SYS_ADMIN != 0),
            seccomp: field("Seccomp:").is_some_and(|mode| mode.trim() != "0"),
            user_namespace: !map.is_empty() && !map.split_whitespace().eq(FIRST_NAMESPACE),
        }
    }
}

impl Node {
    /// `/dev/fuse`.
    pub(super) fn fuse() -> Self {
        Self { path: "/dev/fuse".into(), is_block: false, number: (10, 229), module: "fuse" }
    }

    /// `/dev/loop-control`.
    pub(super) fn loop_control() -> Self {
        let path = "/dev/loop-control".into();
        Self { path, is_block: false, number: (10, 237), module: "loop" }
    }

    /// `/dev/loopN`. Its minor number is N, unless the driver keeps numbers for partitions.
    pub(super) fn loop_device(number: u32) -> Self {
        let told = fs::read_to_string(format!("/sys/block/loop{number}/dev")).unwrap_or_default();
        let told = told
            .trim()
            .split_once(':')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let path = format!("/dev/loop{number}").into();
        Self { path, is_block: true, number: told.unwrap_or((7, number)), module: "loop" }
    }

    /// Opens it for reading and writing.
    ///
    /// # Errors
    /// Environment: what is wrong with it.
    pub(super) fn open(&self) -> Result<File> {
        self.check()?;
        let opened = OpenOptions::new().read(true).write(true).open(&self.path);
        opened.map_err(|error| self.refused(error, Facts::here()))
    }

    /// Whether the node is what it should be; it is not opened.
    ///
    /// # Errors
    /// Environment: nothing is there, or something else is.
    pub(super) fn check(&self) -> Result<()> {
        let found = fs::metadata(&self.path);
        let found = found.map_err(|error| self.refused(error, Facts::here()))?;
        let device = found.rdev();
        let number = (major(device), minor(device));
        let kind = found.file_type();
        let right_kind = if self.is_block { kind.is_block_device() } else { kind.is_char_device() };
        if right_kind && number == self.number {
            return Ok(());
        }
        let is_device = kind.is_block_device() || kind.is_char_device();
        let number = if is_device { format!(" {}:{}", number.0, number.1) } else { String::new() };
        let what = format!("{} is {}{number}, not {}", self.shown(), named(kind), self.should_be());
        Err(Error::environment(what).advice(format!(
            "something is in its place: umount {}, or remove it, and {}",
            self.shown(),
            self.make()
        )))
    }

    /// Why it could not be looked at or opened.
    pub(super) fn refused(&self, error: io::Error, facts: Facts) -> Error {
        let (path, module) = (self.shown(), self.module);
        let pass = format!("in a container pass --device {path}");
        let (what, advice) = match error.raw_os_error() {
            Some(libc::ENOENT) => (
                format!("there is no {path}"),
                format!("modprobe {module}, or {}; {pass}", self.make()),
            ),
            Some(libc::ENODEV | libc::ENXIO) => {
                (format!("no driver is behind {path}"), format!("modprobe {module}"))
            }
            Some(libc::EACCES) if !facts.is_root => (
                format!("this user may not open {path}"),
                "run as root, for example under sudo -E".to_owned(),
            ),
            Some(libc::EACCES | libc::EPERM) if facts.user_namespace => (
                format!("root of a user namespace may not open {path}"),
                "run as the root of the machine, not in a rootless container".to_owned(),
            ),
            Some(libc::EACCES) => (
                format!("root may not open {path}"),
                "its filesystem is mounted with nodev, or a security module refuses it".to_owned(),
            ),
            Some(libc::EPERM) => (
                format!("the device list of this control group refuses {path}"),
                format!("{pass}, or allow {} in that list", self.should_be()),
            ),
            Some(libc::EMFILE | libc::ENFILE) => (format!("cannot open {path}"), too_many_files()),
            _ => (format!("cannot open {path}"), format!("modprobe {module}; {pass}")),
        };
        Error::environment(what).because(error).advice(advice)
    }

    fn shown(&self) -> String {
        visible_os(&self.path)
    }

    fn should_be(&self) -> String {
        let (kind, (major, minor)) =
            (if self.is_block { "block" } else { "character" }, self.number);
        format!("the {kind} device {major}:{minor}")
    }

    fn make(&self) -> String {
        let (kind, (major, minor)) = (if self.is_block { 'b' } else { 'c' }, self.number);
        format!("mknod {} {kind} {major} {minor}", self.shown())
    }

    /// The same node at another place, for tests.
    #[cfg(test)]
    pub(super) fn at(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.path);
        self
    }
}

/// What a file is, in words.
fn named(kind: FileType) -> &'static str {
    if kind.is_char_device() {
        "the character device"
    } else if kind.is_block_device() {
        "the block device"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a regular file"
    }
}

fn too_many_files() -> String {
    "too many files are open: raise ulimit -n, or sysctl fs.file-max".to_owned()
}

/// Why a filesystem of type `kind` could not be mounted detached.
pub(super) fn mount_refused(kind: &str, error: io::Error, facts: Facts) -> Error {
    let (what, advice) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !facts.sys_admin => (
            format!("this process has no CAP_SYS_ADMIN, so it may not mount {kind}"),
            "run as root; in a container pass --cap-add SYS_ADMIN".to_owned(),
        ),
        Some(libc::EPERM | libc::EACCES) if facts.seccomp => (
            format!("a seccomp filter may refuse to mount {kind}"),
            "allow fsopen, fsconfig and fsmount in the container's seccomp filter".to_owned(),
        ),
        Some(libc::EPERM | libc::EACCES) if facts.user_namespace => (
            format!("root of a user namespace may not mount {kind} here"),
            "run as the root of the machine, not in a rootless container".to_owned(),
        ),
        Some(libc::EPERM | libc::EACCES) => (
            format!("the kernel refuses to mount {kind}"),
            "a security module may refuse it: see dmesg".to_owned(),
        ),
        Some(libc::ENOSYS) if facts.seccomp => (
            "there is no fsopen".to_owned(),
            "allow it in the container's seccomp filter; it needs Linux 5.2 or later".to_owned(),
        ),
        Some(libc::ENOSYS) => {
            ("there is no fsopen".to_owned(), "use Linux 5.2 or later".to_owned())
        }
        Some(libc::ENODEV) => (
            format!("the kernel has no filesystem {kind}"),
            format!("modprobe {kind}, or use a kernel that was built with it"),
        ),
        Some(libc::EMFILE | libc::ENFILE) => (format!("cannot mount {kind}"), too_many_files()),
        Some(libc::ENOSPC) => (
            "there are too many mounts".to_owned(),
            "unmount some, or raise sysctl fs.mount-max".to_owned(),
        ),
        _ => (
            format!("cannot mount {kind} detached"),
            "it needs Linux 5.2 or later and CAP_SYS_ADMIN".to_owned(),
        ),
    };
    Error::environment(what).because(error).advice(advice)
}

/// Why the kernel offers no loop device.
pub(super) fn no_free_loop(error: io::Error) -> Error {
    let (what, advice) = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EBUSY) => (
            "every loop device is in use",
            "detach some, which losetup -l lists, or raise max_loop of the module loop",
        ),
        Some(libc::ENODEV | libc::ENXIO) => ("the module loop is not there", "modprobe loop"),
        Some(libc::EPERM | libc::EACCES) => {
            ("this process may not ask for a loop device", "run as root with CAP_SYS_ADMIN")
        }
        Some(libc::ENOMEM) => ("the kernel has no memory for a loop device", "free some memory"),
        _ => ("no loop device is free", "see losetup -l and dmesg"),
    };
    Error::environment(what).because(error).advice(advice)
}

/// Why `LOOP_CONFIGURE` failed on `device`.
pub(super) fn not_configured(device: &Path, error: io::Error, facts: Facts) -> Error {
    let what = format!("cannot configure {}", visible_os(device));
    let (error_of, advice): (fn(String) -> Error, _) = match error.raw_os_error() {
        Some(libc::ENOTTY | libc::EINVAL) => {
            (Error::os, "LOOP_CONFIGURE needs Linux 5.8 or later, and a file that can be read")
        }
        Some(libc::EPERM | libc::EACCES) if !facts.sys_admin => {
            (Error::environment, "it needs CAP_SYS_ADMIN; in a container pass --cap-add SYS_ADMIN")
        }
        Some(libc::EPERM | libc::EACCES) => {
            (Error::environment, "a security module may refuse it: see dmesg")
        }
        _ => (Error::os, "see dmesg"),
    };
    error_of(what).because(error).advice(advice)
}
