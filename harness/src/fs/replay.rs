//! Replay: mount writes the committed transactions of the journal home.
//!
//! Key types: [`LogReader`], [`Recovery`]. Complete transactions are written home in order. The
//! last one may be incomplete, if the crash came before its commit record; it is dropped, because
//! no sync was acknowledged for it. If its commit record is there, it was complete once and is
//! damaged; it is dropped too, and [`Recovery`] says which of the two it is. A damaged transaction
//! before a complete one cannot be dropped, because the later one builds on it: mount refuses. No
//! locks: the filesystem is not mounted yet.

use core::fmt;
use std::collections::BTreeMap;

use super::image::{self, BLOCK_SIZE, BlockKind, Bno, Image};
use super::journal::{CommitRecord, LogPosition, decode_commit, decode_descriptor, log_checksum};
use super::layout::{DiskSuper, Layout, io_error};
use crate::block::{self, BlockDevice};
use crate::error::{Error, Result};

/// What a mount did with the journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Transactions that were written home: 0 after an unmount.
    pub replayed: u64,
    /// The transaction at the end of the log that was not written home.
    pub dropped: Option<DroppedTx>,
}

/// A transaction that a mount did not write home.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DroppedTx {
    /// The sequence number of the transaction.
    pub seq: u64,
    /// The block of the device where it begins.
    pub block: u32,
    /// The number of metadata blocks that it changed; `None` if its descriptor is damaged.
    pub blocks: Option<u32>,
    /// Why it was dropped.
    pub why: DropReason,
}

/// Why a mount dropped a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DropReason {
    /// It has no commit record: the crash came before the end of the commit, and no sync was
    /// acknowledged for it. This is normal after a crash.
    Incomplete,
    /// Its descriptor is damaged, but its commit record or a later transaction is there, so a sync
    /// may have been acknowledged for it.
    DescriptorDamaged,
    /// It has a commit record, but its blocks do not have the checksum of that record, so a sync
    /// may have been acknowledged for it.
    ChecksumWrong,
    /// A later transaction was begun, but it has no valid commit record, so a sync may have been
    /// acknowledged for it.
    CommitRecordDamaged,
}

impl DropReason {
    /// Whether the transaction was complete once, so that acknowledged data may be lost.
    #[must_use]
    pub const fn is_damage(self) -> bool {
        !matches!(self, Self::Incomplete)
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Incomplete => {
                "it has no commit record, which is normal after a crash: no sync was acknowledged \
                 for it"
            }
            Self::DescriptorDamaged => {
                "its descriptor is damaged, but the log shows that it was committed: a sync may have \
                 been acknowledged for it"
            }
            Self::ChecksumWrong => {
                "its commit record is there, but its blocks do not match the checksum: it is \
                 damaged, and a sync may have been acknowledged for it"
            }
            Self::CommitRecordDamaged => {
                "its commit record is damaged, because a later transaction was begun: a sync may \
                 have been acknowledged for it"
            }
        }
    }
}

impl fmt::Display for DroppedTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, block, blocks, why } = self;
        write!(f, "transaction {seq} at block {block}")?;
        if let Some(blocks) = blocks {
            write!(f, ", which changed {blocks} metadata blocks,")?;
        }
        write!(f, " was dropped: {}", why.sentence())
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replayed, dropped } = self;
        write!(f, "transactions replayed: {replayed}")?;
        dropped.as_ref().map_or(Ok(()), |dropped| write!(f, "; {dropped}"))
    }
}

/// A journal that is being read.
struct LogReader<'a> {
    device: &'a dyn BlockDevice,
    layout: Layout,
    salt: u64,
}

/// A complete transaction.
struct LoggedTx {
    seq: u64,
    /// Ring blocks.
    length: u32,
    homes: Vec<Bno>,
    /// Descriptor, then the images.
    log: Vec<u8>,
}

/// Replays the journal of `device`; returns where its empty log begins, and what was done.
///
/// # Errors
/// If the device cannot be read or written, or if the journal is damaged.
pub(super) fn replay(
    device: &dyn BlockDevice,
    superblock: &DiskSuper,
) -> Result<(LogPosition, Recovery)> {
    let DiskSuper { layout, salt, clean } = *superblock;
    let this = LogReader { device, layout, salt };
    let tail = this.tail()?;
    if clean {
        return Ok((tail, Recovery::default()));
    }
    let mut images = BTreeMap::new();
    let (mut head, mut left) = (tail, layout.ring());
    let mut why = "the log ends here";
    while left > 0 {
        match this.transaction(head.position)? {
            Ok(logged) if logged.seq == head.seq && logged.length <= left => {
                head = LogPosition {
                    position: (head.position + logged.length) % layout.ring(),
                    seq: head.seq + 1,
                };
                left -= logged.length;
                let (blocks, _) = logged.log[BLOCK_SIZE..].as_chunks::<BLOCK_SIZE>();
                images.extend(logged.homes.into_iter().zip(blocks.iter().copied()));
            }
            Ok(_) => {
                why = "another transaction is there";
                break;
            }
            Err(damage) => {
                why = damage;
                break;
            }
        }
    }
    this.refuse_gap(head, why)?;
    let recovery = Recovery { replayed: head.seq - tail.seq, dropped: this.dropped(head)? };
    if recovery.dropped.is_some() {
        // Blocks of it, and of one begun after it, stay in the ring. Their numbers are not used
        // again, so that they are never taken for parts of a new transaction.
        head.seq += 2;
    }
    this.write_home(&images, head)?;
    Ok((head, recovery))
}

impl LogReader<'_> {
    fn read(&self, block: Bno) -> Result<Image> {
        let mut image = [0; BLOCK_SIZE];
        block::read_at(self.device, block.bytes(), &mut image)
            .map_err(|errno| io_error("read", self.device, block, errno))?;
        Ok(image)
    }

    fn tail(&self) -> Result<LogPosition> {
        let block = Bno(self.layout.journal_start);
        let image = self.read(block)?;
        let damaged = |what: String| {
            Error::corrupt(format!("the journal on {} is damaged: {what}", self.device.name()))
                .advice("restore the device from a copy, or make the filesystem again")
        };
        image::check(&image, BlockKind::JournalSuper, block, self.salt)
            .map_err(|defect| damaged(defect.to_string()))?;
        let tail = LogPosition::decode(&image);
        if tail.position >= self.layout.ring() || tail.seq > u64::MAX / 2 {
            return Err(damaged(format!(
                "{block} says that the log begins at {}, transaction {}",
                tail.position, tail.seq
            )));
        }
        Ok(tail)
    }

    /// The transaction at a ring position, or why there is no complete one.
    fn transaction(&self, position: u32) -> Result<Result<LoggedTx, &'static str>> {
        let ring = |offset: u32| self.read(self.layout.ring_block(position + offset));
        let descriptor = ring(0)?;
        let Some((seq, homes)) = decode_descriptor(&descriptor, &self.layout, self.salt) else {
            return Ok(Err("no descriptor is there"));
        };
        let mut log = descriptor.to_vec();
        let mut offset = 1;
        for _ in &homes {
            log.extend_from_slice(&ring(offset)?);
            offset += 1;
        }
        let Some(CommitRecord { sum, .. }) = decode_commit(&ring(offset)?, self.salt)
            .filter(|record| record.seq == seq && record.blocks as usize == homes.len())
        else {
            return Ok(Err("its commit record is missing"));
        };
        if log_checksum(self.salt, &log) != sum {
            return Ok(Err("its checksum does not match"));
        }
        Ok(Ok(LoggedTx { seq, length: offset + 1, homes, log }))
    }

    /// What is there of the transaction at `head`, where no complete one is; `None` if it was never
    /// begun.
    fn dropped(&self, head: LogPosition) -> Result<Option<DroppedTx>> {
        let (mut recorded, mut later) = (false, false);
        for position in 0..self.layout.ring() {
            let image = self.read(self.layout.ring_block(position))?;
            recorded |=
                decode_commit(&image, self.salt).is_some_and(|record| record.seq == head.seq);
            later |= decode_descriptor(&image, &self.layout, self.salt)
                .is_some_and(|(seq, _)| seq == head.seq + 1);
        }
        let block = self.layout.ring_block(head.position);
        let begun = decode_descriptor(&self.read(block)?, &self.layout, self.salt)
            .filter(|(seq, _)| *seq == head.seq)
            .map(|(_, homes)| u32::try_from(homes.len()).expect("as many as one block names"));
        let why = match (begun, recorded, later) {
            (None, false, false) => return Ok(None),
            (None, ..) => DropReason::DescriptorDamaged,
            (Some(_), true, _) => DropReason::ChecksumWrong,
            (Some(_), false, true) => DropReason::CommitRecordDamaged,
            (Some(_), false, false) => DropReason::Incomplete,
        };
        Ok(Some(DroppedTx { seq: head.seq, block: block.0, blocks: begun, why }))
    }

    /// Refuses a log in which a complete transaction stands behind `head`, where none was found.
    fn refuse_gap(&self, head: LogPosition, why: &str) -> Result<()> {
        let Self { device, layout, .. } = self;
        for position in 0..layout.ring() {
            let Ok(LoggedTx { seq, .. }) = self.transaction(position)? else {
                continue;
            };
            if seq > head.seq {
                let (damaged, later) =
                    (layout.ring_block(head.position), layout.ring_block(position));
                let (name, expected) = (device.name(), head.seq);
                return Err(Error::corrupt(format!(
                    "the journal on {name} is damaged: {damaged} should begin transaction {expected}, but {why}, \
                     while transaction {seq} at {later} is complete"
                ))
                .advice("restore the device from a copy; to give up what the journal holds, make the filesystem again"));
            }
        }
        Ok(())
    }

    fn write_home(&self, images: &BTreeMap<Bno, Image>, head: LogPosition) -> Result<()> {
        let failed = |block| move |errno| io_error("write", self.device, block, errno);
        for (home, image) in images {
            block::write_at(self.device, home.bytes(), image).map_err(failed(*home))?;
        }
        let journal = Bno(self.layout.journal_start);
        block::flush(self.device).map_err(failed(journal))?;
        head.write(&self.layout, self.salt, self.device).map_err(failed(journal))?;
        block::flush(self.device).map_err(failed(journal))
    }
}
