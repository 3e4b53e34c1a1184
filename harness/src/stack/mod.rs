//! The stack: what to build, as data.
//!
//! | module | holds |
//! |---|---|
//! | [`spec`] | [`StackSpec`]: devices, filesystems, files, loop devices and bufio clients, by name |

pub mod spec;

pub use spec::{BufioSpec, Disk, FsSpec, LoopSpec, StackSpec};
