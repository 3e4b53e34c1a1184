//! `Tx`: one transaction handle, from begin to commit.
//!
//! Key types: [`Tx`], [`Handle`]. The order of its beginning is XFS's: the handle is allocated
//! first, then the journal is taken (for as long as the handle lives), then the NOFS scope is
//! entered, then log space is reserved; so whatever the operation allocates is NOFS, and whatever
//! making space waits for is waited for in the scope. A handle's memory may be had by full reclaim,
//! so an operation on a file gets it before it takes the file's lock: reclaim may write to that
//! very file, as swap files did until 5.18. A handle stages whole block images; [`Tx::commit`]
//! merges them into the running transaction, and dropping the handle instead forgets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use reclaimdep_scope as scope;
use reclaimdep_scope::{LayerGuard, ScopeGuard};

use super::bitmap;
use super::image::{self, Bno, Image, Kind};
use super::inode::{DiskInode, Ino};
use super::journal::Journal;
use super::layout::{BITS_PER_BLOCK, Layout};
use super::tree::View;
use super::volume::{Cached, Volume};
use crate::error::Errno;
use crate::event::Gfp;
use crate::mm::PageBlock;
use crate::sched::{MutexGuard, quiet};

/// An image that the handle changed; the page is there where the block is not in core yet.
struct Staged {
    image: Arc<Image>,
    page: Option<PageBlock>,
}

/// The memory of a transaction that has not begun. One that is rolled over several transactions is
/// had once.
pub(super) struct Handle {
    _page: PageBlock,
}

impl Handle {
    /// Memory for a handle. The caller holds no lock of a file yet.
    #[track_caller]
    pub(super) fn new(volume: &Volume) -> Result<Self, Errno> {
        Ok(Self { _page: volume.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM)? })
    }
}

/// A block that the handle freed.
struct Freed {
    block: Bno,
    metadata: bool,
}

/// An open transaction. While it lives the journal is held and the task is in a NOFS scope.
///
/// Its fields drop in this order: what was staged, the scope, the journal, the handle's memory.
#[must_use = "what a transaction staged is forgotten when it is dropped without commit"]
pub struct Tx<'a> {
    volume: &'a Volume,
    staged: BTreeMap<Bno, Staged>,
    freed: Vec<Freed>,
    credits: u32,
    _scope: ScopeGuard,
    journal: MutexGuard<'a, Journal>,
    _handle: Option<Handle>,
    _layer: Option<LayerGuard>,
}

impl View for Tx<'_> {
    fn layout(&self) -> &Layout {
        &self.volume.superblock.layout
    }

    fn meta(&self, kind: Kind, block: Bno) -> Result<Arc<Image>, Errno> {
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
        let handle = Handle::new(volume)?;
        let tx = Self::begin_with(volume, &handle, credits)?;
        Ok(Self { _handle: Some(handle), ..tx })
    }

    /// The same, with a handle that the caller keeps.
    #[track_caller]
    pub(super) fn begin_with(
        volume: &'a Volume,
        _handle: &Handle,
        credits: u32,
    ) -> Result<Self, Errno> {
        let mut journal = volume.journal.lock_breakable()?;
        let scope = volume.mm.enter_filesystem(scope::Superblock(volume.layer.instance), 0);
        journal.reserve(volume, credits)?;
        Ok(Self {
            volume,
            staged: BTreeMap::new(),
            freed: Vec::new(),
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

    /// Merges what was staged into the running transaction.
    pub fn commit(mut self) {
        let _ours = quiet();
        let volume = self.volume;
        let (staged, freed) = (std::mem::take(&mut self.staged), std::mem::take(&mut self.freed));
        let mut unused = Vec::new();
        let mut cache = volume.cache.lock();
        for (block, Staged { mut image, page }) in staged {
            image::seal(Arc::make_mut(&mut image), volume.superblock.salt);
            match (cache.blocks.get_mut(&block), page) {
                (Some(cached), page) => {
                    cached.image = image;
                    unused.extend(page);
                }
                (None, Some(page)) => drop(cache.blocks.insert(block, Cached { image, page })),
                (None, None) => {
                    unreachable!("a block that was in core when it was staged is there still")
                }
            }
            self.journal.changed(block);
        }
        for Freed { block, metadata } in freed {
            unused.extend(cache.blocks.remove(&block).map(|cached| cached.page));
            self.journal.freed(block, metadata);
        }
    }

    /// The image of a block, to be changed.
    ///
    /// # Errors
    /// `ENOSPC` where the transaction has used up its credits; `ENOMEM`; as [`View::meta`].
    pub(super) fn meta_mut(&mut self, kind: Kind, block: Bno) -> Result<&mut Image, Errno> {
        if !self.staged.contains_key(&block) {
            let image = self.meta(kind, block)?;
            // Nobody else merges or commits meanwhile: what is in core stays there.
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
    pub(super) fn meta_new(&mut self, kind: Kind, block: Bno) -> Result<(), Errno> {
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
        self.staged.insert(block, Staged { image, page });
        Ok(())
    }

    /// Finds a free block and marks it used.
    ///
    /// # Errors
    /// `ENOSPC` where no block is free, or none that may be used before the next commit.
    pub(super) fn alloc_block(&mut self) -> Result<Bno, Errno> {
        let layout = *self.layout();
        let hint = self.journal.hint % layout.data_blocks();
        let (first, within) = (hint / BITS_PER_BLOCK, hint % BITS_PER_BLOCK);
        // The first bitmap block is looked at twice: from the hint on, and at last from its start.
        for lap in 0..=layout.bitmap_len {
            let index = (first + lap) % layout.bitmap_len;
            let from = if lap == 0 { within } else { 0 };
            let base = index * BITS_PER_BLOCK;
            let bits = layout.data_blocks().saturating_sub(base).min(BITS_PER_BLOCK);
            let home = Bno(layout.bitmap_start + index);
            let image = self.meta(Kind::Bitmap, home)?;
            let usable = |bit| {
                let block = Bno(layout.data_start + base + bit);
                !self.journal.is_freed(block)
                    && !self.freed.iter().any(|freed| freed.block == block)
            };
            if let Some(bit) = bitmap::find_clear(&image, from, bits, usable) {
                bitmap::set(self.meta_mut(Kind::Bitmap, home)?, bit);
                self.journal.hint = base + bit + 1;
                return Ok(Bno(layout.data_start + base + bit));
            }
        }
        Err(Errno::ENOSPC)
    }

    /// Marks a block free. It is given out again only when that is durable.
    ///
    /// # Errors
    /// `EIO` where it is free already: the filesystem is damaged.
    pub(super) fn free_block(&mut self, block: Bno, metadata: bool) -> Result<(), Errno> {
        let layout = self.layout();
        let index = block.0 - layout.data_start;
        let home = Bno(layout.bitmap_start + index / BITS_PER_BLOCK);
        if !bitmap::clear(self.meta_mut(Kind::Bitmap, home)?, index % BITS_PER_BLOCK) {
            return Err(Errno::EIO);
        }
        self.staged.remove(&block);
        self.freed.push(Freed { block, metadata });
        Ok(())
    }

    /// Forgets what was staged and makes freed blocks usable; says whether there were any.
    pub(super) fn release_freed(&mut self) -> Result<bool, Errno> {
        self.staged.clear();
        self.freed.clear();
        self.journal.release_freed(self.volume)
    }

    /// The stored inode as this transaction sees it.
    pub(super) fn inode(&self, ino: Ino) -> Result<DiskInode, Errno> {
        self.volume.disk_inode(self, ino)
    }

    /// Stores the inode.
    pub(super) fn put_inode(&mut self, ino: Ino, inode: &DiskInode) -> Result<(), Errno> {
        let (block, slot) = ino.place(self.layout())?;
        inode.encode(self.meta_mut(Kind::InodeTable, block)?, slot);
        Ok(())
    }
}
