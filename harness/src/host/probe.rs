//! What this machine can do, found out by doing it.
//!
//! Key types: [`Capability`], [`Missing`], [`Row`]. A node that exists may not open, a controller
//! that is listed may not be mounted: so each probe does the thing, on objects that are gone when it
//! returns. One table says for each capability how it is tried and what to do where it is missing;
//! the loop tier, the test listing and `doctor` read it.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::fuse_mount::{mount_detached, open_device};
use super::leaks::controls_memory;
use super::loop_dev::{LoopHandle, LoopOptions, free_number, open_control};
use crate::error::{Error, Result};

/// Something that a tier needs of the machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Capability {
    /// The process is root.
    Root,
    /// A free loop device can be had.
    LoopControl,
    /// A loop device can be bound in one step, and unbinds itself.
    LoopConfigure,
    /// `/dev/fuse` opens.
    Fuse,
    /// A FUSE filesystem can be mounted detached.
    MountApi,
    /// `mkfs.ext4` is installed.
    E2fsprogs,
    /// Memory can be limited, by control groups of version 1.
    MemcgV1,
    /// Memory can be limited, by control groups of version 2.
    MemcgV2,
    /// The kernel's trace events can be read.
    Tracefs,
}

/// What the table holds of a capability.
struct Entry {
    capability: Capability,
    name: &'static str,
    /// Whether the loop tier cannot do without.
    required: bool,
    attempt: fn() -> Result<()>,
    remedy: &'static str,
}

const TABLE: &[Entry] = &[
    Entry {
        capability: Capability::Root,
        name: "root",
        required: true,
        attempt: root,
        remedy: "run the tests as root, for example under sudo -E",
    },
    Entry {
        capability: Capability::LoopControl,
        name: "loop-control",
        required: true,
        attempt: loop_control,
        remedy: "modprobe loop; in a container pass --device /dev/loop-control",
    },
    Entry {
        capability: Capability::LoopConfigure,
        name: "loop-configure",
        required: true,
        attempt: loop_configure,
        remedy: "needs Linux 5.8 or later and nodes /dev/loop0 and up (mknod /dev/loopN b 7 N)",
    },
    Entry {
        capability: Capability::Fuse,
        name: "fuse",
        required: true,
        attempt: fuse,
        remedy: "modprobe fuse; in a container pass --device /dev/fuse",
    },
    Entry {
        capability: Capability::MountApi,
        name: "mount-api",
        required: true,
        attempt: mount_api,
        remedy: "needs CAP_SYS_ADMIN and Linux 5.2 or later; allow fsopen in the seccomp filter",
    },
    Entry {
        capability: Capability::E2fsprogs,
        name: "e2fsprogs",
        required: false,
        attempt: e2fsprogs,
        remedy: "install e2fsprogs to put the kernel's ext4 into a stack",
    },
    Entry {
        capability: Capability::MemcgV1,
        name: "memcg-v1",
        required: false,
        attempt: memcg_v1,
        remedy: "one of memcg-v1 and memcg-v2 is enough for the kernel tier",
    },
    Entry {
        capability: Capability::MemcgV2,
        name: "memcg-v2",
        required: false,
        attempt: memcg_v2,
        remedy: "one of memcg-v1 and memcg-v2 is enough for the kernel tier",
    },
    Entry {
        capability: Capability::Tracefs,
        name: "tracefs",
        required: false,
        attempt: tracefs,
        remedy: "the kernel tier needs a kernel with CONFIG_TRACING",
    },
];

/// A capability that this machine lacks.
#[derive(Debug)]
pub struct Missing {
    /// Which.
    pub capability: Capability,
    /// What its probe ran into.
    pub reason: String,
    /// How to get it.
    pub remedy: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.capability.name(), self.reason, self.remedy)
    }
}

impl core::error::Error for Missing {}

impl Capability {
    /// Every capability, in the order in which `doctor` shows them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.capability)
    }

    fn entry(self) -> &'static Entry {
        TABLE.iter().find(|entry| entry.capability == self).expect("every capability is in the table")
    }

    /// Its name in `doctor` and in skip messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }
}

/// Tries one capability.
///
/// # Errors
/// What it ran into, and what to do.
pub fn probe(capability: Capability) -> Result<(), Missing> {
    let entry = capability.entry();
    (entry.attempt)().map_err(|error| Missing { capability, reason: error.to_string(), remedy: entry.remedy })
}

/// Tries everything that the loop tier needs.
///
/// # Errors
/// All that is missing.
pub fn loop_tier() -> Result<(), Vec<Missing>> {
    let required = TABLE.iter().filter(|entry| entry.required);
    let missing: Vec<Missing> = required.filter_map(|entry| probe(entry.capability).err()).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// A line of `doctor`.
#[derive(Debug)]
pub struct Row {
    /// The capability's name.
    pub name: &'static str,
    /// Whether the loop tier cannot do without it.
    pub required: bool,
    /// What is wrong, where something is.
    pub missing: Option<Missing>,
}

/// Tries everything.
#[must_use]
pub fn doctor() -> Vec<Row> {
    let row = |entry: &Entry| Row {
        name: entry.name,
        required: entry.required,
        missing: probe(entry.capability).err(),
    };
    TABLE.iter().map(row).collect()
}

fn root() -> Result<()> {
    let user = rustix::process::geteuid();
    if user.is_root() { Ok(()) } else { Err(Error::environment(format!("runs as user {}", user.as_raw()))) }
}

fn loop_control() -> Result<()> {
    let control = open_control()?;
    free_number(control.as_fd())
        .map(drop)
        .map_err(|error| Error::environment("the kernel offers no loop device").because(error))
}

fn loop_configure() -> Result<()> {
    let memory = || -> rustix::io::Result<OwnedFd> {
        let file = memfd_create("reclaimdep-probe", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&file, 1 << 16)?;
        Ok(file)
    };
    let file =
        memory().map_err(|error| Error::environment("no file in memory can be made").because(error))?;
    LoopHandle::attach(file.as_fd(), LoopOptions { direct_io: false, block_size: 0 })?.detach()
}

fn fuse() -> Result<()> {
    open_device().map(drop)
}

fn mount_api() -> Result<()> {
    let device = open_device()?;
    let mount = mount_detached(device.as_fd(), "reclaimdep-probe")?;
    // Nobody answers this mount: the connection goes first, so that the unmount waits for nobody.
    drop(device);
    drop(mount);
    Ok(())
}

fn e2fsprogs() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/sbin", "/usr/sbin"].map(Into::into);
    let found = std::env::split_paths(&path).chain(system).any(|dir| dir.join("mkfs.ext4").is_file());
    if found { Ok(()) } else { Err(Error::environment("mkfs.ext4 is not in PATH")) }
}

fn cgroup_at(kind: &str, controls: impl Fn(&Path) -> bool) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_kind = mounts.lines().filter_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        what.starts_with(&format!("{kind} ")).then(|| place.split(' ').nth(4))?
    });
    if of_kind.map(Path::new).any(controls) {
        return Ok(());
    }
    Err(Error::environment(format!("no mounted {kind} hierarchy controls memory")))
}

fn memcg_v1() -> Result<()> {
    cgroup_at("cgroup", |at| at.join("memory.limit_in_bytes").exists())
}

fn memcg_v2() -> Result<()> {
    cgroup_at("cgroup2", controls_memory)
}

fn tracefs() -> Result<()> {
    let mount = || -> rustix::io::Result<()> {
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        rustix::fs::accessat(&root, "events/vmscan", rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty())
    };
    mount().map_err(|error| {
        Error::environment("tracefs cannot be mounted, or has no vmscan events").because(error)
    })
}
