//! Storage stacks: a stack as data, and building it.
//!
//! Key types: [`StackSpec`], [`Stack`], [`LoopBackend`]. A tier chooses how loop devices are made:
//! in process ([`InProcess`]), or real ones through `host`; both are a [`LoopBackend`]. No locks.
//!
//! | module | holds |
//! |---|---|
//! | `spec` | [`StackSpec`]: devices, filesystems, loop devices, clients, by name |
//! | `setters` | constructors and setters of the specs |
//! | `builder` | [`Stack`]: builds a stack, and takes it down in the right order |
//! | `limits` | sizes that are refused by name before anything is built |
//! | `named` | the parts by name, and the errors where a name is wrong |
//! | `swap` | swap areas in memory, on a device, in a file |

mod builder;
mod limits;
mod named;
mod setters;
mod spec;
mod swap;

pub use builder::{InProcess, LoopBackend, Parts, Stack};
pub(crate) use limits::check as check_sizes;
pub use spec::{BufioSpec, Disk, FsSpec, LoopSpec, MemorySpec, MetadataSpec, StackSpec, SwapSpec};
