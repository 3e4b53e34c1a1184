//! Stacks: what to build, as data, and building it.
//!
//! | module | holds |
//! |---|---|
//! | [`spec`] | [`StackSpec`]: devices, filesystems, loop devices, clients, by name |
//! | `setters` | how a spec is written in Rust |
//! | [`builder`] | [`Stack`]: the built thing, and taking it down in the right order |
//! | `named` | the parts by name |
//! | `swap` | swap areas on memory, on a device, in a file |
//!
//! How a loop device comes to be is the tier's business: in process here ([`InProcess`]), a real
//! one through `host`; both are a [`LoopBackend`].

pub mod builder;
mod named;
mod setters;
pub mod spec;
mod swap;

pub use builder::{InProcess, LoopBackend, Parts, Stack};
pub use spec::{BufioSpec, Disk, FsSpec, LoopSpec, MemorySpec, Metadata, StackSpec, SwapSpec};
