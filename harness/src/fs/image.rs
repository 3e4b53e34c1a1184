//! Block images: the header that makes a metadata block self-describing, and its checksum.
//!
//! Key types: [`Image`], [`BlockKind`], [`Bno`], [`Hasher`]. A metadata block begins with its
//! kind's magic, its own number and a checksum over all of it, so every reader can tell a
//! misplaced, stale or damaged block from a good one. Numbers are little-endian. No locks.

use core::fmt;

/// Bytes in a block.
pub(super) const BLOCK_SIZE: usize = 4096;
/// Bytes before a metadata block's payload.
pub(super) const HEADER: usize = 16;
/// Bytes of payload in a metadata block.
pub(super) const PAYLOAD: usize = BLOCK_SIZE - HEADER;

const CHECKSUM_AT: usize = 8;

/// The bytes of one block.
pub(super) type Image = [u8; BLOCK_SIZE];

/// The number of a block of the filesystem, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Bno(pub(super) u32);

impl Bno {
    /// Where the block begins on the device.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.0) * BLOCK_SIZE as u64
    }
}

impl fmt::Display for Bno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}", self.0)
    }
}

/// The kind of a metadata block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockKind {
    JournalSuper,
    Bitmap,
    InodeTable,
    Indirect,
    Directory,
}

impl BlockKind {
    const fn magic(self) -> u32 {
        u32::from_le_bytes(match self {
            Self::JournalSuper => *b"RDjs",
            Self::Bitmap => *b"RDbm",
            Self::InodeTable => *b"RDit",
            Self::Indirect => *b"RDin",
            Self::Directory => *b"RDdi",
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::JournalSuper => "journal superblock",
            Self::Bitmap => "block bitmap",
            Self::InodeTable => "inode table",
            Self::Indirect => "indirect block",
            Self::Directory => "directory block",
        }
    }
}

/// What is wrong with a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Defect {
    block: Bno,
    kind: BlockKind,
    what: &'static str,
    expected: u64,
    found: u64,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { block, kind, what, expected, found } = self;
        write!(
            f,
            "{block} should be a {}: its {what} is {found:#x}, expected {expected:#x}",
            kind.name()
        )
    }
}

/// An empty block of `kind`, not yet sealed.
pub(super) fn blank(kind: BlockKind, block: Bno) -> Image {
    let mut image = [0; BLOCK_SIZE];
    put_u32(&mut image, 0, kind.magic());
    put_u32(&mut image, 4, block.0);
    image
}

/// Writes the checksum into a metadata block.
pub(super) fn seal(image: &mut Image, salt: u64) {
    let sum = checksum(image, salt);
    put_u64(image, CHECKSUM_AT, sum);
}

/// Checks that `image` is block `block` of `kind`, whole.
pub(super) fn check(image: &Image, kind: BlockKind, block: Bno, salt: u64) -> Result<(), Defect> {
    let found =
        [u64::from(get_u32(image, 0)), u64::from(get_u32(image, 4)), get_u64(image, CHECKSUM_AT)];
    let expected = [u64::from(kind.magic()), u64::from(block.0), checksum(image, salt)];
    let names = ["magic", "own number", "checksum"];
    match (0..names.len()).find(|&i| found[i] != expected[i]) {
        None => Ok(()),
        Some(i) => {
            Err(Defect { block, kind, what: names[i], expected: expected[i], found: found[i] })
        }
    }
}

/// The checksum of a block whose bytes 8..16 hold it.
pub(super) fn checksum(image: &Image, salt: u64) -> u64 {
    let (first, rest) = image.split_at(Hasher::CHUNK);
    let mut head = [0; Hasher::CHUNK];
    head.copy_from_slice(first);
    head[CHECKSUM_AT..CHECKSUM_AT + 8].fill(0);
    let mut hasher = Hasher::new(salt);
    hasher.absorb(&head);
    hasher.absorb(rest);
    hasher.finish()
}

/// A 64-bit checksum in four lanes. Each step is a bijection of its lane, so one changed word
/// always changes the lane. It detects damage, not malice.
pub(super) struct Hasher([u64; 4]);

impl Hasher {
    const CHUNK: usize = 32;
    const PRIME: u64 = 0x9E37_79B1_85EB_CA87;

    pub(super) fn new(salt: u64) -> Self {
        Self([salt, salt ^ 1, salt ^ 2, salt ^ 3])
    }

    /// Adds `bytes`, a whole number of 32-byte chunks.
    pub(super) fn absorb(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<{ Self::CHUNK }>();
        debug_assert!(rest.is_empty(), "blocks are whole numbers of chunks");
        for chunk in chunks {
            let (words, _) = chunk.as_chunks::<8>();
            for (lane, word) in self.0.iter_mut().zip(words) {
                *lane =
                    (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(Self::PRIME).rotate_left(31);
            }
        }
    }

    pub(super) fn finish(self) -> u64 {
        let sum = self
            .0
            .into_iter()
            .fold(0, |sum: u64, lane| (sum.rotate_left(17) ^ lane).wrapping_mul(Self::PRIME));
        sum ^ (sum >> 32)
    }
}

pub(super) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(super) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
