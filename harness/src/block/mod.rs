//! Block devices and the requests they serve.
//!
//! A bio is submitted to a device and completed once, by whoever serves it, perhaps on another
//! task. Devices below are memory and temp files (they complete in the submitter) and the loop
//! device (a worker serves it, on top of a [`BackingFile`]).
//!
//! | module | holds |
//! |---|---|
//! | [`bio`] | [`Bio`]: one request and its completion |
//! | [`device`] | [`BlockDevice`], [`BackingFile`]; submitting and waiting |
//! | [`memory`] | a device in memory, sparse |
//! | [`file`](mod@file) | a device on a temp file |
//! | [`filter`] | a device that looks at each request before it passes it on |
//! | [`late`] | a device that takes its time, and completes on a task of its own |
//! | [`plug`] | [`Plug`]: requests that are collected and submitted together |
//! | [`loop_dev`] | the loop driver, in process |
//!
//! Locking: none above leaf locks; completions run without any lock held.
//! Written from the project's description of the loop driver, sections 2.1-2.3.

pub mod bio;
pub mod device;
pub mod file;
pub mod filter;
pub mod late;
pub mod loop_dev;
pub mod memory;
pub mod plug;

pub use bio::{Bio, EndIo};
pub use device::{BackingFile, BlockDevice, Queue, discard, flush, read_at, write_at};
pub use file::FileDevice;
pub use filter::FilterDevice;
pub use late::LateDevice;
pub use loop_dev::LoopDevice;
pub use memory::MemoryDevice;
pub use plug::Plug;
