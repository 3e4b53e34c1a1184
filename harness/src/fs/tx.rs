//! `Tx`: one transaction handle, from begin to commit.
//!
//! Key types: [`Tx`], [`HandleMemory`]. A transaction begins in XFS's order: allocate the handle,
//! take the journal (until the handle ends), enter the NOFS scope, reserve log space. So the
//! operation's allocations are NOFS, and the wait for log space happens inside the scope. The
//! handle's own allocation may do full reclaim, which may write to the very file of the operation,
//! as to swap files until 5.18; so an operation allocates the handle before it takes the file's
//! lock. A handle stages whole block images. [`Tx::commit`] merges them into the running
//! transaction; if the handle is dropped instead, they are lost.
//!
//! Locking: "journal" from begin to commit > the cache's leaf lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use reclaimdep_scope as scope;
use reclaimdep_scope::{LayerGuard, ScopeGuard};

use super::bitmap;
use super::image::{self, BlockKind, Bno, Image};
use super::inode::{DiskInode, Ino};
use super::journal::Journal;
use super::layout::{BITS_PER_BLOCK, Layout};
use super::tree::MetadataView;
use super::volume::{CachedBlock, Volume};
use crate::error::Errno;
use crate::event::Gfp;
use crate::inject::Bug;
use crate::mm::PageBlock;
use crate::sched::{MutexGuard, harness_side};

/// A changed image; it has a page if the block is not in core yet.
struct StagedBlock {
    image: Arc<Image>,
    page: Option<PageBlock>,
}

/// The memory of a transaction handle. A long write uses it for several transactions in turn.
pub(super) struct HandleMemory {
    _page: PageBlock,
}

impl HandleMemory {
    /// Allocates the memory with GFP_KERNEL. The caller must hold no lock of a file yet.
    #[track_caller]
    pub(super) fn new(volume: &Volume) -> Result<Self, Errno> {
        Ok(Self { _page: volume.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM)? })
    }
}

/// A block that the handle freed.
struct FreedBlock {
    block: Bno,
    metadata: bool,
}

/// An open transaction. While it lives the journal is held and the task is in a NOFS scope.
///
/// Its fields drop in this order: the staged images, the scope, the journal, the handle's memory.
#[must_use = "without `commit`, the changes of a transaction are lost when it drops"]
pub struct Tx<'a> {
    volume: &'a Volume,
    staged: BTreeMap<Bno, StagedBlock>,
    freed: Vec<FreedBlock>,
    cut: Option<Bno>,
    credits: u32,
    _scope: ScopeGuard,
    journal: MutexGuard<'a, Journal>,
    _handle: Option<HandleMemory>,
    _layer: Option<LayerGuard>,
}

impl MetadataView for Tx<'_> {
    fn layout(&self) -> &Layout {
        &self.volume.superblock.layout
    }

    fn meta(&self, kind: BlockKind, block: Bno) -> Result<Arc<Image>, Errno> {
        match self.staged.get(&block) {
            Some(staged) => Ok(Arc::clone(&staged.image)),
            None => self.volume.load(kind, block, Gfp::KERNEL),
        }
    }
}

impl<'a> Tx<'a> {
    /// Begins a transaction that changes at most `credits` blocks; the caller holds no lock of a
    /// file.
    #[track_caller]
    pub(super) fn begin(volume: &'a Volume, credits: u32) -> Result<Self, Errno> {
        let handle = HandleMemory::new(volume)?;
        let tx = Self::begin_with(volume, &handle, credits)?;
        Ok(Self { _handle: Some(handle), ..tx })
    }

    /// The same, with a handle that the caller keeps.
    #[track_caller]
    pub(super) fn begin_with(
        volume: &'a Volume,
        _handle: &HandleMemory,
        credits: u32,
    ) -> Result<Self, Errno> {
        let mut journal = volume.journal.lock_breakable()?;
        let scope = volume.mm.enter_filesystem(scope::Superblock(volume.layer.instance), 0);
        journal.reserve(volume, credits)?;
        Ok(Self {
            volume,
            staged: BTreeMap::new(),
            freed: Vec::new(),
            cut: None,
            credits,
            _scope: scope,
            journal,
            _handle: None,
            _layer: None,
        })
    }

    /// Keeps `layer` entered for as long as the handle lives.
    pub(super) fn with_layer(mut self, layer: LayerGuard) -> Self {
        self._layer = Some(layer);
        self
    }

    /// Merges the staged images into the running transaction.
    pub fn commit(mut self) {
        let _side = harness_side();
        let volume = self.volume;
        let (staged, freed) = (std::mem::take(&mut self.staged), std::mem::take(&mut self.freed));
        let mut unused = Vec::new();
        let mut cache = volume.cache.lock();
        for (block, StagedBlock { mut image, page }) in staged {
            image::seal(Arc::make_mut(&mut image), volume.superblock.salt);
            match (cache.blocks.get_mut(&block), page) {
                (Some(cached), page) => {
                    cached.image = image;
                    unused.extend(page);
                }
                (None, Some(page)) => drop(cache.blocks.insert(block, CachedBlock { image, page })),
                (None, None) => {
                    unreachable!("a block that was in core when it was staged still is")
                }
            }
            self.journal.changed(block);
        }
        for FreedBlock { block, metadata } in freed {
            unused.extend(cache.blocks.remove(&block).map(|cached| cached.page));
            self.journal.freed(block, metadata);
        }
        self.cut.into_iter().for_each(|block| self.journal.cut(block));
    }

    /// The handle makes a file end inside `block`, before bytes that the file had there.
    pub(super) fn cut(&mut self, block: Bno) {
        self.cut = Some(block);
    }

    /// Lets the caller overwrite the bytes of `block` behind the end of its file. If the file was
    /// longer at the last commit, these bytes belong to it until the truncation is durable, so that
    /// is committed first. Nothing may be staged yet.
    ///
    /// # Errors
    /// Those of a commit or a checkpoint.
    pub(super) fn settle_tail(&mut self, block: Bno) -> Result<(), Errno> {
        debug_assert!(self.staged.is_empty(), "a commit may take staged blocks out of core");
        if self.journal.is_cut(block) && !self.volume.plan.has(Bug::TailZeroedEarly) {
            self.journal.commit(self.volume)?;
            self.journal.reserve(self.volume, self.credits)?;
        }
        Ok(())
    }

    /// The staged image of a block, for changes.
    ///
    /// # Errors
    /// `ENOSPC` if the transaction has no credit left; `ENOMEM`; as [`MetadataView::meta`].
    pub(super) fn meta_mut(&mut self, kind: BlockKind, block: Bno) -> Result<&mut Image, Errno> {
        if !self.staged.contains_key(&block) {
            let image = self.meta(kind, block)?;
            // This task holds the journal, so no other commit can take the block out of core.
            let page = match self.volume.in_core(block)? {
                Some(_) => None,
                None => Some(self.volume.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM)?),
            };
            self.stage(block, image, page)?;
        }
        let staged = self.staged.get_mut(&block).expect("it was staged above");
        Ok(Arc::make_mut(&mut staged.image))
    }

    /// Stages an empty block of `kind` in a page of its own.
    pub(super) fn meta_new(&mut self, kind: BlockKind, block: Bno) -> Result<(), Errno> {
        let page = self.volume.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM)?;
        self.stage(block, Arc::new(image::blank(kind, block)), Some(page))
    }

    fn stage(
        &mut self,
        block: Bno,
        image: Arc<Image>,
        page: Option<PageBlock>,
    ) -> Result<(), Errno> {
        if self.staged.len() >= self.credits as usize {
            return Err(Errno::ENOSPC);
        }
        self.staged.insert(block, StagedBlock { image, page });
        Ok(())
    }

    /// Finds a free block and marks it used.
    ///
    /// # Errors
    /// `ENOSPC` where no block is free, or every free one was freed since the last commit.
    pub(super) fn alloc_block(&mut self) -> Result<Bno, Errno> {
        let layout = *self.layout();
        let hint = self.journal.hint % layout.data_blocks();
        let (first, within) = (hint / BITS_PER_BLOCK, hint % BITS_PER_BLOCK);
        // The first bitmap block is searched twice: from the hint on, and at last from its start.
        for lap in 0..=layout.bitmap_len {
            let index = (first + lap) % layout.bitmap_len;
            let from = if lap == 0 { within } else { 0 };
            let base = index * BITS_PER_BLOCK;
            let bits = layout.data_blocks().saturating_sub(base).min(BITS_PER_BLOCK);
            let home = Bno(layout.bitmap_start + index);
            let image = self.meta(BlockKind::Bitmap, home)?;
            let usable = |bit| {
                let block = Bno(layout.data_start + base + bit);
                let freed = self.journal.is_freed(block)
                    || self.freed.iter().any(|freed| freed.block == block);
                !freed || self.volume.plan.has(Bug::FreedReused)
            };
            if let Some(bit) = bitmap::find_clear(&image, from, bits, usable) {
                bitmap::set(self.meta_mut(BlockKind::Bitmap, home)?, bit);
                self.journal.hint = base + bit + 1;
                return Ok(Bno(layout.data_start + base + bit));
            }
        }
        Err(Errno::ENOSPC)
    }

    /// Marks a block free. It is allocated again only after that is durable.
    ///
    /// # Errors
    /// `EIO` if it is free already: the filesystem is damaged.
    pub(super) fn free_block(&mut self, block: Bno, metadata: bool) -> Result<(), Errno> {
        let layout = self.layout();
        let index = block.0 - layout.data_start;
        let home = Bno(layout.bitmap_start + index / BITS_PER_BLOCK);
        if !bitmap::clear(self.meta_mut(BlockKind::Bitmap, home)?, index % BITS_PER_BLOCK) {
            return Err(Errno::EIO);
        }
        self.staged.remove(&block);
        self.freed.push(FreedBlock { block, metadata });
        Ok(())
    }

    /// Drops what was staged and makes freed blocks usable; returns whether there were any.
    pub(super) fn release_freed(&mut self) -> Result<bool, Errno> {
        self.staged.clear();
        self.freed.clear();
        self.cut = None;
        self.journal.release_freed(self.volume)
    }

    /// The stored inode as this transaction sees it.
    pub(super) fn inode(&self, ino: Ino) -> Result<DiskInode, Errno> {
        self.volume.disk_inode(self, ino)
    }

    /// Stores the inode.
    pub(super) fn put_inode(&mut self, ino: Ino, inode: &DiskInode) -> Result<(), Errno> {
        let (block, slot) = ino.place(self.layout())?;
        inode.encode(self.meta_mut(BlockKind::InodeTable, block)?, slot);
        Ok(())
    }
}
