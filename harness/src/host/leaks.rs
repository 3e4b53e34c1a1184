//! Snapshots of what a run could leave behind: loop devices, mounts, memory cgroups, processes.
//!
//! Key types: [`Snapshot`], [`Leftover`]. Take one before and one after a run. A new entry is a
//! leak, or belongs to another process: each names its owner, so that the caller can recognise its
//! own.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The most directories of a cgroup hierarchy that are read.
const MAX_GROUPS: usize = 4096;

/// Something that outlives the run that made it, unless it is removed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Leftover {
    /// A bound loop device.
    Loop {
        /// `loop3`.
        device: String,
        /// Its backing file as the kernel names it.
        backing: String,
    },
    /// A mount in this process's namespace.
    Mount {
        /// The mount point.
        at: String,
        /// The type of the filesystem and its source.
        what: String,
    },
    /// A memory control group.
    Cgroup(PathBuf),
    /// A child of this process.
    Process {
        /// Its number.
        pid: u32,
        /// Its name.
        comm: String,
    },
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop { device, backing } => write!(f, "loop device {device} on {backing}"),
            Self::Mount { at, what } => write!(f, "mount of {what} at {at}"),
            Self::Cgroup(path) => write!(f, "memory cgroup {}", path.display()),
            Self::Process { pid, comm } => write!(f, "process {pid} ({comm})"),
        }
    }
}

/// All of these at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot(BTreeSet<Leftover>);

impl Snapshot {
    /// Takes a snapshot. What cannot be read is left out, in both snapshots of a pair.
    #[must_use]
    pub fn take() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut found: BTreeSet<Leftover> = mounts.lines().filter_map(mount).collect();
        found.extend(loops());
        found.extend(memory_cgroups(&mounts));
        found.extend(children());
        Self(found)
    }

    /// What is in `after` and was not here.
    #[must_use]
    pub fn diff(&self, after: &Self) -> Vec<Leftover> {
        after.0.difference(&self.0).cloned().collect()
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

fn loops() -> impl Iterator<Item = Leftover> {
    entries(Path::new("/sys/block")).filter_map(|block| {
        let backing = fs::read_to_string(block.join("loop/backing_file")).ok()?;
        let device = block.file_name()?.to_string_lossy().into_owned();
        Some(Leftover::Loop { device, backing: backing.trim_end().to_owned() })
    })
}

/// Reads a line of mountinfo: `id parent dev root at options [tags] - type source options`.
fn mount(line: &str) -> Option<Leftover> {
    let (place, what) = line.split_once(" - ")?;
    let mut what = what.split(' ');
    let (kind, source) = (what.next()?, what.next()?);
    Some(Leftover::Mount {
        at: place.split(' ').nth(4)?.to_owned(),
        what: format!("{kind} from {source}"),
    })
}

/// The groups of every hierarchy that controls memory, version 1 or 2.
fn memory_cgroups(mounts: &str) -> Vec<Leftover> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((place, what)) = line.split_once(" - ") else {
            continue;
        };
        let Some(at) = place.split(' ').nth(4).map(Path::new) else {
            continue;
        };
        let memory = what.starts_with("cgroup ") && at.join("memory.limit_in_bytes").exists()
            || what.starts_with("cgroup2 ") && controls_memory(at);
        if memory {
            let mut to_visit = vec![at.to_owned()];
            while let Some(group) = to_visit.pop() {
                let below: Vec<PathBuf> = entries(&group).filter(|path| path.is_dir()).collect();
                found.extend(below.iter().cloned().map(Leftover::Cgroup));
                to_visit.extend(below);
                if found.len() > MAX_GROUPS {
                    break;
                }
            }
        }
    }
    found
}

/// Whether the cgroup-2 hierarchy at this mount has the memory controller.
pub(super) fn controls_memory(at: &Path) -> bool {
    let controllers = fs::read_to_string(at.join("cgroup.controllers")).unwrap_or_default();
    controllers.split_whitespace().any(|controller| controller == "memory")
}

fn children() -> impl Iterator<Item = Leftover> {
    let lists = entries(Path::new("/proc/self/task"))
        .map(|task| fs::read_to_string(task.join("children")).unwrap_or_default());
    let pids: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    pids.into_iter().map(|pid| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Leftover::Process { pid, comm: comm.trim_end().to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mountinfo_line_gives_place_type_and_source() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let expect = Leftover::Mount { at: "/mnt2".into(), what: "ext3 from /dev/root".into() };
        assert_eq!(mount(line), Some(expect));
    }

    #[test]
    fn only_new_entries_are_leftovers() {
        let process = |pid| Leftover::Process { pid, comm: "x".into() };
        let (before, after) =
            (Snapshot([process(1), process(2)].into()), Snapshot([process(2), process(3)].into()));
        assert_eq!(before.diff(&after), [process(3)]);
    }
}
