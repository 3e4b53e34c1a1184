//! `File`: an open file, which can back a loop device.
//!
//! Key type: [`File`]. Locking: as the operations of [`Fs`]; the cache's leaf lock when it drops.

use super::inode::Ino;
use super::mount::Fs;
use crate::block::BackingFile;
use crate::error::Errno;

/// An open file. It cannot be unlinked until this is dropped.
pub struct File {
    fs: Fs,
    ino: Ino,
    name: String,
}

impl core::fmt::Debug for File {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("File")
            .field("name", &self.name)
            .field("ino", &self.ino)
            .finish_non_exhaustive()
    }
}

impl File {
    /// The inode's `opens` count must include this one already.
    pub(super) const fn new(fs: Fs, ino: Ino, name: String) -> Self {
        Self { fs, ino, name }
    }

    /// The inode's number.
    #[must_use]
    pub const fn ino(&self) -> Ino {
        self.ino
    }
}

impl BackingFile for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> Result<u64, Errno> {
        Ok(self.fs.stat(self.ino)?.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let count = self.fs.read(self.ino, offset, buf)?;
        buf[count..].fill(0);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.fs.write(self.ino, offset, data)
    }

    fn fsync(&self) -> Result<(), Errno> {
        self.fs.fsync(self.ino)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let mut cache = self.fs.0.cache.lock();
        if let Some(count) = cache.opens.get_mut(&self.ino) {
            *count -= 1;
            if *count == 0 {
                cache.opens.remove(&self.ino);
            }
        }
    }
}
