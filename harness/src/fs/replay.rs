//! Replay: mount writes the committed transactions of the journal home.
//!
//! Key type: [`LogReader`]. Complete transactions are written home in order. The last one may be
//! torn, if the crash came before its commit record; it is ignored, because no sync was
//! acknowledged for it. A damaged transaction before a complete one was complete once, so
//! acknowledged data is lost, and mount refuses. No locks: the filesystem is not mounted yet.

use std::collections::BTreeMap;

use super::image::{self, BLOCK_SIZE, BlockKind, Bno, Image};
use super::journal::{LogPosition, decode_commit, decode_descriptor, log_checksum};
use super::layout::{DiskSuper, Layout, io_error};
use crate::block::{self, BlockDevice};
use crate::error::{Error, Result};

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

/// Replays the journal of `device` and returns where its empty log begins.
///
/// # Errors
/// If the device cannot be read or written, or if the journal is damaged.
pub(super) fn replay(device: &dyn BlockDevice, superblock: &DiskSuper) -> Result<LogPosition> {
    let DiskSuper { layout, salt, clean } = *superblock;
    let this = LogReader { device, layout, salt };
    let tail = this.tail()?;
    if clean {
        return Ok(tail);
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
    this.write_home(&images, head)?;
    Ok(head)
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
        let Some((seq, homes)) = decode_descriptor(&descriptor, &self.layout) else {
            return Ok(Err("no descriptor is there"));
        };
        let mut log = descriptor.to_vec();
        let mut offset = 1;
        for _ in &homes {
            log.extend_from_slice(&ring(offset)?);
            offset += 1;
        }
        let Some(expected) = decode_commit(&ring(offset)?, seq, homes.len()) else {
            return Ok(Err("its commit record is missing"));
        };
        if log_checksum(self.salt, &log) != expected {
            return Ok(Err("its checksum does not match"));
        }
        Ok(Ok(LoggedTx { seq, length: offset + 1, homes, log }))
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
