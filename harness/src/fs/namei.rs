//! Operations on names: create, lookup, open, unlink, readdir, stat, statfs.
//!
//! Key type: [`Statfs`]; the operations are methods of [`Fs`].
//!
//! Locking: the root's lock ("directory") > an inode's ("inode") > the journal > leaf locks.

use super::directory::{self, Dirent};
use super::file::File;
use super::image::{BLOCK_SIZE, BlockKind, Bno, HEADER};
use super::inode::{DiskInode, FileKind, Ino, Stat};
use super::layout::OP_CREDITS;
use super::mount::Fs;
use super::tree::MetadataView;
use super::tx::{HandleMemory, Tx};
use crate::error::Errno;
use crate::event::Gfp;

/// The result of `statfs`: used and free blocks and inodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statfs {
    /// Bytes in a block.
    pub block_size: u32,
    /// Blocks of the data area.
    pub blocks: u32,
    /// Free blocks.
    pub free_blocks: u32,
    /// Inodes, the root included.
    pub inodes: u32,
    /// Free inodes.
    pub free_inodes: u32,
}

impl Fs {
    /// Makes an empty file.
    ///
    /// # Errors
    /// `EEXIST`, `ENAMETOOLONG`, `EINVAL` for a name that no file can have; `ENOSPC` if the
    /// directory, the inode table or the device is full; as [`Fs::begin`].
    pub fn create(&self, name: &str) -> Result<Ino, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        directory::check_name(name)?;
        let dir = volume.iget(Ino::ROOT)?;
        let handle = HandleMemory::new(volume)?;
        let _dir = dir.lock.write();
        let (ino, page) = volume.transact(&handle, OP_CREDITS, |tx| {
            let mut root = tx.inode(Ino::ROOT)?;
            match directory::find(tx, &root, name) {
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
                Ok(_) => return Err(Errno::EEXIST),
            }
            let ino = free_inode(tx)?;
            let page = volume.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM)?;
            let now = volume.sched.now();
            tx.put_inode(ino, &DiskInode::new(FileKind::File, now))?;
            directory::add(tx, &mut root, name, ino)?;
            root.mtime = now;
            tx.put_inode(Ino::ROOT, &root)?;
            Ok((ino, page))
        })?;
        volume.install(ino, page)?;
        Ok(ino)
    }

    /// The inode called `name`.
    ///
    /// # Errors
    /// `ENOENT`; `EIO` if the directory is damaged, or if its entry names no file, the root, or a
    /// file that another entry names too.
    pub fn lookup(&self, name: &str) -> Result<Ino, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let dir = volume.iget(Ino::ROOT)?;
        let _dir = dir.lock.read();
        let root = volume.disk_inode(volume, Ino::ROOT)?;
        directory::find(volume, &root, name).map(|(_, ino)| ino)
    }

    /// Every entry of the root directory, without `.` and `..`.
    ///
    /// # Errors
    /// `EIO` if the directory is damaged.
    pub fn readdir(&self) -> Result<Vec<Dirent>, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let dir = volume.iget(Ino::ROOT)?;
        let _dir = dir.lock.read();
        directory::list(volume, &volume.disk_inode(volume, Ino::ROOT)?)
    }

    /// Removes a file and frees its blocks.
    ///
    /// # Errors
    /// `EBUSY` while it is open, because there is no orphan list; as [`Fs::lookup`] and
    /// [`Fs::begin`].
    pub fn unlink(&self, name: &str) -> Result<(), Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let dir = volume.iget(Ino::ROOT)?;
        let handle = HandleMemory::new(volume)?;
        let _dir = dir.lock.write();
        let root = volume.disk_inode(volume, Ino::ROOT)?;
        let (place, ino) = directory::find(volume, &root, name)?;
        if volume.cache.lock().opens.contains_key(&ino) {
            return Err(Errno::EBUSY);
        }
        let inode = volume.iget(ino)?;
        let _inode = inode.lock.write();
        volume.transact(&handle, OP_CREDITS + volume.layout().bitmap_len, |tx| {
            let mut inode = file_inode(tx, ino)?;
            inode.shrink(tx, 0)?;
            let (block, slot) = ino.place(tx.layout())?;
            DiskInode::clear(tx.meta_mut(BlockKind::InodeTable, block)?, slot);
            directory::remove(tx, place)?;
            let mut root = tx.inode(Ino::ROOT)?;
            root.mtime = volume.sched.now();
            tx.put_inode(Ino::ROOT, &root)
        })?;
        let gone = volume.cache.lock().inodes.remove(&ino);
        drop(gone);
        Ok(())
    }

    /// Opens the file called `name`.
    ///
    /// # Errors
    /// As [`Fs::lookup`].
    pub fn open(&self, name: &str) -> Result<File, Errno> {
        let ino = self.lookup(name)?;
        self.open_as(ino, name)
    }

    /// Opens a file by its inode number; `name` is its name in reports.
    ///
    /// # Errors
    /// `ENOENT` if it is gone, `EISDIR` for the root; `EIO` if it is damaged.
    pub fn open_as(&self, ino: Ino, name: &str) -> Result<File, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let dir = volume.iget(Ino::ROOT)?;
        // An unlink holds the directory exclusively while it looks at `opens` and removes the file.
        let _dir = dir.lock.read();
        only_file(volume.disk_inode(volume, ino)?)?;
        *volume.cache.lock().opens.entry(ino).or_default() += 1;
        Ok(File::new(self.clone(), ino, format!("{}/{name}", volume.name)))
    }

    /// The inode's size, type and times.
    ///
    /// # Errors
    /// `ENOENT`; `EIO` if it is damaged.
    pub fn stat(&self, ino: Ino) -> Result<Stat, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let inode = volume.iget(ino)?;
        let _inode = inode.lock.read();
        Ok(volume.disk_inode(volume, ino)?.stat(ino))
    }

    /// Used and free blocks and inodes.
    ///
    /// # Errors
    /// `EIO` if a bitmap or the inode table is damaged.
    pub fn statfs(&self) -> Result<Statfs, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let layout = *volume.layout();
        let mut used = 0;
        for index in 0..layout.bitmap_len {
            let image = volume.meta(BlockKind::Bitmap, Bno(layout.bitmap_start + index))?;
            used += image[HEADER..].iter().map(|byte| byte.count_ones()).sum::<u32>();
        }
        let mut free_inodes = 0;
        for ino in (1..=layout.inodes()).map(Ino) {
            match volume.disk_inode(volume, ino) {
                Ok(_) => {}
                Err(Errno::ENOENT) => free_inodes += 1,
                Err(errno) => return Err(errno),
            }
        }
        let blocks = layout.data_blocks();
        let free_blocks = blocks.saturating_sub(used);
        Ok(Statfs {
            block_size: u32::try_from(BLOCK_SIZE).expect("a block is 4 KiB"),
            blocks,
            free_blocks,
            inodes: layout.inodes(),
            free_inodes,
        })
    }
}

/// The first free inode.
fn free_inode(tx: &Tx<'_>) -> Result<Ino, Errno> {
    for ino in (1..=tx.layout().inodes()).map(Ino) {
        match tx.inode(ino) {
            Ok(_) => {}
            Err(Errno::ENOENT) => return Ok(ino),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::ENOSPC)
}

/// The stored inode of a regular file.
pub(super) fn file_inode(tx: &Tx<'_>, ino: Ino) -> Result<DiskInode, Errno> {
    only_file(tx.inode(ino)?)
}

/// # Errors
/// `EISDIR` for a directory.
pub(super) fn only_file(inode: DiskInode) -> Result<DiskInode, Errno> {
    match inode.kind {
        FileKind::File => Ok(inode),
        FileKind::Directory => Err(Errno::EISDIR),
    }
}
