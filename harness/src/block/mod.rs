//! Block devices and the requests they serve.
//!
//! Key types: [`Bio`], [`BlockDevice`], [`BackingFile`], [`LoopDevice`]. A bio is submitted to a
//! device and completed once, perhaps on another task. Devices in memory and on temp files complete
//! it on the submitter's task; the worker of a loop device serves it with I/O on a [`BackingFile`].
//! Neighbours: `bufio`, `fs` and `verity` submit bios; `host` has devices on real files.
//!
//! | module | holds |
//! |---|---|
//! | `bio` | [`Bio`]: one request and its completion |
//! | `device` | [`BlockDevice`], [`BackingFile`]; submitting a bio and waiting for it |
//! | `memory` | [`MemoryDevice`]: a sparse device in memory |
//! | `file` | [`FileDevice`]: a device on a temp file |
//! | `crash` | [`CrashDevice`]: a disk in memory that can lose power |
//! | `filter` | [`FilterDevice`]: sees each bio before the device below, and may complete it |
//! | `late` | [`LateDevice`]: delays each bio, and completes it on a task of its own |
//! | `plug` | [`Plug`]: bios that are collected and submitted together |
//! | `loop_dev` | [`LoopDevice`]: the loop driver, in process |
//!
//! Locking: leaf locks alone; a completion runs without any lock held.
//!
//! Written from docs/kernel/loop.md, "The worker over time", "Flags of the worker" and "The data
//! path".

mod bio;
mod crash;
mod device;
mod file;
mod filter;
mod late;
mod loop_dev;
mod memory;
mod plug;

pub use bio::{Bio, EndIo};
pub use crash::{Crash, CrashDevice, DiskImage, DiskStep};
pub use device::{BackingFile, BlockDevice, Queue, discard, flush, read_at, write_at};
pub(crate) use device::{read_at_site, write_at_site};
pub use file::FileDevice;
pub use filter::FilterDevice;
pub use late::LateDevice;
pub use loop_dev::LoopDevice;
pub use memory::MemoryDevice;
pub use plug::Plug;
