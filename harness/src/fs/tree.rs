//! The map from a file's blocks to the device's: direct, indirect, double indirect.
//!
//! Key types: [`MapPath`], [`MetadataView`]. A pointer of 0 is a hole. Every pointer is checked
//! when it is followed, so a damaged map gives EIO, never a block outside the data area. No locks:
//! the caller holds the inode's.

use std::sync::Arc;

use super::image::{BLOCK_SIZE, BlockKind, Bno, HEADER, Image, PAYLOAD, get_u32, put_u32};
use super::inode::DiskInode;
use super::layout::Layout;
use super::tx::Tx;
use crate::error::Errno;

/// Pointers in an inode.
pub(super) const POINTERS: usize = 14;
/// Direct pointers in an inode.
pub(super) const DIRECT: usize = 12;
const SINGLE: usize = 12;
const DOUBLE: usize = 13;
/// Pointers in an indirect block.
const FAN: usize = PAYLOAD / 4;
/// The most blocks that a file can have.
pub(super) const MAX_FILE_BLOCKS: u64 = (DIRECT + FAN + FAN * FAN) as u64;

/// Metadata as a reader sees it: a transaction sees its own changes, other readers see merged
/// images.
pub(super) trait MetadataView {
    fn layout(&self) -> &Layout;
    /// # Errors
    /// `EIO` for a damaged block or a failed read, `ENOMEM`.
    fn meta(&self, kind: BlockKind, block: Bno) -> Result<Arc<Image>, Errno>;
}

/// The way to the pointer of a file block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MapPath {
    Direct(usize),
    Single(usize),
    Double(usize, usize),
}

impl MapPath {
    fn to(file_block: u64) -> Result<Self, Errno> {
        let n = usize::try_from(file_block).map_err(|_| Errno::EFBIG)?;
        if n < DIRECT {
            return Ok(Self::Direct(n));
        }
        let n = n - DIRECT;
        if n < FAN {
            return Ok(Self::Single(n));
        }
        let n = n - FAN;
        if n < FAN * FAN { Ok(Self::Double(n / FAN, n % FAN)) } else { Err(Errno::EFBIG) }
    }
}

fn follow(layout: &Layout, pointer: u32) -> Result<Option<Bno>, Errno> {
    match Bno(pointer) {
        Bno(0) => Ok(None),
        block if layout.is_data(block) => Ok(Some(block)),
        _ => Err(Errno::EIO),
    }
}

fn entry(index: usize) -> usize {
    HEADER + 4 * index
}

fn step(view: &impl MetadataView, table: Option<Bno>, index: usize) -> Result<Option<Bno>, Errno> {
    let Some(table) = table else { return Ok(None) };
    let image = view.meta(BlockKind::Indirect, table)?;
    follow(view.layout(), get_u32(&*image, entry(index)))
}

impl DiskInode {
    fn root(&self, layout: &Layout, index: usize) -> Result<Option<Bno>, Errno> {
        follow(layout, self.pointers[index])
    }

    /// The device block of a file block; `None` for a hole.
    pub(super) fn map(
        &self,
        view: &impl MetadataView,
        file_block: u64,
    ) -> Result<Option<Bno>, Errno> {
        let layout = view.layout();
        match MapPath::to(file_block)? {
            MapPath::Direct(i) => self.root(layout, i),
            MapPath::Single(i) => step(view, self.root(layout, SINGLE)?, i),
            MapPath::Double(i, j) => step(view, step(view, self.root(layout, DOUBLE)?, i)?, j),
        }
    }

    /// The device block of a file block, and whether it was allocated now, for a hole.
    pub(super) fn map_or_alloc(
        &mut self,
        tx: &mut Tx<'_>,
        file_block: u64,
    ) -> Result<(Bno, bool), Errno> {
        match MapPath::to(file_block)? {
            MapPath::Direct(i) => self.root_or_alloc(tx, i, None),
            MapPath::Single(i) => {
                let (table, _) = self.root_or_alloc(tx, SINGLE, Some(BlockKind::Indirect))?;
                self.step_or_alloc(tx, table, i, None)
            }
            MapPath::Double(i, j) => {
                let (top, _) = self.root_or_alloc(tx, DOUBLE, Some(BlockKind::Indirect))?;
                let (table, _) = self.step_or_alloc(tx, top, i, Some(BlockKind::Indirect))?;
                self.step_or_alloc(tx, table, j, None)
            }
        }
    }

    /// Allocates a block for the inode: metadata of `kind`, or data.
    fn grow(&mut self, tx: &mut Tx<'_>, kind: Option<BlockKind>) -> Result<Bno, Errno> {
        let block = tx.alloc_block()?;
        if let Some(kind) = kind {
            tx.meta_new(kind, block)?;
        }
        self.blocks += 1;
        Ok(block)
    }

    pub(super) fn root_or_alloc(
        &mut self,
        tx: &mut Tx<'_>,
        i: usize,
        kind: Option<BlockKind>,
    ) -> Result<(Bno, bool), Errno> {
        if let Some(block) = self.root(tx.layout(), i)? {
            return Ok((block, false));
        }
        let block = self.grow(tx, kind)?;
        self.pointers[i] = block.0;
        Ok((block, true))
    }

    fn step_or_alloc(
        &mut self,
        tx: &mut Tx<'_>,
        table: Bno,
        i: usize,
        kind: Option<BlockKind>,
    ) -> Result<(Bno, bool), Errno> {
        if let Some(block) = step(tx, Some(table), i)? {
            return Ok((block, false));
        }
        let block = self.grow(tx, kind)?;
        put_u32(tx.meta_mut(BlockKind::Indirect, table)?, entry(i), block.0);
        Ok((block, true))
    }

    /// Frees every block from file block `keep` on. One transaction is enough for a file of any
    /// length: it changes bitmaps, the inode and at most three map blocks.
    pub(super) fn shrink(&mut self, tx: &mut Tx<'_>, keep: u64) -> Result<(), Errno> {
        let spans = [(SINGLE, DIRECT, 1), (DOUBLE, DIRECT + FAN, FAN)];
        for i in 0..DIRECT {
            if i as u64 >= keep {
                if let Some(block) = self.root(tx.layout(), i)? {
                    self.free(tx, block, false)?;
                }
                self.pointers[i] = 0;
            }
        }
        for (i, first, span) in spans {
            let kept = keep.saturating_sub(first as u64);
            if let Some(table) = self.root(tx.layout(), i)? {
                self.prune(tx, table, span as u64, kept)?;
            }
            if kept == 0 {
                self.pointers[i] = 0;
            }
        }
        Ok(())
    }

    /// Frees the blocks that `table` maps, except for the first `keep`, and the table itself if
    /// `keep` is 0. Each of its entries maps `span` blocks.
    fn prune(&mut self, tx: &mut Tx<'_>, table: Bno, span: u64, keep: u64) -> Result<(), Errno> {
        let image = tx.meta(BlockKind::Indirect, table)?;
        for i in 0..FAN {
            let kept = keep.saturating_sub(i as u64 * span).min(span);
            let Some(child) =
                follow(tx.layout(), get_u32(&*image, entry(i)))?.filter(|_| kept < span)
            else {
                continue;
            };
            if span > 1 {
                self.prune(tx, child, 1, kept)?;
            } else {
                self.free(tx, child, false)?;
            }
            if kept == 0 && keep > 0 {
                put_u32(tx.meta_mut(BlockKind::Indirect, table)?, entry(i), 0);
            }
        }
        if keep == 0 { self.free(tx, table, true) } else { Ok(()) }
    }

    fn free(&mut self, tx: &mut Tx<'_>, block: Bno, metadata: bool) -> Result<(), Errno> {
        self.blocks = self.blocks.saturating_sub(1);
        tx.free_block(block, metadata)
    }
}

/// How many blocks hold `bytes`.
pub(super) const fn blocks_of(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_SIZE as u64)
}
