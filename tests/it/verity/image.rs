//! `Image`: verity images, made from the description of the format.
//!
//! Key types: [`Image`], [`Format`]. The levels are hashed one by one and laid out at the end; the
//! target computes the positions in the opposite order, so the two share no mistake. `oracle`
//! compares these images with those of the tool.

use sha2::{Digest as _, Sha256};

/// The UUID in the superblock; it is fixed so that the tool's images and ours are equal.
pub(super) const UUID: &str = "00112233-4455-6677-8899-aabbccddeeff";

/// The parameters of an image.
#[derive(Clone, Debug)]
pub(super) struct Format {
    pub(super) hash_type: u32,
    pub(super) data_block: usize,
    pub(super) hash_block: usize,
    pub(super) salt: Vec<u8>,
}

/// The data, the bytes of the hash device, and the root digest.
#[derive(Clone)]
pub(super) struct Image {
    pub(super) data: Vec<u8>,
    pub(super) hash: Vec<u8>,
    pub(super) root: [u8; 32],
}

impl Format {
    /// The usual format, with small blocks.
    pub(super) fn small() -> Self {
        Self { hash_type: 1, data_block: 512, hash_block: 512, salt: b"salt".to_vec() }
    }

    fn digest(&self, block: &[u8]) -> [u8; 32] {
        let parts = if self.hash_type == 1 { [&self.salt, block] } else { [block, &self.salt] };
        Sha256::digest(parts.concat()).into()
    }

    fn superblock(&self, blocks: u64) -> Vec<u8> {
        let uuid = UUID.replace('-', "");
        let uuid =
            (0..16).map(|at| u8::from_str_radix(&uuid[2 * at..2 * at + 2], 16).expect("hex"));
        let small = |size: usize| u32::try_from(size).expect("a block is small").to_le_bytes();
        let mut bytes = b"verity\0\0".to_vec();
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(self.hash_type.to_le_bytes());
        bytes.extend(uuid);
        bytes.extend(b"sha256");
        bytes.resize(64, 0);
        bytes.extend(small(self.data_block));
        bytes.extend(small(self.hash_block));
        bytes.extend(blocks.to_le_bytes());
        bytes.extend(u16::try_from(self.salt.len()).expect("a salt is short").to_le_bytes());
        bytes.resize(88, 0);
        bytes.extend(&self.salt);
        bytes.resize(self.hash_block.max(512), 0);
        bytes
    }

    /// The image of `data`, which is whole blocks.
    pub(super) fn image(&self, data: Vec<u8>) -> Image {
        let mut digests: Vec<[u8; 32]> =
            data.chunks(self.data_block).map(|block| self.digest(block)).collect();
        let mut hash = self.superblock(digests.len() as u64);
        let mut levels = Vec::new();
        while digests.len() > 1 {
            let mut level = Vec::new();
            for digests in digests.chunks(self.hash_block / 32) {
                let mut block = digests.concat();
                block.resize(self.hash_block, 0);
                level.push(block);
            }
            digests = level.iter().map(|block| self.digest(block)).collect();
            levels.push(level.concat());
        }
        hash.extend(levels.into_iter().rev().flatten());
        Image { data, hash, root: digests[0] }
    }
}

/// Pseudo-random bytes.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}
