//! `Volume`: the mounted state that every part of the filesystem shares.
//!
//! Key types: [`Volume`], [`Cache`]. The cache keeps every inode that was touched until unmount,
//! and the metadata blocks that were changed and are not in the log yet, each with the page it
//! lives in. The other metadata blocks it keeps as well, unless a dm-bufio client has them
//! ([`super::store`]).
//!
//! Locking: the cache's leaf lock, never held over I/O, an allocation or a sleeping lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use reclaimdep_scope as scope;

use super::image::{self, BLOCK_SIZE, Bno, Image, Kind};
use super::inode::{DiskInode, Ino, Inode};
use super::journal::Journal;
use super::layout::{Layout, Super};
use super::store::{self, Store};
use super::tree::View;
use super::tx::{Handle, Tx};
use crate::block::{self, BlockDevice};
use crate::error::Errno;
use crate::event::{Gfp, LayerRef};
use crate::inject::Plan;
use crate::mm::{Mm, PageBlock};
use crate::sched::{Mutex, OnSide, RwSem, Sched, SpinLock, quiet};

/// A metadata block in core.
pub(super) struct Cached {
    pub(super) image: Arc<Image>,
    pub(super) page: PageBlock,
}

/// Everything in core.
///
/// # Invariants
/// Every image is sealed and is the newest that a transaction merged.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) blocks: BTreeMap<Bno, Cached>,
    pub(super) inodes: BTreeMap<Ino, Arc<Inode>>,
    /// How often each inode is open.
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
    pub(super) superblock: Super,
    pub(super) store: Store,
    pub(super) journal: Mutex<Journal>,
    pub(super) cache: SpinLock<Cache>,
}

impl View for Volume {
    fn layout(&self) -> &Layout {
        &self.superblock.layout
    }

    /// Outside a transaction the mask says NOFS itself: the caller holds an inode lock, or counts
    /// what is free.
    fn meta(&self, kind: Kind, block: Bno) -> Result<Arc<Image>, Errno> {
        self.load(kind, block, Gfp::NOFS)
    }
}

impl Volume {
    /// Enters the filesystem layer on the running task; what is allocated there is the harness's.
    #[track_caller]
    pub(super) fn enter(&self) -> (scope::LayerGuard, OnSide) {
        let ours = quiet();
        (scope::enter(self.layer.layer, self.layer.instance), ours)
    }

    /// The newest merged image of a metadata block; reads it where it is not in core.
    pub(super) fn load(&self, kind: Kind, block: Bno, mask: Gfp) -> Result<Arc<Image>, Errno> {
        let is_whole =
            |image: &Image| image::check(image, kind, block, self.superblock.salt).is_ok();
        match &self.store {
            Store::Core => match self.in_core(block)? {
                Some(image) => Ok(image),
                None => self.load_into_core(block, mask, is_whole),
            },
            Store::Bufio { client, open } => {
                let _open = open.read();
                if let Some(image) = self.in_core(block)? {
                    return Ok(image);
                }
                if let Some(image) = store::read(client, block, is_whole)? {
                    return Ok(image);
                }
                // A commit may be giving the block to the client, whose buffer shows before it is
                // filled. For as long as that lasts the block is in core.
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
        let fresh = Arc::get_mut(&mut read).expect("nobody else has it yet");
        block::read_at(&*self.device, block.bytes(), fresh)?;
        if !is_whole(&read) {
            return Err(Errno::EIO);
        }
        // Another task may have read it meanwhile, and changed it since: its image is the one.
        let mut cache = self.cache.lock();
        if cache.unmounted {
            return Err(Errno::ENODEV);
        }
        let entry = cache.blocks.entry(block).or_insert(Cached { image: read, page });
        Ok(Arc::clone(&entry.image))
    }

    /// The stored inode.
    ///
    /// # Errors
    /// `ENOENT` for a free one, `EIO` for a damaged one.
    pub(super) fn disk_inode(&self, view: &impl View, ino: Ino) -> Result<DiskInode, Errno> {
        let (block, slot) = ino.place(&self.superblock.layout)?;
        let image = view.meta(Kind::InodeTable, block)?;
        DiskInode::decode(&image, slot)?.ok_or(Errno::ENOENT)
    }

    /// The inode in core. Whether it is in use is known only under its lock.
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

    /// Puts a new in-core inode into the cache, unless another task was faster.
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

    /// Runs `op` in a transaction of `credits` blocks and merges what it staged if it succeeds. The
    /// handle's memory was had before the caller took its locks.
    ///
    /// Space that was freed cannot be used before the journal says so durably; where it is all that
    /// is left, the journal is made to say so and `op` runs once more.
    #[track_caller]
    pub(super) fn transact<R>(
        &self,
        handle: &Handle,
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
