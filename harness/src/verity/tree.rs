//! `Tree`: where the digest of a block is, and how a digest is computed.
//!
//! Key types: [`Tree`], [`Digest`], [`DigestSlot`]. Level 0 holds the digests of the data blocks,
//! each level above those of the hash blocks below; the block at the top is covered by the root
//! digest alone. On the device the levels are stored from the top down. An image of one data block
//! has no tree: the root digest is the block's own. No locks.

use sha2::{Digest as _, Sha256};

use super::superblock::{HashType, Superblock};
use crate::error::{Error, Result};

/// Bytes of a digest.
pub const DIGEST_SIZE: usize = 32;

/// A digest.
pub type Digest = [u8; DIGEST_SIZE];

/// Where a digest is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DigestSlot {
    /// The block of the hash device, counted from the device's start.
    pub block: u64,
    /// The byte in it.
    pub offset: usize,
}

/// The shape of an image's tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    /// Log2 of the digests in a hash block.
    bits: u32,
    /// The first block of each level, level 0 first.
    starts: Vec<u64>,
    end: u64,
}

impl Tree {
    /// The tree of `superblock`, whose first hash block is `first` on the hash device.
    ///
    /// # Errors
    /// `Corrupt` if it would end behind the last block that a device can have.
    pub fn new(superblock: &Superblock, first: u64) -> Result<Self> {
        let per_block =
            superblock.hash_block_size / u32::try_from(DIGEST_SIZE).expect("a small number");
        let bits = per_block.ilog2();
        let mut blocks = Vec::new();
        let mut covered = superblock.data_blocks;
        while covered > 1 {
            covered = covered.div_ceil(1 << bits);
            blocks.push(covered);
        }
        let mut next = first;
        let mut starts = vec![0; blocks.len()];
        for (start, count) in starts.iter_mut().zip(&blocks).rev() {
            *start = next;
            next = next
                .checked_add(*count)
                .filter(|next| next.checked_mul(superblock.hash_block_size.into()).is_some())
                .ok_or_else(|| {
                    Error::corrupt("a verity superblock whose tree is larger than any device")
                })?;
        }
        Ok(Self { bits, starts, end: next })
    }

    /// The number of levels.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.starts.len()
    }

    /// The first block behind the tree, on the hash device.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Where `level` holds the digest on the path to data block `block`. At level 0 that is the
    /// digest of the data block itself.
    ///
    /// # Panics
    /// If there is no such level.
    #[must_use]
    pub fn slot(&self, level: usize, block: u64) -> DigestSlot {
        let index = block >> (self.bits * u32::try_from(level).expect("few levels"));
        let within = index & ((1 << self.bits) - 1);
        DigestSlot {
            block: self.starts[level] + (index >> self.bits),
            offset: usize::try_from(within).expect("below a block") * DIGEST_SIZE,
        }
    }
}

/// The digest of a block, with the salt of `superblock`.
#[must_use]
pub fn digest(superblock: &Superblock, block: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    match superblock.hash_type {
        HashType::Normal => {
            hash.update(&superblock.salt);
            hash.update(block);
        }
        HashType::Chromium => {
            hash.update(block);
            hash.update(&superblock.salt);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(data_blocks: u64, hash_block_size: u32) -> Superblock {
        Superblock {
            hash_type: HashType::Normal,
            uuid: [0; 16],
            data_block_size: 512,
            hash_block_size,
            data_blocks,
            salt: Vec::new(),
        }
    }

    #[track_caller]
    fn check(data_blocks: u64, starts: &[u64], end: u64) {
        let tree = Tree::new(&superblock(data_blocks, 512), 1).expect("a tree");
        assert_eq!((&tree.starts[..], tree.end()), (starts, end), "{data_blocks} blocks");
    }

    #[test]
    fn levels_stand_from_the_top_down() {
        check(1, &[], 1);
        check(2, &[1], 2);
        check(16, &[1], 2);
        check(17, &[2, 1], 4);
        check(256, &[2, 1], 18);
        check(257, &[4, 2, 1], 21);
    }

    #[test]
    fn each_level_has_a_digest_on_the_path_to_a_block() {
        let tree = Tree::new(&superblock(257, 512), 1).expect("a tree");
        assert_eq!(tree.slot(0, 255), DigestSlot { block: 4 + 15, offset: 15 * 32 });
        assert_eq!(tree.slot(1, 255), DigestSlot { block: 2, offset: 15 * 32 });
        assert_eq!(tree.slot(2, 255), DigestSlot { block: 1, offset: 0 });
        assert_eq!(tree.slot(2, 256), DigestSlot { block: 1, offset: 32 });
    }

    #[test]
    fn a_tree_that_no_device_could_hold_is_refused() {
        assert!(Tree::new(&superblock(1 << 50, 512), 1).is_ok());
        assert!(Tree::new(&superblock(u64::MAX, 512), 1).is_err());
        assert!(Tree::new(&superblock(1 << 50, 512), u64::MAX / 512).is_err());
    }
}
