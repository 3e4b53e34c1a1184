//! dm-verity: a read-only device whose every block is checked against a tree of digests.
//!
//! A client of [`crate::bufio`], as in the kernel: it only reads, prefetches, and keeps with each
//! cached hash block whether it was checked. Images are those of `veritysetup format`. Written from
//! the format's public description: the superblock and the tree as on the wiki of the cryptsetup
//! project, the target's behaviour as in the kernel's user documentation of dm-verity.
//!
//! | module | holds |
//! |---|---|
//! | [`superblock`] | [`Superblock`]: what the image says of itself |
//! | [`tree`] | [`Tree`]: where the digest of a block stands; [`Digest`] |
//! | `hashes` | the hash device's cache, and which of its blocks were checked |
//! | [`target`] | [`Target`]: reading a data block and walking up the tree; [`Failure`] |
//! | [`device`] | [`VerityDevice`]: the target as a block device |
//!
//! # Locking
//! The cache's lock (held over the read of a missing hash block) > what bufio takes. Reading a data
//! block takes none. No lock is held while a digest is computed.

pub mod device;
mod hashes;
pub mod superblock;
pub mod target;
pub mod tree;

pub use device::VerityDevice;
pub use superblock::{HashType, Superblock};
pub use target::{Failure, Options, Parts, Place, Target, Why};
pub use tree::{Digest, Tree, digest};
