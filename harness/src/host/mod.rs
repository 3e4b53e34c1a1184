//! The real machine: files, loop devices, FUSE mounts, supervised processes.
//!
//! Key types: [`HostLoop`], [`HostFile`], [`FuseMount`], [`Job`], [`Snapshot`]. Everything here is
//! real and may hang. Two rules keep a hang harmless. *Kill-proof*: a thread that can wait for the
//! stack owns a private file table without `/dev/fuse` (`fd_table` says why), so SIGKILL always
//! ends the process, and with it every device and mount. *Nothing visible*: mounts are detached,
//! loop devices detach at their last close, temp files have no name. So nothing must be cleaned up,
//! and tests can run at the same time.
//!
//! | module | holds |
//! |---|---|
//! | `probe`, `attempt` | [`Capability`]: what this machine can do, found out by trying; [`doctor`] |
//! | `diagnose` | why a node, a mount or a loop device is refused, and what to do |
//! | `fd_table` | threads with a private file table |
//! | `loop_dev`, `loop_ioctl` | [`LoopHandle`]: one real loop device |
//! | `fuse_mount` | [`FuseMount`]: our filesystem, mounted without a mount point |
//! | `device` | [`HostLoop`]: a real loop device as a [`crate::block::BlockDevice`] |
//! | `file` | [`HostFile`]: a real file as a [`crate::block::BlockDevice`] |
//! | `io` | [`IoOptions`]: the pool of threads that serves their requests |
//! | `supervise`, `child` | [`Job`], [`Child`]: a world in a process of its own, with a deadline |
//! | `stacks` | [`ThreadStack`]: where the threads of a stuck process are |
//! | `leaks` | [`Snapshot`]: devices, mounts, cgroups and processes, before and after |
//!
//! Locking: leaf locks alone, none held over a system call.
//!
//! Real time and OS threads are allowed here.

mod attempt;
mod child;
mod device;
mod diagnose;
mod fd_table;
mod file;
mod fuse_mount;
mod io;
mod leaks;
mod loop_dev;
mod loop_ioctl;
mod probe;
mod stacks;
mod supervise;
#[cfg(test)]
mod tests;

pub use child::{Child, thread_name};
pub use device::{Backing, HostLoop};
pub use file::HostFile;
pub use fuse_mount::{ConnectionId, FuseMount};
pub use io::{IoOptions, MAX_IN_FLIGHT};
pub use leaks::{Leftover, Snapshot};
pub use loop_dev::{LoopHandle, LoopOptions};
pub use probe::{Capability, DoctorRow, Missing, doctor, loop_tier, probe, why_not};
pub use stacks::{ThreadStack, stacks};
pub use supervise::{DEADLINE, Job, Running, SupervisedOutcome};
