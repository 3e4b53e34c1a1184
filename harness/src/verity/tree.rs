//! `Tree`: where the digest of a block stands; and what a digest is.
//!
//! Key types: [`Tree`], [`Digest`], [`Slot`]. Level 0 holds the digests of the data blocks, each
//! level above those of the hash blocks below; the block at the top is covered by the root digest
//! alone. On the device the levels stand from the top down. One data block alone has no tree: the
//! root digest is its own.

use sha2::{Digest as _, Sha256};

use super::superblock::{HashType, Superblock};
use crate::error::{Error, Result};

/// Bytes of a digest.
pub const DIGEST_SIZE: usize = 32;

/// A digest.
pub type Digest = [u8; DIGEST_SIZE];

/// Where a digest stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
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
                .ok_or_else(|| Error::corrupt("a verity superblock whose tree ends nowhere"))?;
        }
        Ok(Self { bits, starts, end: next })
    }

    /// How many levels there are.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.starts.len()
    }

    /// The first block behind the tree, on the hash device.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Where `level` holds the digest of what covers data block `block`; at level 0, its own.
    ///
    /// # Panics
    /// If there is no such level.
    #[must_use]
    pub fn slot(&self, level: usize, block: u64) -> Slot {
        let index = block >> (self.bits * u32::try_from(level).expect("few levels"));
        let within = index & ((1 << self.bits) - 1);
        Slot {
            block: self.starts[level] + (index >> self.bits),
            offset: usize::try_from(within).expect("below a block") * DIGEST_SIZE,
        }
    }
}

/// The digest of a block, as `superblock` says that it is made.
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
    fn a_digest_is_found_in_each_level() {
        let tree = Tree::new(&superblock(257, 512), 1).expect("a tree");
        assert_eq!(tree.slot(0, 255), Slot { block: 4 + 15, offset: 15 * 32 });
        assert_eq!(tree.slot(1, 255), Slot { block: 2, offset: 15 * 32 });
        assert_eq!(tree.slot(2, 255), Slot { block: 1, offset: 0 });
        assert_eq!(tree.slot(2, 256), Slot { block: 1, offset: 32 });
    }

    #[test]
    fn a_tree_that_no_device_could_hold_is_refused() {
        assert!(Tree::new(&superblock(1 << 50, 512), 1).is_ok());
        assert!(Tree::new(&superblock(u64::MAX, 512), 1).is_err());
        assert!(Tree::new(&superblock(1 << 50, 512), u64::MAX / 512).is_err());
    }
}
