//! `Hashes`: the hash device's cache, and which of its blocks were checked since they were read.
//!
//! Key type: [`Hashes`]. A mark says that the cached bytes were compared with a digest that is trusted, so
//! it must go when the bytes go: a block that was evicted and read again may be another.
//!
//! The marks stand beside the cache: a block is looked up, unmarked and read under one lock, and a mark is
//! set by whoever holds the buffer.
//!
//! # Invariants
//! A marked block that is cached has not been read since it was marked.

use std::collections::BTreeSet;

use crate::bufio::{Buffer, Client};
use crate::error::{Errno, Result};
use crate::sched::{Mutex, Sched};

/// The hash blocks of one target.
pub(super) struct Hashes {
    client: Client,
    marks: Mutex<BTreeSet<u64>>,
}

impl Hashes {
    pub(super) fn new(sched: &Sched, name: &str, client: Client) -> Self {
        Self { client, marks: Mutex::new(sched, "verity_marks", &format!("verity:{name}"), BTreeSet::new()) }
    }

    /// The block, if it is cached and was checked. Never waits for I/O.
    pub(super) fn checked(&self, block: u64) -> Option<Buffer> {
        let marks = self.marks.lock();
        marks.contains(&block).then(|| self.client.get(block))?
    }

    /// The block, from the cache or the device, and whether it was checked.
    pub(super) fn read(&self, block: u64) -> Result<(Buffer, bool), Errno> {
        let mut marks = self.marks.lock();
        if let Some(buffer) = self.client.get(block) {
            return Ok((buffer, marks.contains(&block)));
        }
        // INVARIANT: nobody else reads it meanwhile, because nobody else has the lock.
        marks.remove(&block);
        Ok((self.client.read(block)?, false))
    }

    /// Says that what the buffer holds was checked. The hold keeps it from being read again.
    pub(super) fn mark(&self, buffer: &Buffer) {
        self.marks.lock().insert(buffer.block());
    }

    /// Brings blocks that will be needed into the cache. One that cannot be read is left: whoever needs it
    /// learns why.
    pub(super) fn prefetch(&self, blocks: std::ops::Range<u64>) {
        for block in blocks {
            drop(self.read(block));
        }
    }

    /// Frees the cache.
    ///
    /// # Errors
    /// As [`Client::destroy`].
    pub(super) fn close(&self) -> Result<()> {
        self.client.destroy()
    }
}
