//! `Volume`: the mounted state that every part of the filesystem shares.
//!
//! Key types: [`Volume`], [`CoreCache`]. Until unmount the cache keeps every inode that was used,
//! and every metadata block that was changed and is not in the log yet, each with its page. It
//! keeps the other metadata blocks as well, unless a dm-bufio client has them ([`super::store`]).
//!
//! Locking: the cache's leaf lock, never held over I/O, an allocation or a sleeping lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use reclaimdep_scope as scope;

use super::image::{self, BLOCK_SIZE, BlockKind, Bno, Image};
use super::inode::{DiskInode, Ino, Inode};
use super::journal::Journal;
use super::layout::{DiskSuper, Layout};
use super::replay::Recovery;
use super::store::{self, MetadataStore};
use super::tree::MetadataView;
use super::tx::{HandleMemory, Tx};
use crate::block::{self, BlockDevice};
use crate::error::Errno;
use crate::event::{Gfp, LayerRef};
use crate::inject::Plan;
use crate::mm::{Mm, PageBlock};
use crate::sched::{Mutex, OnSide, RwSem, Sched, SpinLock, harness_side};

/// A metadata block in core.
pub(super) struct CachedBlock {
    pub(super) image: Arc<Image>,
    pub(super) page: PageBlock,
}

/// The blocks and inodes in core.
///
/// # Invariants
/// Every image has its checksum and is the newest that a transaction merged.
#[derive(Default)]
pub(super) struct CoreCache {
    pub(super) blocks: BTreeMap<Bno, CachedBlock>,
    pub(super) inodes: BTreeMap<Ino, Arc<Inode>>,
    /// The number of open files of each inode.
    pub(super) opens: BTreeMap<Ino, u32>,
    pub(super) unmounted: bool,
}

/// A mounted filesystem.
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) sched: Sched,
    pub(super) mm: Mm,
    pub(super) plan: Plan,
    pub(super) layer: LayerRef,
    pub(super) device: Arc<dyn BlockDevice>,
    pub(super) superblock: DiskSuper,
    pub(super) recovery: Recovery,
    pub(super) store: MetadataStore,
    pub(super) journal: Mutex<Journal>,
    pub(super) cache: SpinLock<CoreCache>,
}

impl MetadataView for Volume {
    fn layout(&self) -> &Layout {
        &self.superblock.layout
    }

    /// Outside a transaction there is no NOFS scope, so the mask is NOFS: the caller may hold an
    /// inode's lock.
    fn meta(&self, kind: BlockKind, block: Bno) -> Result<Arc<Image>, Errno> {
        self.load(kind, block, Gfp::NOFS)
    }
}

impl Volume {
    /// Enters the filesystem layer and the harness side on the running task.
    #[track_caller]
    pub(super) fn enter(&self) -> (scope::LayerGuard, OnSide) {
        let side = harness_side();
        (scope::enter(self.layer.layer, self.layer.instance), side)
    }

    /// The newest merged image of a metadata block; reads it if it is not in core.
    pub(super) fn load(&self, kind: BlockKind, block: Bno, mask: Gfp) -> Result<Arc<Image>, Errno> {
        let is_whole =
            |image: &Image| image::check(image, kind, block, self.superblock.salt).is_ok();
        match &self.store {
            MetadataStore::Core => match self.in_core(block)? {
                Some(image) => Ok(image),
                None => self.load_into_core(block, mask, is_whole),
            },
            MetadataStore::Bufio { client, open } => {
                let _open = open.read();
                if let Some(image) = self.in_core(block)? {
                    return Ok(image);
                }
                if let Some(image) = store::read(client, block, is_whole)? {
                    return Ok(image);
                }
                // A commit may be handing the block to the client: its buffer can be found before
                // it is filled. Until then the block is in core.
                if let Some(image) = self.in_core(block)? {
                    return Ok(image);
                }
                store::read(client, block, is_whole)?.ok_or(Errno::EIO)
            }
        }
    }

    /// The image of a metadata block that is in core.
    ///
    /// # Errors
    /// `ENODEV` after unmount.
    pub(super) fn in_core(&self, block: Bno) -> Result<Option<Arc<Image>>, Errno> {
        let cache = self.cache.lock();
        if cache.unmounted {
            return Err(Errno::ENODEV);
        }
        Ok(cache.blocks.get(&block).map(|cached| Arc::clone(&cached.image)))
    }

    fn load_into_core(
        &self,
        block: Bno,
        mask: Gfp,
        is_whole: impl FnOnce(&Image) -> bool,
    ) -> Result<Arc<Image>, Errno> {
        let page = self.mm.alloc(0, mask).ok_or(Errno::ENOMEM)?;
        let mut read = Arc::new([0; BLOCK_SIZE]);
        let fresh = Arc::get_mut(&mut read).expect("a new image is not shared");
        block::read_at(&*self.device, block.bytes(), fresh)?;
        if !is_whole(&read) {
            return Err(Errno::EIO);
        }
        // Another task may have read it meanwhile, and changed it since: then its image is the
        // newest.
        let mut cache = self.cache.lock();
        if cache.unmounted {
            return Err(Errno::ENODEV);
        }
        let entry = cache.blocks.entry(block).or_insert(CachedBlock { image: read, page });
        Ok(Arc::clone(&entry.image))
    }

    /// The stored inode.
    ///
    /// # Errors
    /// `ENOENT` for a free slot, `EIO` for a damaged one.
    pub(super) fn disk_inode(
        &self,
        view: &impl MetadataView,
        ino: Ino,
    ) -> Result<DiskInode, Errno> {
        let (block, slot) = ino.place(&self.superblock.layout)?;
        let image = view.meta(BlockKind::InodeTable, block)?;
        DiskInode::decode(&image, slot)?.ok_or(Errno::ENOENT)
    }

    /// The inode in core. It may be free: the caller must look at the stored inode under its lock.
    pub(super) fn iget(&self, ino: Ino) -> Result<Arc<Inode>, Errno> {
        ino.place(&self.superblock.layout)?;
        {
            let cache = self.cache.lock();
            if cache.unmounted {
                return Err(Errno::ENODEV);
            }
            if let Some(inode) = cache.inodes.get(&ino) {
                return Ok(Arc::clone(inode));
            }
        }
        let page = self.mm.alloc(0, Gfp::NOFS).ok_or(Errno::ENOMEM)?;
        self.install(ino, page)
    }

    /// Puts an in-core inode into the cache, unless another task has put one there already.
    pub(super) fn install(&self, ino: Ino, page: PageBlock) -> Result<Arc<Inode>, Errno> {
        let class = if ino == Ino::ROOT { "directory" } else { "inode" };
        let mut cache = self.cache.lock();
        if cache.unmounted {
            return Err(Errno::ENODEV);
        }
        let make = || {
            let instance = format!("fs:{}/{}", self.name, ino.0);
            Arc::new(Inode { lock: RwSem::new(&self.sched, class, &instance, ()), _page: page })
        };
        Ok(Arc::clone(cache.inodes.entry(ino).or_insert_with(make)))
    }

    /// Runs `op` in a transaction of `credits` blocks, and merges what it staged if it succeeds.
    /// The caller allocated the handle before it took its locks.
    ///
    /// Freed blocks cannot be used before a commit and a checkpoint have made that durable. If only
    /// freed blocks are left, the transaction does both, and `op` runs once more.
    #[track_caller]
    pub(super) fn transact<R>(
        &self,
        handle: &HandleMemory,
        credits: u32,
        mut op: impl FnMut(&mut Tx<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut tx = Tx::begin_with(self, handle, credits)?;
        let mut outcome = op(&mut tx);
        if matches!(outcome, Err(Errno::ENOSPC)) && tx.release_freed()? {
            outcome = op(&mut tx);
        }
        let value = outcome?;
        tx.commit();
        Ok(value)
    }
}
