//! `Superblock`: a verity image's description of itself.
//!
//! Key types: [`Superblock`], [`HashType`]. Nothing here is secret or trusted: a changed superblock
//! leads to another tree, whose root is not the one that the caller trusts. For bytes that cannot
//! be a superblock the error names the field. No locks.

use crate::error::{Error, Result};

/// Bytes of a superblock on the hash device.
pub const SUPERBLOCK_SIZE: usize = 512;
const SIGNATURE: &[u8; 8] = b"verity\0\0";
const VERSION: u32 = 1;
/// The only digest algorithm that is supported.
const ALGORITHM: &str = "sha256";
/// Bytes of the longest salt.
const MAX_SALT: usize = 256;
/// Bytes of the smallest and the largest block.
const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=(512 << 10);

/// How digests are made and stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashType {
    /// The salt follows the block (0, the original format of Chromium OS).
    Chromium,
    /// The salt comes first (1).
    Normal,
}

/// A verity image's description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Superblock {
    /// How digests are made.
    pub hash_type: HashType,
    /// The image's identifier. No digest depends on it.
    pub uuid: [u8; 16],
    /// Bytes of a block of the data device.
    pub data_block_size: u32,
    /// Bytes of a block of the hash device.
    pub hash_block_size: u32,
    /// Blocks of the data device that are covered.
    pub data_blocks: u64,
    /// Every digest begins or ends with it; at most 256 bytes.
    pub salt: Vec<u8>,
}

/// A part of a superblock, by its offset.
fn part<const N: usize>(bytes: &[u8; SUPERBLOCK_SIZE], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("N bytes")
}

impl Superblock {
    /// Reads a superblock.
    ///
    /// # Errors
    /// `Corrupt` where the signature is missing or a field has an impossible value; `Input` for a
    /// version or a digest algorithm that is not supported.
    pub fn parse(bytes: &[u8; SUPERBLOCK_SIZE]) -> Result<Self> {
        if part::<8>(bytes, 0) != *SIGNATURE {
            return Err(Error::corrupt("a verity superblock without its signature"));
        }
        let version = u32::from_le_bytes(part(bytes, 8));
        if version != VERSION {
            return Err(Error::input(format!("a verity superblock of version {version}"))
                .advice(format!("version {VERSION} is what veritysetup writes")));
        }
        let hash_type = match u32::from_le_bytes(part(bytes, 12)) {
            0 => HashType::Chromium,
            1 => HashType::Normal,
            other => {
                return Err(Error::corrupt(format!("a verity superblock with hash type {other}")));
            }
        };
        let algorithm = part::<32>(bytes, 32);
        let (name, rest) = algorithm.split_at(ALGORITHM.len());
        // The name ends at its first NUL; bytes after it are ignored.
        if name != ALGORITHM.as_bytes() || rest[0] != 0 {
            let name = algorithm.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(Error::input(format!(
                "a verity image with digests by `{}`",
                name.escape_ascii()
            ))
            .advice(format!("format it with --hash={ALGORITHM}")));
        }
        let salt_size = usize::from(u16::from_le_bytes(part(bytes, 80)));
        if salt_size > MAX_SALT {
            return Err(Error::corrupt(format!(
                "a verity superblock with a salt of {salt_size} bytes"
            )));
        }
        Self {
            hash_type,
            uuid: part(bytes, 16),
            data_block_size: u32::from_le_bytes(part(bytes, 64)),
            hash_block_size: u32::from_le_bytes(part(bytes, 68)),
            data_blocks: u64::from_le_bytes(part(bytes, 72)),
            salt: bytes[88..88 + salt_size].to_vec(),
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        for (what, size) in [("data", self.data_block_size), ("hash", self.hash_block_size)] {
            if !size.is_power_of_two() || !BLOCK_SIZES.contains(&size) {
                return Err(Error::corrupt(format!(
                    "a verity superblock with {what} blocks of {size} bytes"
                )));
            }
        }
        let bytes = self.data_blocks.checked_mul(self.data_block_size.into());
        if self.data_blocks == 0 || bytes.is_none() {
            return Err(Error::corrupt(format!(
                "a verity superblock with {} data blocks of {} bytes",
                self.data_blocks, self.data_block_size
            )));
        }
        Ok(self)
    }

    /// Bytes of data that are covered.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.data_blocks * u64::from(self.data_block_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// As `veritysetup format` writes it for 300 blocks of 4096 bytes and the salt 00112233.
    fn good() -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        let mut put =
            |offset: usize, part: &[u8]| bytes[offset..offset + part.len()].copy_from_slice(part);
        put(0, b"verity\0\0");
        put(8, &[1, 0, 0, 0, 1]);
        put(31, &[1]);
        put(32, b"sha256");
        put(64, &[0, 0x10, 0, 0, 0, 0x10]);
        put(72, &[0x2c, 1]);
        put(80, &[4]);
        put(88, &[0, 0x11, 0x22, 0x33]);
        bytes
    }

    #[track_caller]
    fn refused(offset: usize, part: &[u8], expect: (ErrorKind, &str)) {
        let mut bytes = good();
        bytes[offset..offset + part.len()].copy_from_slice(part);
        let error = Superblock::parse(&bytes).expect_err("refused");
        assert_eq!(error.kind(), expect.0, "{error}");
        assert!(error.to_string().contains(expect.1), "{error}");
    }

    #[test]
    fn a_superblock_of_veritysetup_is_read() {
        let superblock = Superblock::parse(&good()).expect("a superblock");
        let expected = Superblock {
            hash_type: HashType::Normal,
            uuid: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            data_block_size: 4096,
            hash_block_size: 4096,
            data_blocks: 300,
            salt: vec![0, 0x11, 0x22, 0x33],
        };
        assert_eq!(superblock, expected);
        assert_eq!(superblock.data_bytes(), 300 * 4096);
    }

    #[test]
    fn an_impossible_superblock_is_refused_and_the_field_named() {
        let corrupt = |what| (ErrorKind::Corrupt, what);
        refused(0, b"V", corrupt("without its signature"));
        refused(8, &[2], (ErrorKind::Input, "of version 2"));
        refused(12, &[2], corrupt("hash type 2"));
        refused(32, b"sha512", (ErrorKind::Input, "digests by `sha512`"));
        refused(32, b"sha256x", (ErrorKind::Input, "digests by `sha256x`"));
        refused(64, &[1], corrupt("data blocks of 4097 bytes"));
        refused(68, &[0, 1], corrupt("hash blocks of 256 bytes"));
        refused(72, &[0, 0], corrupt("0 data blocks"));
        refused(79, &[0xff], corrupt("data blocks of 4096 bytes"));
        refused(80, &[1, 1], corrupt("a salt of 257 bytes"));
    }
}
