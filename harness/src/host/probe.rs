//! What this machine can do, found out by doing it.
//!
//! Key types: [`Capability`], [`Missing`], [`Row`]. A node that exists may not open, a controller
//! that is listed may not be mounted: so each probe does the thing, on objects that are gone when
//! it returns. One table says for each capability how it is tried and what to do where it is
//! missing; the loop tier, the test listing and `doctor` read it.

use std::fmt;

use super::attempt;
use crate::error::Result;

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
    /// `veritysetup` is installed.
    Veritysetup,
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
        attempt: attempt::root,
        remedy: "run the tests as root, for example under sudo -E",
    },
    Entry {
        capability: Capability::LoopControl,
        name: "loop-control",
        required: true,
        attempt: attempt::loop_control,
        remedy: "modprobe loop; in a container pass --device /dev/loop-control",
    },
    Entry {
        capability: Capability::LoopConfigure,
        name: "loop-configure",
        required: true,
        attempt: attempt::loop_configure,
        remedy: "needs Linux 5.8 or later and nodes /dev/loop0 and up (mknod /dev/loopN b 7 N)",
    },
    Entry {
        capability: Capability::Fuse,
        name: "fuse",
        required: true,
        attempt: attempt::fuse,
        remedy: "modprobe fuse; in a container pass --device /dev/fuse",
    },
    Entry {
        capability: Capability::MountApi,
        name: "mount-api",
        required: true,
        attempt: attempt::mount_api,
        remedy: "needs CAP_SYS_ADMIN and Linux 5.2 or later; allow fsopen in the seccomp filter",
    },
    Entry {
        capability: Capability::E2fsprogs,
        name: "e2fsprogs",
        required: false,
        attempt: attempt::e2fsprogs,
        remedy: "install e2fsprogs to put the kernel's ext4 into a stack",
    },
    Entry {
        capability: Capability::Veritysetup,
        name: "veritysetup",
        required: false,
        attempt: attempt::veritysetup,
        remedy: "install cryptsetup-bin to compare the verity target with the real tool",
    },
    Entry {
        capability: Capability::MemcgV1,
        name: "memcg-v1",
        required: false,
        attempt: attempt::memcg_v1,
        remedy: "one of memcg-v1 and memcg-v2 is enough for the kernel tier",
    },
    Entry {
        capability: Capability::MemcgV2,
        name: "memcg-v2",
        required: false,
        attempt: attempt::memcg_v2,
        remedy: "one of memcg-v1 and memcg-v2 is enough for the kernel tier",
    },
    Entry {
        capability: Capability::Tracefs,
        name: "tracefs",
        required: false,
        attempt: attempt::tracefs,
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
/// What it ran into, and what to do.
pub fn probe(capability: Capability) -> Result<(), Missing> {
    let entry = capability.entry();
    (entry.attempt)().map_err(|error| Missing {
        capability,
        reason: error.to_string(),
        remedy: entry.remedy,
    })
}

/// Tries everything that the loop tier needs.
///
/// # Errors
/// All that is missing.
pub fn loop_tier() -> Result<(), Vec<Missing>> {
    let required = TABLE.iter().filter(|entry| entry.required);
    let missing: Vec<Missing> =
        required.filter_map(|entry| probe(entry.capability).err()).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Why the loop tier cannot run, in one line: the first thing that is missing, which the others
/// often follow from, and how many there are.
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
