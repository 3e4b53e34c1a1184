//! Stand-ins for what a stack has and the harness has no port of.
//!
//! Key types: [`Flag`], [`Count`], [`Space`], [`Device`], [`Cache`], [`Filesystem`]. Each is built
//! on the primitives of the scheduler, so every judge sees its waits, and a schedule can be
//! explored and replayed. What a stand-in does when it is called is a closure of the user's.
//! Neighbours: the case language gives each of them a word.
//!
//! | module | holds |
//! |---|---|
//! | `flag` | [`Flag`]: a boolean with waiters |
//! | `count` | [`Count`]: a number with waiters for zero |
//! | `space` | [`Space`]: units that are reserved, first come first served |
//! | `device` | [`Device`]: whatever serves requests or calls |
//! | `cache` | [`Cache`]: a cache with a shrinker |
//! | `filesystem` | [`Filesystem`]: a filesystem of inodes, over the superblock shrinker |
//!
//! Locking: leaf locks, held over no wait and no call of the user's.

mod cache;
mod count;
mod device;
mod filesystem;
mod flag;
mod space;

pub use cache::{Cache, CacheOps};
pub use count::Count;
pub use device::{Device, DeviceOps, DeviceOptions, Server};
pub use filesystem::{Evictor, Filesystem};
pub use flag::Flag;
pub use space::{Nested, Space};

#[cfg(test)]
mod tests;
