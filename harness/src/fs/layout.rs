//! The disk layout: the superblock and the areas behind it.
//!
//! Key types: [`Layout`], [`DiskSuper`], [`Format`]. In order: superblock, journal (its own
//! superblock, then the ring), block bitmap, inode table, data. All areas follow from three
//! numbers; a superblock with other areas is damaged. No locks.

use super::image::{self, BLOCK_SIZE, Bno, Image, PAYLOAD, get_u32, get_u64, put_u32, put_u64};
use super::inode::INODES_PER_BLOCK;
use crate::block::{self, BlockDevice};
use crate::error::{Error, Result};

const MAGIC: u64 = u64::from_le_bytes(*b"RDEPjfs\0");
const VERSION: u32 = 1;
/// Blocks whose state one bitmap block holds.
#[expect(clippy::cast_possible_truncation, reason = "a block holds fewer than 2^32 of anything")]
pub(super) const BITS_PER_BLOCK: u32 = (PAYLOAD * 8) as u32;
/// Blocks in one transaction: as many as one descriptor names.
pub(super) const MAX_TX_BLOCKS: u32 = 1000;
/// Log blocks that a transaction needs besides its images: descriptor and commit record.
pub(super) const TX_OVERHEAD: u32 = 2;
/// Blocks that an operation changes besides bitmaps: inode, directory, up to four levels of map.
pub(super) const OP_CREDITS: u32 = 8;

const MIN_JOURNAL: u32 = 8;
const MIN_DATA: u32 = 4;

/// The options of mkfs. A 0 means in proportion to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Format {
    /// Blocks of the journal, its superblock included.
    pub journal_blocks: u32,
    /// Files, the root directory included.
    pub inodes: u32,
}

/// The areas of a filesystem, in blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) blocks: u32,
    pub(super) journal_start: u32,
    pub(super) journal_len: u32,
    pub(super) bitmap_start: u32,
    pub(super) bitmap_len: u32,
    pub(super) table_start: u32,
    pub(super) table_len: u32,
    pub(super) data_start: u32,
}

impl Layout {
    /// The layout of a new filesystem on `blocks` blocks of `device`.
    pub(super) fn plan(device: &str, blocks: u64, format: Format) -> Result<Self> {
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        let bitmap_len = blocks.div_ceil(BITS_PER_BLOCK);
        let journal = match format.journal_blocks {
            0 => (blocks / 128).clamp(32, 1024).max(bitmap_len + 2 * OP_CREDITS),
            chosen => chosen,
        };
        let table = match format.inodes {
            0 => (blocks / 4096).clamp(2, 64),
            chosen => chosen.div_ceil(INODES_PER_BLOCK),
        };
        Self::new(blocks, journal, table).map_err(|what| {
            Error::input(format!(
                "cannot make a filesystem on {device}, which has {blocks} blocks: {what}"
            ))
            .advice("choose a device of 256 KiB to 100 GiB and a journal that leaves room for data")
        })
    }

    /// The layout that follows from three numbers; the error says what is wrong with them.
    fn new(blocks: u32, journal_len: u32, table_len: u32) -> Result<Self, String> {
        let left = u64::from(blocks).checked_sub(1 + u64::from(journal_len) + u64::from(table_len));
        let left = left
            .and_then(|left| u32::try_from(left).ok())
            .ok_or("journal and inode table do not fit")?;
        let bitmap_len = left.div_ceil(BITS_PER_BLOCK);
        if journal_len < MIN_JOURNAL {
            return Err(format!(
                "a journal of {journal_len} blocks, at least {MIN_JOURNAL} are needed"
            ));
        }
        if table_len == 0 || left < bitmap_len + MIN_DATA {
            return Err("no room for inodes and data".into());
        }
        if bitmap_len + OP_CREDITS > MAX_TX_BLOCKS {
            return Err("one transaction could not hold all its bitmap blocks".into());
        }
        let bitmap_start = 1 + journal_len;
        let table_start = bitmap_start + bitmap_len;
        Ok(Self {
            blocks,
            journal_start: 1,
            journal_len,
            bitmap_start,
            bitmap_len,
            table_start,
            table_len,
            data_start: table_start + table_len,
        })
    }

    /// Blocks of the data area.
    pub(super) const fn data_blocks(&self) -> u32 {
        self.blocks - self.data_start
    }

    pub(super) const fn inodes(&self) -> u32 {
        self.table_len * INODES_PER_BLOCK
    }

    /// Blocks of the journal's ring.
    pub(super) const fn ring(&self) -> u32 {
        self.journal_len - 1
    }

    /// The most blocks that a transaction can change.
    pub(super) fn max_tx(&self) -> u32 {
        MAX_TX_BLOCKS.min(self.ring() - TX_OVERHEAD)
    }

    /// Where ring position `position` is.
    pub(super) const fn ring_block(&self, position: u32) -> Bno {
        Bno(self.journal_start + 1 + position % self.ring())
    }

    /// Whether the block is in the data area.
    pub(super) fn is_data(&self, block: Bno) -> bool {
        (self.data_start..self.blocks).contains(&block.0)
    }

    /// Whether a transaction may name the block as its home.
    pub(super) fn is_home(&self, block: Bno) -> bool {
        (self.bitmap_start..self.blocks).contains(&block.0)
    }

    fn fields(&self) -> [u32; 8] {
        let Self {
            blocks,
            journal_start,
            journal_len,
            bitmap_start,
            bitmap_len,
            table_start,
            table_len,
            data_start,
        } = *self;
        [
            blocks,
            journal_start,
            journal_len,
            bitmap_start,
            bitmap_len,
            table_start,
            table_len,
            data_start,
        ]
    }
}

/// The superblock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DiskSuper {
    pub(super) layout: Layout,
    /// Part of every checksum, so that blocks of an earlier filesystem on the device do not pass.
    pub(super) salt: u64,
    /// It was unmounted, and the journal is empty.
    pub(super) clean: bool,
}

const VERSION_AT: usize = 16;
const CLEAN_AT: usize = 20;
const SALT_AT: usize = 24;
const FIELDS_AT: usize = 32;

impl DiskSuper {
    fn encode(&self) -> Image {
        let mut image = [0; BLOCK_SIZE];
        put_u64(&mut image, 0, MAGIC);
        put_u32(&mut image, VERSION_AT, VERSION);
        put_u32(&mut image, CLEAN_AT, self.clean.into());
        put_u64(&mut image, SALT_AT, self.salt);
        for (i, field) in self.layout.fields().into_iter().enumerate() {
            put_u32(&mut image, FIELDS_AT + 4 * i, field);
        }
        image::seal(&mut image, MAGIC);
        image
    }

    fn decode(image: &Image) -> Result<Self, String> {
        let magic = get_u64(image, 0);
        if magic != MAGIC {
            return Err(format!("its magic is {magic:#x}, expected {MAGIC:#x}"));
        }
        let version = get_u32(image, VERSION_AT);
        if version != VERSION {
            return Err(format!("its version is {version}, expected {VERSION}"));
        }
        let (found, expected) = (get_u64(image, 8), image::checksum(image, MAGIC));
        if found != expected {
            return Err(format!("its checksum is {found:#x}, expected {expected:#x}"));
        }
        let field = |i: usize| get_u32(image, FIELDS_AT + 4 * i);
        let layout = Layout::new(field(0), field(2), field(6))?;
        if (0..).zip(layout.fields()).any(|(i, expected)| field(i) != expected) {
            return Err("its areas do not follow from each other".into());
        }
        Ok(Self { layout, salt: get_u64(image, SALT_AT), clean: get_u32(image, CLEAN_AT) != 0 })
    }

    /// Reads and checks the superblock of `device`.
    pub(super) fn read(device: &dyn BlockDevice) -> Result<Self> {
        let name = device.name();
        let mut image = [0; BLOCK_SIZE];
        block::read_at(device, 0, &mut image)
            .map_err(|errno| io_error("read", device, Bno(0), errno))?;
        let damaged = |what: String| {
            Error::corrupt(format!(
                "block 0 of {name} is not a superblock of this filesystem: {what}"
            ))
            .advice("make one with mkfs, or mount the device that holds it")
        };
        let this = Self::decode(&image).map_err(damaged)?;
        let have = device.sectors().bytes() / BLOCK_SIZE as u64;
        if have < u64::from(this.layout.blocks) {
            let blocks = this.layout.blocks;
            return Err(Error::corrupt(format!(
                "the filesystem on {name} has {blocks} blocks, the device only {have}"
            ))
            .advice("mount the whole device; this one was truncated"));
        }
        Ok(this)
    }

    pub(super) fn write(&self, device: &dyn BlockDevice) -> Result<(), crate::error::Errno> {
        block::write_at(device, 0, &self.encode())
    }
}

/// An I/O error that names the device and the block.
pub(super) fn io_error(
    doing: &str,
    device: &dyn BlockDevice,
    block: Bno,
    errno: crate::error::Errno,
) -> Error {
    Error::os(format!("cannot {doing} {block} of {}", device.name())).because(errno)
}
