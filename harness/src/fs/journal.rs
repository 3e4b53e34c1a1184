//! The journal: a running transaction in memory, and committed transactions in the log.
//!
//! Key type: [`Journal`]. Mirrors jbd2 in outline: metadata is logged as whole images, data is
//! ordered (written in place before the commit that refers to it). A transaction in the log is a
//! descriptor that names the blocks, their images, and a commit record whose checksum covers both.
//! Because of the flushes before and after the record, a complete transaction n implies a complete
//! n - 1. A committed block is written home at the checkpoint, or earlier by dm-bufio
//! ([`super::store`]).
//!
//! Locking: everything here is under the journal's mutex, below the inode locks.
//!
//! I/O is done under that mutex, and that is the point of this filesystem: a task that waits for
//! the journal waits for the device.
//!
//! Written from docs/kernel/filesystem.md, "Facts about real filesystems", "A minimal journalled
//! filesystem" and "Blocking points".

use std::collections::BTreeSet;
use std::sync::Arc;

use super::image::{
    self, BLOCK_SIZE, BlockKind, Bno, Hasher, Image, get_u32, get_u64, put_u32, put_u64,
};
use super::layout::{Layout, TX_OVERHEAD};
use super::store;
use super::tree::MetadataView;
use super::volume::Volume;
use crate::block::{self, BlockDevice};
use crate::bufio::Client;
use crate::error::Errno;
use crate::inject::Failpoint;

const DESCRIPTOR: u32 = u32::from_le_bytes(*b"RDjd");
const COMMIT: u32 = u32::from_le_bytes(*b"RDjc");
const COUNT_AT: usize = 4;
const SEQ_AT: usize = 8;
const SUM_AT: usize = 16;
const TAGS_AT: usize = 16;
/// The salt of the filesystem, in descriptors and commit records: those of an earlier filesystem on
/// the device are not taken for damaged ones of this.
const SALT_AT: usize = BLOCK_SIZE - 8;
const _: () = assert!(TAGS_AT + 4 * super::layout::MAX_TX_BLOCKS as usize <= SALT_AT);

/// A place in the log. The journal's superblock has the one where the log begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LogPosition {
    /// The block in the ring.
    pub(super) position: u32,
    /// The sequence number of the transaction there.
    pub(super) seq: u64,
}

impl LogPosition {
    pub(super) fn decode(image: &Image) -> Self {
        Self { position: get_u32(image, image::HEADER), seq: get_u64(image, image::HEADER + 8) }
    }

    pub(super) fn encode(self, layout: &Layout, salt: u64) -> Image {
        let mut image = image::blank(BlockKind::JournalSuper, Bno(layout.journal_start));
        put_u32(&mut image, image::HEADER, self.position);
        put_u64(&mut image, image::HEADER + 8, self.seq);
        image::seal(&mut image, salt);
        image
    }

    pub(super) fn write(
        self,
        layout: &Layout,
        salt: u64,
        device: &dyn BlockDevice,
    ) -> Result<(), Errno> {
        block::write_at(device, Bno(layout.journal_start).bytes(), &self.encode(layout, salt))
    }
}

/// The journal of a mounted filesystem.
#[derive(Debug)]
pub(super) struct Journal {
    /// Where the next commit writes.
    head: LogPosition,
    /// Ring blocks between tail and head.
    used: u32,
    /// Blocks of the running transaction.
    running: BTreeSet<Bno>,
    /// Blocks that are committed, in core and not home. Blocks that a dm-bufio client took over are
    /// not here but dirty there.
    committed: BTreeSet<Bno>,
    /// Blocks freed since the last commit: after a crash they still belong to their file.
    freed: BTreeSet<Bno>,
    /// Freed metadata blocks whose images may be in the log: replay would write them over new
    /// contents (jbd2 has revoke records for that).
    freed_metadata: BTreeSet<Bno>,
    /// Blocks of which the running transaction cut off the tail: after a crash it still belongs to
    /// the file.
    cut: BTreeSet<Bno>,
    /// Where the search for a free data block begins.
    pub(super) hint: u32,
    pub(super) unmounted: bool,
}

impl Journal {
    /// An empty log that begins at `head`.
    pub(super) fn new(head: LogPosition) -> Self {
        Self {
            head,
            used: 0,
            running: BTreeSet::new(),
            committed: BTreeSet::new(),
            freed: BTreeSet::new(),
            freed_metadata: BTreeSet::new(),
            cut: BTreeSet::new(),
            hint: 0,
            unmounted: false,
        }
    }

    /// A merged handle changed `block`.
    pub(super) fn changed(&mut self, block: Bno) {
        self.running.insert(block);
    }

    /// A merged handle freed `block`.
    pub(super) fn freed(&mut self, block: Bno, metadata: bool) {
        self.running.remove(&block);
        self.committed.remove(&block);
        self.freed.insert(block);
        if metadata {
            self.freed_metadata.insert(block);
        }
    }

    /// A merged handle made a file end inside `block`.
    pub(super) fn cut(&mut self, block: Bno) {
        self.cut.insert(block);
    }

    /// Whether the bytes of `block` behind the end of its file belong to the file after a crash.
    pub(super) fn is_cut(&self, block: Bno) -> bool {
        self.cut.contains(&block)
    }

    /// Whether `block` is free but may not be allocated yet.
    pub(super) fn is_freed(&self, block: Bno) -> bool {
        self.freed.contains(&block) || self.freed_metadata.contains(&block)
    }

    /// Makes freed blocks usable; returns whether there were any.
    pub(super) fn release_freed(&mut self, volume: &Volume) -> Result<bool, Errno> {
        let any = !(self.freed.is_empty() && self.freed_metadata.is_empty());
        if any {
            self.commit(volume)?;
            self.checkpoint(volume)?;
        }
        Ok(any)
    }

    /// Makes room in the running transaction and in the log for `credits` more blocks.
    ///
    /// # Errors
    /// `ENOSPC` if the log is too small for them; `ENODEV` after unmount; `EIO` once dm-bufio
    /// failed to write metadata home; else the errors of a commit or a checkpoint.
    pub(super) fn reserve(&mut self, volume: &Volume, credits: u32) -> Result<(), Errno> {
        if self.unmounted {
            return Err(Errno::ENODEV);
        }
        volume.store.client().map_or(Ok(()), store::trusted)?;
        let layout = volume.layout();
        if credits > layout.max_tx() {
            return Err(Errno::ENOSPC);
        }
        if !self.fits(layout, credits) {
            self.commit(volume)?;
        }
        if !self.fits(layout, credits) {
            self.checkpoint(volume)?;
        }
        Ok(())
    }

    fn fits(&self, layout: &Layout, credits: u32) -> bool {
        let blocks = count(self.running.len()) + credits;
        blocks <= layout.max_tx() && self.used + blocks + TX_OVERHEAD <= layout.ring()
    }

    /// Whether the running transaction has blocks.
    pub(super) fn has_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Writes the running transaction to the log, durably. After an error it is still the running
    /// one, and the next commit writes it again to the same place.
    pub(super) fn commit(&mut self, volume: &Volume) -> Result<(), Errno> {
        if self.running.is_empty() {
            return Ok(());
        }
        let (layout, device) = (volume.layout(), &*volume.device);
        let (log, record) = self.encode(volume);
        write_ring(device, layout, self.head.position, &log)?;
        // Data, descriptor and images are durable before the commit record is written.
        block::flush(device)?;
        volume.plan.pass(&volume.sched, Failpoint::JournalCommit)?;
        let length = count(log.len() / BLOCK_SIZE);
        write_ring(device, layout, self.head.position + length, &record)?;
        block::flush(device)?;
        self.head = LogPosition {
            position: (self.head.position + length + 1) % layout.ring(),
            seq: self.head.seq + 1,
        };
        self.used += length + 1;
        self.committed.append(&mut self.running);
        self.freed.clear();
        self.cut.clear();
        self.hand_over(volume);
        Ok(())
    }

    /// Hands committed blocks over to the dm-bufio client, if there is one.
    fn hand_over(&mut self, volume: &Volume) {
        let Some(client) = volume.store.client() else { return };
        self.committed.retain(|home| {
            let image = Arc::clone(&volume.cache.lock().blocks[home].image);
            let taken = store::put(client, *home, &image);
            if taken {
                // Only now: a reader that does not find the block in core finds it in the client.
                let gone = volume.cache.lock().blocks.remove(home);
                drop(gone);
            }
            !taken
        });
    }

    /// Descriptor and images in one buffer, and the commit record.
    fn encode(&self, volume: &Volume) -> (Vec<u8>, Image) {
        let mut log = vec![0; BLOCK_SIZE * (1 + self.running.len())];
        let (descriptor, images) = log.split_at_mut(BLOCK_SIZE);
        let blocks = count(self.running.len());
        put_u32(descriptor, 0, DESCRIPTOR);
        put_u32(descriptor, COUNT_AT, blocks);
        put_u64(descriptor, SEQ_AT, self.head.seq);
        put_u64(descriptor, SALT_AT, volume.superblock.salt);
        let cache = volume.cache.lock();
        for (i, (home, to)) in
            self.running.iter().zip(images.chunks_exact_mut(BLOCK_SIZE)).enumerate()
        {
            put_u32(descriptor, TAGS_AT + 4 * i, home.0);
            to.copy_from_slice(&*cache.blocks[home].image);
        }
        let mut record = [0; BLOCK_SIZE];
        put_u32(&mut record, 0, COMMIT);
        put_u32(&mut record, COUNT_AT, blocks);
        put_u64(&mut record, SEQ_AT, self.head.seq);
        put_u64(&mut record, SALT_AT, volume.superblock.salt);
        put_u64(&mut record, SUM_AT, log_checksum(volume.superblock.salt, &log));
        (log, record)
    }

    /// The checkpoint: writes every committed block home and empties the log. The running
    /// transaction must be empty, so that the images in core and in dm-bufio are the committed
    /// ones.
    pub(super) fn checkpoint(&mut self, volume: &Volume) -> Result<(), Errno> {
        debug_assert!(self.running.is_empty(), "a checkpoint writes committed images alone");
        if self.used == 0 {
            return Ok(());
        }
        let device = &*volume.device;
        match volume.store.client() {
            None => self.write_home(volume)?,
            Some(client) => self.write_home_from(client, volume)?,
        }
        self.head.write(volume.layout(), volume.superblock.salt, device)?;
        block::flush(device)?;
        self.committed.clear();
        if let Some(client) = volume.store.client() {
            self.freed_metadata.iter().for_each(|block| client.forget(block.0.into()));
        }
        self.freed_metadata.clear();
        self.used = 0;
        Ok(())
    }

    fn write_home(&self, volume: &Volume) -> Result<(), Errno> {
        for home in &self.committed {
            volume.plan.pass(&volume.sched, Failpoint::JournalCheckpoint)?;
            let image = Arc::clone(&volume.cache.lock().blocks[home].image);
            block::write_at(&*volume.device, home.bytes(), &*image)?;
        }
        block::flush(&*volume.device)
    }

    fn write_home_from(&mut self, client: &Client, volume: &Volume) -> Result<(), Errno> {
        // The client must take now what it refused at the commit: a write past it would leave an
        // old copy in its cache.
        self.hand_over(volume);
        if !self.committed.is_empty() {
            return Err(Errno::EIO);
        }
        volume.plan.pass(&volume.sched, Failpoint::JournalCheckpoint)?;
        store::write_home(client)
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a transaction is bounded by the ring")
}

/// Writes whole blocks from ring position `position` on, and on from the ring's start at its end.
fn write_ring(
    device: &dyn BlockDevice,
    layout: &Layout,
    position: u32,
    bytes: &[u8],
) -> Result<(), Errno> {
    let position = position % layout.ring();
    let room = (layout.ring() - position) as usize * BLOCK_SIZE;
    let (here, around) = bytes.split_at(room.min(bytes.len()));
    block::write_at(device, layout.ring_block(position).bytes(), here)?;
    if around.is_empty() {
        Ok(())
    } else {
        block::write_at(device, layout.ring_block(0).bytes(), around)
    }
}

/// The checksum of descriptor and images.
pub(super) fn log_checksum(salt: u64, log: &[u8]) -> u64 {
    let mut hasher = Hasher::new(salt);
    hasher.absorb(log);
    hasher.finish()
}

/// The contents of a descriptor: the transaction's sequence number and the homes of its images.
pub(super) fn decode_descriptor(
    image: &Image,
    layout: &Layout,
    salt: u64,
) -> Option<(u64, Vec<Bno>)> {
    let blocks = get_u32(image, COUNT_AT);
    let ours = get_u32(image, 0) == DESCRIPTOR && get_u64(image, SALT_AT) == salt;
    if !ours || blocks == 0 || blocks > layout.max_tx() {
        return None;
    }
    let homes: Vec<_> =
        (0..blocks as usize).map(|i| Bno(get_u32(image, TAGS_AT + 4 * i))).collect();
    homes.iter().all(|home| layout.is_home(*home)).then(|| (get_u64(image, SEQ_AT), homes))
}

/// A commit record.
pub(super) struct CommitRecord {
    pub(super) seq: u64,
    pub(super) blocks: u32,
    /// The checksum of descriptor and images.
    pub(super) sum: u64,
}

pub(super) fn decode_commit(image: &Image, salt: u64) -> Option<CommitRecord> {
    let ours = get_u32(image, 0) == COMMIT && get_u64(image, SALT_AT) == salt;
    ours.then(|| CommitRecord {
        seq: get_u64(image, SEQ_AT),
        blocks: get_u32(image, COUNT_AT),
        sum: get_u64(image, SUM_AT),
    })
}
