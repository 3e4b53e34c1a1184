//! `FileDevice`: a block device on an unlinked temp file.
//!
//! Key type: [`FileDevice`]. A bio is complete before `submit` returns. The file has no name, so
//! nothing is left of it, however the process ends. No locks.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::bio::Bio;
use super::device::{BlockDevice, Queue, in_range};
use crate::error::{Errno, Error, Result};
use crate::event::Op;
use crate::sched::{Sched, harness_side};
use crate::units::{SECTOR_SIZE, Sectors};

/// A device whose sectors live in a file.
pub struct FileDevice {
    name: String,
    queue: Queue,
    sectors: Sectors,
    file: File,
}

impl FileDevice {
    /// A device of `bytes` bytes on a new, unlinked, sparse temp file.
    ///
    /// # Errors
    /// If the temp file cannot be made.
    pub fn temp(sched: &Sched, name: &str, bytes: u64) -> Result<Self> {
        let make = || -> std::io::Result<File> {
            let file = tempfile::tempfile()?;
            file.set_len(bytes / SECTOR_SIZE * SECTOR_SIZE)?;
            Ok(file)
        };
        let file = make().map_err(|error| {
            let dir = std::env::temp_dir();
            Error::os(format!("cannot make a temp file of {bytes} bytes in {}", dir.display()))
                .because(error)
                .advice("set TMPDIR to a directory with room")
        })?;
        Ok(Self {
            name: name.to_owned(),
            queue: Queue::new(sched, name),
            sectors: Sectors(bytes / SECTOR_SIZE),
            file,
        })
    }

    fn transfer(&self, bio: &mut Bio) -> std::io::Result<()> {
        let offset = bio.sector().bytes();
        match bio.op() {
            Op::Read => self.file.read_exact_at(bio.data_mut(), offset),
            Op::Write => self.file.write_all_at(bio.data(), offset),
            Op::Flush => self.file.sync_data(),
            Op::Discard => Err(std::io::Error::from_raw_os_error(95)),
        }
    }
}

impl BlockDevice for FileDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> Sectors {
        self.sectors
    }

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        bio.submitted(&self.queue.sched, self.queue.id);
        if !in_range(self, &bio) {
            bio.complete(Err(Errno::EIO));
            return;
        }
        let outcome = self.transfer(&mut bio).map_err(Errno::from);
        bio.complete(outcome);
    }
}
