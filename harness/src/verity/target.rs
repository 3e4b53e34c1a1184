//! `Target`: reads a data block and checks it against the tree.
//!
//! Key types: [`Target`], [`Failure`]. The walk begins at the lowest hash block on the path that
//! was checked already, or at the root digest. From there it goes down, and checks each hash block
//! before it uses a digest in it. A block that does not match fails with `EIO`;
//! [`Target::failures`] says which block, and why.
//!
//! Locking: the leaf lock of the failures; dm-bufio's in its calls.

use std::fmt;
use std::sync::Arc;

use super::hashes::Hashes;
use super::superblock::{SUPERBLOCK_SIZE, Superblock};
use super::tree::{DIGEST_SIZE, Digest, Tree, digest};
use crate::block::{self, BlockDevice};
use crate::bufio::{ClientOptions, ClientParts};
use crate::era::Knobs;
use crate::error::{Errno, Error, Result};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::mm::policy::Node;
use crate::sched::{Sched, SpinLock, WorkQueue, harness_side};

/// Failures that a target keeps.
pub const MAX_FAILURES: usize = 64;

/// The devices and other parts that a target is made from.
pub struct TargetParts {
    /// The world.
    pub sched: Sched,
    /// Its memory.
    pub mm: Mm,
    /// Its plan.
    pub plan: Plan,
    /// The era's behaviours.
    pub knobs: Knobs,
    /// The device with the data.
    pub data: Arc<dyn BlockDevice>,
    /// The device with the superblock and the tree; it may be the same.
    pub hash: Arc<dyn BlockDevice>,
    /// The hash device's node in the topology, for policies; `None` where it has none.
    pub node: Option<Node>,
    /// The queue that the work-queue shrinker form evicts on.
    pub cleaner: Option<WorkQueue>,
}

/// How to open a target.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// Where the superblock begins on the hash device, in bytes: whole sectors.
    pub hash_offset: u64,
    /// The cache of hash blocks. Its block size is ignored: the image says it.
    pub cache: ClientOptions,
}

/// A block that could not be read, or whose digest did not match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailedBlock {
    /// A block of the data device.
    Data {
        /// Its number.
        block: u64,
    },
    /// A block of the hash device.
    Hash {
        /// The tree's level; 0 holds the digests of data blocks.
        level: usize,
        /// Its number, counted from the device's start.
        block: u64,
    },
}

/// Why a block failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureReason {
    /// Its digest is not the one that the tree has.
    Mismatch,
    /// It could not be read.
    Unreadable(Errno),
}

/// A block that a read failed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Which block.
    pub place: FailedBlock,
    /// Why.
    pub why: FailureReason,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            FailedBlock::Data { block } => write!(f, "data block {block}")?,
            FailedBlock::Hash { level, block } => write!(f, "hash block {block} of level {level}")?,
        }
        match self.why {
            FailureReason::Mismatch => f.write_str(" has another digest"),
            FailureReason::Unreadable(errno) => write!(f, " cannot be read: {errno}"),
        }
    }
}

/// An open verity image.
pub struct Target {
    name: String,
    superblock: Superblock,
    tree: Tree,
    root: Digest,
    data: Arc<dyn BlockDevice>,
    hashes: Hashes,
    failures: SpinLock<Vec<Failure>>,
}

impl Target {
    /// Opens the image whose root digest is `root`, which alone is trusted.
    ///
    /// # Errors
    /// As [`Superblock::parse`]; `Os` where the superblock cannot be read; `Corrupt` where a device
    /// is shorter than the image says; as [`crate::bufio::Client::create`]. A wrong root shows with
    /// the first block that is read.
    pub fn open(
        parts: TargetParts,
        name: &str,
        root: Digest,
        options: &TargetOptions,
    ) -> Result<Self> {
        let _side = harness_side();
        let TargetParts { sched, mm, plan, knobs, data, hash, node, cleaner } = parts;
        let mut bytes = [0; SUPERBLOCK_SIZE];
        block::read_at(&*hash, options.hash_offset, &mut bytes).map_err(|errno| {
            Error::os(format!("verity `{name}`: its superblock cannot be read")).because(errno)
        })?;
        let superblock = Superblock::parse(&bytes)?;
        let block_size = superblock.hash_block_size;
        let first = options.hash_offset.saturating_add(SUPERBLOCK_SIZE as u64);
        let first = first.div_ceil(block_size.into());
        let tree = Tree::new(&superblock, first)?;
        for (what, device, needed) in [
            ("data", &data, superblock.data_bytes()),
            ("hash", &hash, tree.end() * u64::from(block_size)),
        ] {
            let has = device.sectors().bytes();
            if has < needed {
                return Err(Error::corrupt(format!(
                    "verity `{name}`: its {what} device has {has} bytes and should have {needed}"
                )));
            }
        }
        let cache = ClientOptions { block_size, ..options.cache.clone() };
        let parts = ClientParts { sched, mm, plan, knobs, device: hash, node, cleaner };
        let hashes = Hashes::new(parts, cache)?;
        let (name, failures) = (name.to_owned(), SpinLock::default());
        Ok(Self { name, superblock, tree, root, data, hashes, failures })
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The image's superblock.
    #[must_use]
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The image's tree.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Reads `buf` from byte `offset`, checked.
    ///
    /// # Errors
    /// `EINVAL` for an extent that is not whole data blocks, or ends behind the last; `EIO` where a
    /// block on the path cannot be read or does not match ([`Target::failures`] says which). Then
    /// `buf` holds only bytes that were checked.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let _side = harness_side();
        let size = self.block_size();
        let end = offset.checked_add(buf.len() as u64).ok_or(Errno::EINVAL)?;
        let whole = offset.is_multiple_of(size as u64) && buf.len().is_multiple_of(size);
        if !whole || end > self.superblock.data_bytes() {
            return Err(Errno::EINVAL);
        }
        let blocks = offset / size as u64..end / size as u64;
        self.prefetch(&blocks);
        for (block, buf) in blocks.zip(buf.chunks_mut(size)) {
            if let Err(failure) = self.read_block(block, buf) {
                buf.fill(0);
                self.note(failure);
                return Err(Errno::EIO);
            }
        }
        Ok(())
    }

    /// Reads and checks every block.
    ///
    /// # Errors
    /// The first failure.
    pub fn verify(&self) -> Result<(), Failure> {
        let _side = harness_side();
        let mut buf = vec![0; self.block_size()];
        (0..self.superblock.data_blocks).try_for_each(|block| {
            self.read_block(block, &mut buf).inspect_err(|failure| self.note(*failure))
        })
    }

    /// The first failures, in order; at most [`MAX_FAILURES`].
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        self.failures.lock().clone()
    }

    fn note(&self, failure: Failure) {
        let mut failures = self.failures.lock();
        if failures.len() < MAX_FAILURES {
            failures.push(failure);
        }
    }

    fn block_size(&self) -> usize {
        usize::try_from(self.superblock.data_block_size).expect("a checked block size")
    }

    /// Prefetches the hash blocks of every level that a read of several blocks needs.
    fn prefetch(&self, blocks: &std::ops::Range<u64>) {
        let Some(last) = blocks.end.checked_sub(1).filter(|last| *last > blocks.start) else {
            return;
        };
        for level in (0..self.tree.levels()).rev() {
            let first = self.tree.slot(level, blocks.start).block;
            self.hashes.prefetch(first..self.tree.slot(level, last).block + 1);
        }
    }

    fn read_block(&self, block: u64, buf: &mut [u8]) -> Result<(), Failure> {
        let failed = |why| Failure { place: FailedBlock::Data { block }, why };
        let offset = block * u64::from(self.superblock.data_block_size);
        block::read_at(&*self.data, offset, buf)
            .map_err(|errno| failed(FailureReason::Unreadable(errno)))?;
        let expected = self.expected(block)?;
        if digest(&self.superblock, buf) == expected {
            Ok(())
        } else {
            Err(failed(FailureReason::Mismatch))
        }
    }

    /// The digest that data block `block` must have, from checked hash blocks alone.
    fn expected(&self, block: u64) -> Result<Digest, Failure> {
        let levels = self.tree.levels();
        let known = (0..levels).find_map(|level| {
            let slot = self.tree.slot(level, block);
            let buffer = self.hashes.checked(slot.block)?;
            Some((level, buffer.with_data(|data| digest_at(data, slot.offset))))
        });
        let (above, mut expected) = known.unwrap_or((levels, self.root));
        for level in (0..above).rev() {
            expected = self.step(level, block, expected)?;
        }
        Ok(expected)
    }

    /// Checks that the hash block of `level` has digest `expected`; returns the digest in it that
    /// is on the path to data block `block`.
    fn step(&self, level: usize, block: u64, expected: Digest) -> Result<Digest, Failure> {
        let slot = self.tree.slot(level, block);
        let failed = |why| Failure { place: FailedBlock::Hash { level, block: slot.block }, why };
        let (buffer, checked) = self
            .hashes
            .read(slot.block)
            .map_err(|errno| failed(FailureReason::Unreadable(errno)))?;
        let (found, next) = buffer.with_data(|data| {
            let found = if checked { expected } else { digest(&self.superblock, data) };
            (found, digest_at(data, slot.offset))
        });
        if found != expected {
            return Err(failed(FailureReason::Mismatch));
        }
        if !checked {
            Hashes::mark(&buffer);
        }
        Ok(next)
    }

    /// Frees the cache.
    ///
    /// # Errors
    /// As [`crate::bufio::Client::destroy`].
    pub fn close(&self) -> Result<()> {
        self.hashes.close()
    }
}

fn digest_at(block: &[u8], offset: usize) -> Digest {
    block[offset..offset + DIGEST_SIZE].try_into().expect("a slot is inside its block")
}
