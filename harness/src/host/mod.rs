//! The real machine: loop devices, FUSE mounts, supervised processes, and what may be left behind.
//!
//! Everything here is real and therefore may hang. Two rules keep a hang harmless. *Kill-proof*: a
//! thread that can wait for the stack owns a private file table without `/dev/fuse`
//! ([`fd_table`] says why), so SIGKILL always ends the process and with it every device and mount.
//! *Nothing visible*: mounts are detached, loop devices detach at last close, temp files have no
//! name; so there is nothing to clean up and tests need not take turns.
//!
//! | module | holds |
//! |---|---|
//! | [`probe`], `attempt` | what this machine can do, found out by trying; the rows of `doctor` |
//! | [`fd_table`] | threads with a private file table |
//! | [`loop_dev`], `loop_ioctl` | [`LoopHandle`]: one real loop device |
//! | [`fuse_mount`] | [`FuseMount`]: our filesystem in the kernel's eyes, without a mount point |
//! | [`device`] | [`HostLoop`]: a real loop device as a [`crate::block::BlockDevice`] |
//! | [`file`](mod@file) | [`HostFile`]: a real file as a [`crate::block::BlockDevice`] |
//! | [`io`] | the pool of threads that serves their requests |
//! | [`supervise`], [`child`] | a world in a process of its own, with a deadline |
//! | [`stacks`] | where the threads of a stuck process are |
//! | [`leaks`] | [`Snapshot`]: what is there before and after |
//!
//! Real time and OS threads are allowed here. Locking: leaf locks alone, none held over a system
//! call.

mod attempt;
pub mod child;
pub mod device;
pub mod fd_table;
pub mod file;
pub mod fuse_mount;
pub mod io;
pub mod leaks;
pub mod loop_dev;
mod loop_ioctl;
pub mod probe;
pub mod stacks;
pub mod supervise;
#[cfg(test)]
mod tests;

pub use child::Child;
pub use device::{Backing, HostLoop};
pub use file::HostFile;
pub use fuse_mount::{ConnectionId, FuseMount};
pub use io::IoOptions;
pub use leaks::Snapshot;
pub use loop_dev::{LoopHandle, LoopOptions};
pub use probe::{Capability, Missing, loop_tier};
pub use stacks::ThreadStack;
pub use supervise::{Job, Outcome, Running};
