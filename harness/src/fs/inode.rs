//! Inodes: on the device, in the inode table; and in core.
//!
//! Key types: [`Ino`], [`DiskInode`], [`Inode`], [`Stat`]. A slot is 120 bytes, so 34 of them fill
//! a table block's payload. Slot 0 is inode 1, the root directory. Locking: "inode", or "directory"
//! for the root.

use super::image::{BLOCK_SIZE, Bno, HEADER, Image, PAYLOAD, get_u32, get_u64, put_u32, put_u64};
use super::layout::Layout;
use super::tree::{MAX_FILE_BLOCKS, POINTERS};
use crate::error::Errno;
use crate::mm::PageBlock;
use crate::sched::RwSem;
use crate::units::Ticks;

const SLOT_SIZE: usize = 120;
/// Inodes in a block of the table.
#[expect(clippy::cast_possible_truncation, reason = "a block holds fewer than 2^32 of anything")]
pub(super) const INODES_PER_BLOCK: u32 = (PAYLOAD / SLOT_SIZE) as u32;

/// The most bytes that a file can have.
pub const MAX_FILE_SIZE: u64 = MAX_FILE_BLOCKS * BLOCK_SIZE as u64;

/// The number of an inode, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ino(pub u32);

impl Ino {
    /// The root directory.
    pub const ROOT: Self = Self(1);

    /// Table block and slot.
    ///
    /// # Errors
    /// `ENOENT` for a number that is not in the table.
    pub(super) fn place(self, layout: &Layout) -> Result<(Bno, usize), Errno> {
        let index =
            self.0.checked_sub(1).filter(|index| *index < layout.inodes()).ok_or(Errno::ENOENT)?;
        let slot = HEADER + SLOT_SIZE * (index % INODES_PER_BLOCK) as usize;
        Ok((Bno(layout.table_start + index / INODES_PER_BLOCK), slot))
    }
}

/// The type of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory: the root.
    Directory,
}

/// The result of `stat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// The inode's number.
    pub ino: Ino,
    /// Its type.
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
    /// Blocks of 4096 bytes on the device, with those of its map.
    pub blocks: u32,
    /// The number of directory entries that name it.
    pub nlink: u16,
    /// When it was last changed.
    pub mtime: Ticks,
}

/// An inode as the table stores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DiskInode {
    pub(super) kind: FileKind,
    pub(super) nlink: u16,
    pub(super) blocks: u32,
    pub(super) size: u64,
    pub(super) mtime: Ticks,
    pub(super) pointers: [u32; POINTERS],
}

const KIND_FREE: u32 = 0;
const KIND_FILE: u32 = 1;
const KIND_DIRECTORY: u32 = 2;
const POINTERS_AT: usize = 32;

impl DiskInode {
    pub(super) const fn new(kind: FileKind, mtime: Ticks) -> Self {
        Self { kind, nlink: 1, blocks: 0, size: 0, mtime, pointers: [0; POINTERS] }
    }

    /// The inode in `slot` of a table block; `None` for a free slot.
    ///
    /// # Errors
    /// `EIO` for impossible values.
    pub(super) fn decode(image: &Image, slot: usize) -> Result<Option<Self>, Errno> {
        let bytes = &image[slot..slot + SLOT_SIZE];
        let kind = match get_u32(bytes, 0) {
            KIND_FREE => return Ok(None),
            KIND_FILE => FileKind::File,
            KIND_DIRECTORY => FileKind::Directory,
            _ => return Err(Errno::EIO),
        };
        let size = get_u64(bytes, 16);
        let nlink = u16::try_from(get_u32(bytes, 4)).map_err(|_| Errno::EIO)?;
        if size > MAX_FILE_SIZE {
            return Err(Errno::EIO);
        }
        let pointers = core::array::from_fn(|i| get_u32(bytes, POINTERS_AT + 4 * i));
        Ok(Some(Self {
            kind,
            nlink,
            blocks: get_u32(bytes, 8),
            size,
            mtime: Ticks(get_u64(bytes, 24)),
            pointers,
        }))
    }

    pub(super) fn encode(&self, image: &mut Image, slot: usize) {
        let bytes = &mut image[slot..slot + SLOT_SIZE];
        let kind = match self.kind {
            FileKind::File => KIND_FILE,
            FileKind::Directory => KIND_DIRECTORY,
        };
        put_u32(bytes, 0, kind);
        put_u32(bytes, 4, self.nlink.into());
        put_u32(bytes, 8, self.blocks);
        put_u64(bytes, 16, self.size);
        put_u64(bytes, 24, self.mtime.0);
        for (i, pointer) in self.pointers.into_iter().enumerate() {
            put_u32(bytes, POINTERS_AT + 4 * i, pointer);
        }
    }

    /// Makes `slot` free.
    pub(super) fn clear(image: &mut Image, slot: usize) {
        image[slot..slot + SLOT_SIZE].fill(0);
    }

    pub(super) const fn stat(&self, ino: Ino) -> Stat {
        let Self { kind, nlink, blocks, size, mtime, .. } = *self;
        Stat { ino, kind, size, blocks, nlink, mtime }
    }
}

/// An inode in core: its lock and its page.
pub(super) struct Inode {
    pub(super) lock: RwSem<()>,
    pub(super) _page: PageBlock,
}
