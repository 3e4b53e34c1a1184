//! Making, mounting and unmounting.
//!
//! Key types: [`Fs`], [`mkfs`]. Mount reads the superblock, replays the journal, marks the
//! filesystem as in use and checks the root; unmount empties the journal and marks it clean. To
//! drop a mounted filesystem is a crash: its next mount replays the journal.
//!
//! Locking: unmount holds "journal", then "metadata".

use std::sync::Arc;

use reclaimdep_scope as scope;

use super::image::{self, BLOCK_SIZE, BlockKind, Bno, Hasher};
use super::inode::{DiskInode, FileKind, Ino};
use super::journal::{Journal, LogPosition};
use super::layout::{DiskSuper, Format, Layout, io_error};
use super::replay::{Recovery, replay};
use super::store::{Metadata, MetadataStore};
use super::tree::MetadataView;
use super::tx::Tx;
use super::volume::{CoreCache, Volume};
use crate::block::{self, BlockDevice};
use crate::bufio::Client;
use crate::error::{Errno, Error, Result};
use crate::event::{Gfp, Layer, LockId};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::sched::{Mutex, Sched, SpinLock, harness_side};
use crate::units::Ticks;

/// Makes an empty filesystem on all of `device`.
///
/// # Errors
/// If the device is too small or too large, or fails.
pub fn mkfs(device: &dyn BlockDevice) -> Result<()> {
    mkfs_with(device, Format::default())
}

/// Makes an empty filesystem with a chosen journal and inode table.
///
/// # Errors
/// As [`mkfs`]; if `format` does not fit the device.
pub fn mkfs_with(device: &dyn BlockDevice, format: Format) -> Result<()> {
    let _side = harness_side();
    let layout = Layout::plan(device.name(), device.sectors().bytes() / BLOCK_SIZE as u64, format)?;
    let failed = |block| move |errno| io_error("write", device, block, errno);
    let mut old = [0; BLOCK_SIZE];
    block::read_at(device, 0, &mut old).map_err(|errno| io_error("read", device, Bno(0), errno))?;
    let mut hasher = Hasher::new(layout.blocks.into());
    hasher.absorb(&old);
    let salt = hasher.finish();
    // The old superblock is overwritten first: after a crash in between, the device must not be
    // taken for the old filesystem.
    block::write_at(device, 0, &[0; BLOCK_SIZE]).map_err(failed(Bno(0)))?;
    let tail = LogPosition { position: 0, seq: 1 };
    tail.write(&layout, salt, device).map_err(failed(Bno(layout.journal_start)))?;
    let mut tables =
        Vec::with_capacity((layout.bitmap_len + layout.table_len) as usize * BLOCK_SIZE);
    for number in layout.bitmap_start..layout.data_start {
        let kind =
            if number < layout.table_start { BlockKind::Bitmap } else { BlockKind::InodeTable };
        let mut image = image::blank(kind, Bno(number));
        if number == layout.table_start {
            let (_, slot) = Ino::ROOT.place(&layout).expect("the first slot is the root's");
            DiskInode::new(FileKind::Directory, Ticks(0)).encode(&mut image, slot);
        }
        image::seal(&mut image, salt);
        tables.extend_from_slice(&image);
    }
    let start = Bno(layout.bitmap_start);
    block::write_at(device, start.bytes(), &tables).map_err(failed(start))?;
    block::flush(device).map_err(failed(start))?;
    DiskSuper { layout, salt, clean: true }.write(device).map_err(failed(Bno(0)))?;
    block::flush(device).map_err(failed(Bno(0)))
}

/// A mounted filesystem. Cheap to clone.
#[derive(Clone)]
pub struct Fs(pub(super) Arc<Volume>);

impl core::fmt::Debug for Fs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Fs").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Fs {
    /// Mounts the filesystem on `device` as `name`.
    ///
    /// # Errors
    /// If the device fails, memory is short, or the filesystem on the device is damaged; the error
    /// says which block is wrong, and how.
    pub fn mount(
        sched: &Sched,
        mm: &Mm,
        plan: &Plan,
        name: &str,
        device: Arc<dyn BlockDevice>,
    ) -> Result<Self> {
        Self::mount_with(sched, mm, plan, name, device, Metadata::Core)
    }

    /// The same, with a choice of where the metadata is kept.
    ///
    /// # Errors
    /// As [`Fs::mount`]; as [`Bufio::create`](crate::bufio::Bufio::create).
    pub fn mount_with(
        sched: &Sched,
        mm: &Mm,
        plan: &Plan,
        name: &str,
        device: Arc<dyn BlockDevice>,
        metadata: Metadata,
    ) -> Result<Self> {
        let _side = harness_side();
        let layer = sched.add_layer(Layer::FS, name);
        let _fs = scope::enter(layer.layer, layer.instance);
        let superblock = DiskSuper::read(&*device)?;
        let (tail, recovery) = replay(&*device, &superblock)?;
        let in_use = DiskSuper { clean: false, ..superblock };
        in_use
            .write(&*device)
            .and_then(|()| block::flush(&*device))
            .map_err(|errno| io_error("write", &*device, Bno(0), errno))?;
        let mut volume = Volume {
            name: name.to_owned(),
            sched: sched.clone(),
            mm: mm.clone(),
            plan: plan.clone(),
            layer,
            device,
            superblock,
            recovery,
            store: MetadataStore::Core,
            journal: Mutex::new(sched, "journal", &format!("fs:{name}"), Journal::new(tail)),
            cache: SpinLock::new(CoreCache::default()),
        };
        volume.check_root()?;
        // Only after the replay and the check of the root, which do I/O past the cache.
        volume.store = MetadataStore::open(metadata, sched, name, &volume.device)?;
        Ok(Self(Arc::new(volume)))
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the mount did with the journal: how many transactions it wrote home, and which one it
    /// dropped, and why.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// Its superblock, as policies know it.
    #[must_use]
    pub fn superblock(&self) -> scope::Superblock {
        scope::Superblock(self.0.layer.instance)
    }

    /// The dm-bufio client that keeps its metadata, if there is one. Unmount destroys it.
    #[must_use]
    pub fn metadata_client(&self) -> Option<&Client> {
        self.0.store.client()
    }

    /// The lock that every transaction holds.
    #[must_use]
    pub fn journal_lock(&self) -> LockId {
        self.0.journal.id()
    }

    /// The lock that protects the inode and its data.
    ///
    /// # Errors
    /// `ENOENT` for a number that no inode has; `ENOMEM`; `ENODEV` after unmount.
    pub fn inode_lock(&self, ino: Ino) -> Result<LockId, Errno> {
        let _side = harness_side();
        Ok(self.0.iget(ino)?.lock.id())
    }

    /// Begins a transaction that changes at most `credits` blocks and keeps it open until the
    /// handle is committed or dropped.
    ///
    /// # Errors
    /// `ENOMEM`; `EDEADLK` if the world broke the wait for the journal; `ENOSPC` if the journal is
    /// too small for that many; else the errors of a commit or a checkpoint.
    #[track_caller]
    pub fn begin(&self, credits: u32) -> Result<Tx<'_>, Errno> {
        let (layer, _side) = self.0.enter();
        Ok(Tx::begin(&self.0, credits)?.with_layer(layer))
    }

    /// Empties the journal, marks the filesystem clean and frees its memory. Later operations get
    /// `ENODEV`.
    ///
    /// # Errors
    /// If it was unmounted before, or the device fails; then the next mount replays the journal, as
    /// after a crash.
    pub fn unmount(&self) -> Result<()> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let cannot =
            |errno: Errno| Error::os(format!("cannot unmount fs:{}", volume.name)).because(errno);
        let mut journal = volume.journal.lock_breakable().map_err(cannot)?;
        let _nofs = scope::nofs();
        if journal.unmounted {
            return Err(Error::misuse(format!("fs:{} is unmounted already", volume.name))
                .advice("unmount it once"));
        }
        let emptied = journal.commit(volume).and_then(|()| journal.checkpoint(volume));
        journal.unmounted = true;
        let old = std::mem::replace(
            &mut *volume.cache.lock(),
            CoreCache { unmounted: true, ..CoreCache::default() },
        );
        drop(old);
        let destroyed = volume.store.close();
        emptied.map_err(cannot)?;
        destroyed?;
        let clean = DiskSuper { clean: true, ..volume.superblock };
        clean.write(&*volume.device).and_then(|()| block::flush(&*volume.device)).map_err(cannot)
    }
}

impl Volume {
    /// Checks that the root is a directory; the error says in words what is wrong.
    fn check_root(&self) -> Result<()> {
        let (block, slot) = Ino::ROOT.place(self.layout()).expect("the first slot is the root's");
        let device = &*self.device;
        let mut table = [0; BLOCK_SIZE];
        block::read_at(device, block.bytes(), &mut table)
            .map_err(|errno| io_error("read", device, block, errno))?;
        let damaged = |what: String| {
            Error::corrupt(format!("the filesystem on {} is damaged: {what}", device.name()))
                .advice("restore the device from a copy, or make the filesystem again")
        };
        image::check(&table, BlockKind::InodeTable, block, self.superblock.salt)
            .map_err(|defect| damaged(defect.to_string()))?;
        match DiskInode::decode(&table, slot) {
            Ok(Some(inode)) if inode.kind == FileKind::Directory => {}
            _ => return Err(damaged(format!("inode 1 in {block} is not the root directory"))),
        }
        let page = self.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM);
        let installed = page.and_then(|page| self.install(Ino::ROOT, page));
        installed
            .map(drop)
            .map_err(|errno| Error::os(format!("cannot mount fs:{}", self.name)).because(errno))
    }
}
