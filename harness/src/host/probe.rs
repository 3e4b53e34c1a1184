//! The capabilities of this machine, found out by trying each.
//!
//! Key types: [`Capability`], [`Missing`], [`DoctorRow`]. A device node may exist and not open; a
//! controller may be listed and not mounted. So each probe tries the capability itself, and removes
//! what it made. One table says for each capability how it is tried and what to do if it is
//! missing; the loop tier, the test listing and `doctor` read it. No locks.

use std::fmt;

use super::attempt;
use crate::error::Result;

/// Something that a tier needs of the machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Capability {
    /// The process is root.
    Root,
    /// The kernel offers a free loop device.
    LoopControl,
    /// A loop device can be bound with `LOOP_CONFIGURE`, and unbinds itself (AUTOCLEAR).
    LoopConfigure,
    /// `/dev/fuse` opens.
    Fuse,
    /// A FUSE filesystem can be mounted detached.
    MountApi,
    /// `mkfs.ext4` is installed.
    E2fsprogs,
    /// `veritysetup` is installed.
    Veritysetup,
    /// Memory can be limited, by control groups of version 1.
    MemcgV1,
    /// Memory can be limited, by control groups of version 2.
    MemcgV2,
    /// The kernel's trace events can be read.
    Tracefs,
}

/// The table's row for a capability.
struct ProbeEntry {
    capability: Capability,
    name: &'static str,
    /// Whether the loop tier needs it.
    required: bool,
    attempt: fn() -> Result<()>,
    /// What to do where the error of the attempt does not say it.
    remedy: &'static str,
}

const TABLE: &[ProbeEntry] = &[
    ProbeEntry {
        capability: Capability::Root,
        name: "root",
        required: true,
        attempt: attempt::root,
        remedy: "run the tests as root, for example under sudo -E",
    },
    ProbeEntry {
        capability: Capability::LoopControl,
        name: "loop-control",
        required: true,
        attempt: attempt::loop_control,
        remedy: "modprobe loop; in a container pass --device /dev/loop-control",
    },
    ProbeEntry {
        capability: Capability::LoopConfigure,
        name: "loop-configure",
        required: true,
        attempt: attempt::loop_configure,
        remedy: "needs Linux 5.8 or later and nodes /dev/loop0 and up (mknod /dev/loopN b 7 N)",
    },
    ProbeEntry {
        capability: Capability::Fuse,
        name: "fuse",
        required: true,
        attempt: attempt::fuse,
        remedy: "modprobe fuse; in a container pass --device /dev/fuse",
    },
    ProbeEntry {
        capability: Capability::MountApi,
        name: "mount-api",
        required: true,
        attempt: attempt::mount_api,
        remedy: "needs CAP_SYS_ADMIN and Linux 5.2 or later; allow fsopen in the seccomp filter",
    },
    ProbeEntry {
        capability: Capability::E2fsprogs,
        name: "e2fsprogs",
        required: false,
        attempt: attempt::e2fsprogs,
        remedy: "install e2fsprogs to put the kernel's ext4 into a stack",
    },
    ProbeEntry {
        capability: Capability::Veritysetup,
        name: "veritysetup",
        required: false,
        attempt: attempt::veritysetup,
        remedy: "install cryptsetup-bin to compare the verity target with the real tool",
    },
    ProbeEntry {
        capability: Capability::MemcgV1,
        name: "memcg-v1",
        required: false,
        attempt: attempt::memcg_v1,
        remedy: "needed only to limit memory of the real kernel; v1 or v2 is enough",
    },
    ProbeEntry {
        capability: Capability::MemcgV2,
        name: "memcg-v2",
        required: false,
        attempt: attempt::memcg_v2,
        remedy: "needed only to limit memory of the real kernel; v1 or v2 is enough",
    },
    ProbeEntry {
        capability: Capability::Tracefs,
        name: "tracefs",
        required: false,
        attempt: attempt::tracefs,
        remedy: "needed only to record trace events: a kernel with CONFIG_TRACING",
    },
];

/// A capability that this machine lacks.
#[derive(Debug)]
pub struct Missing {
    /// The capability.
    pub capability: Capability,
    /// The error of its probe: what is wrong, and what to do about it.
    pub reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.capability.name(), self.reason)
    }
}

impl core::error::Error for Missing {}

impl Capability {
    /// Every capability, in the order in which `doctor` shows them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.capability)
    }

    fn entry(self) -> &'static ProbeEntry {
        TABLE
            .iter()
            .find(|entry| entry.capability == self)
            .expect("every capability is in the table")
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
/// The capability is missing; the error says why, and what to do.
pub fn probe(capability: Capability) -> Result<(), Missing> {
    let entry = capability.entry();
    (entry.attempt)()
        .map_err(|error| Missing { capability, reason: error.or_advice(entry.remedy).to_string() })
}

/// Tries everything that the loop tier needs.
///
/// # Errors
/// Every capability that is missing.
pub fn loop_tier() -> Result<(), Vec<Missing>> {
    let required = TABLE.iter().filter(|entry| entry.required);
    let missing: Vec<Missing> =
        required.filter_map(|entry| probe(entry.capability).err()).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Why the loop tier cannot run, in one line: the first missing capability, which the others often
/// need, and how many more are missing.
#[must_use]
pub fn why_not(missing: &[Missing]) -> String {
    let Some((first, others)) = missing.split_first() else {
        return "nothing is missing".to_owned();
    };
    match others.len() {
        0 => first.to_string(),
        more => format!("{first}, and {more} more that `cargo reclaimdep doctor` lists"),
    }
}

/// A line of `doctor`.
#[derive(Debug)]
pub struct DoctorRow {
    /// The capability's name.
    pub name: &'static str,
    /// Whether the loop tier needs it.
    pub required: bool,
    /// The error, if it is missing.
    pub missing: Option<Missing>,
}

/// Tries every capability.
#[must_use]
pub fn doctor() -> Vec<DoctorRow> {
    let row = |entry: &ProbeEntry| DoctorRow {
        name: entry.name,
        required: entry.required,
        missing: probe(entry.capability).err(),
    };
    TABLE.iter().map(row).collect()
}
