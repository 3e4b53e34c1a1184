//! dm-verity: a read-only device whose every block is checked against a tree of digests.
//!
//! Key types: [`Target`], [`VerityDevice`], [`Superblock`], [`Tree`]. A client of [`crate::bufio`],
//! as in the kernel: it reads and prefetches hash blocks, and keeps with each cached block whether
//! it was checked. It reads images of `veritysetup format`. Written from the format's public
//! description: the superblock and the tree as on the wiki of the cryptsetup project, the target's
//! behaviour as in the kernel's user documentation of dm-verity.
//!
//! | module | holds |
//! |---|---|
//! | `superblock` | [`Superblock`]: the image's description of itself |
//! | `tree` | [`Tree`]: where the digest of a block is; [`Digest`] |
//! | `hashes` | the hash device's cache, and which of its blocks were checked |
//! | `target` | [`Target`]: reading and checking a data block; [`Failure`] |
//! | `device` | [`VerityDevice`]: the target as a block device |
//!
//! Locking: dm-bufio's locks, taken in its calls; leaf locks (a device's FIFO, a target's
//! failures).
//!
//! Reading a data block takes no lock, and none is held while a digest is computed.

mod device;
mod hashes;
mod superblock;
mod target;
mod tree;

pub use device::VerityDevice;
pub use superblock::{HashType, SUPERBLOCK_SIZE, Superblock};
pub use target::{
    FailedBlock, Failure, FailureReason, MAX_FAILURES, Target, TargetOptions, TargetParts,
};
pub use tree::{DIGEST_SIZE, Digest, DigestSlot, Tree, digest};
