//! `Target`: reading a data block, and walking the tree to know whether it is the one that was
//! meant.
//!
//! Key types: [`Target`], [`Failure`]. A walk begins at the lowest hash block that is known to be
//! good, and at the root digest where none is; it goes down from there, checking each block before
//! it believes a digest in it. What does not match fails with `EIO`, and [`Target::failures`] says
//! what and where.

use std::fmt;
use std::sync::Arc;

use super::hashes::Hashes;
use super::superblock::{SUPERBLOCK_SIZE, Superblock};
use super::tree::{DIGEST_SIZE, Digest, Tree, digest};
use crate::block::{self, BlockDevice};
use crate::bufio::{ClientOptions, Parts as ClientParts};
use crate::era::Knobs;
use crate::error::{Errno, Error, Result};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::mm::policy::Node;
use crate::sched::{Sched, SpinLock, WorkQueue, quiet};
use crate::units::SECTOR_SIZE;

/// Failures that a target keeps to tell of.
pub const MAX_FAILURES: usize = 64;

/// What a target is made from.
pub struct Parts {
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
    /// Where the hash device stands in the stack, for policies; none where nobody recorded it.
    pub node: Option<Node>,
    /// The queue that the work-queue shrinker form evicts on.
    pub cleaner: Option<WorkQueue>,
}

/// How to open a target.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the superblock begins on the hash device, in bytes: whole sectors.
    pub hash_offset: u64,
    /// The cache of hash blocks; the image says how long a block is.
    pub cache: ClientOptions,
}

/// Which block could not be given out or believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A block of the data device.
    Data {
        /// Which.
        block: u64,
    },
    /// A block of the hash device.
    Hash {
        /// The tree's level; 0 holds the digests of data blocks.
        level: usize,
        /// Which, counted from the device's start.
        block: u64,
    },
}

/// What was wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its digest is another.
    Mismatch,
    /// It could not be read.
    Unreadable(Errno),
}

/// A block that a read failed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Which block.
    pub place: Place,
    /// What was wrong.
    pub why: Why,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Data { block } => write!(f, "data block {block}")?,
            Place::Hash { level, block } => write!(f, "hash block {block} of level {level}")?,
        }
        match self.why {
            Why::Mismatch => f.write_str(" has another digest"),
            Why::Unreadable(errno) => write!(f, " cannot be read: {errno}"),
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
    /// is shorter than the image says; as [`Client::create`]. A wrong root shows with the first
    /// block that is read.
    pub fn open(parts: Parts, name: &str, root: Digest, options: &Options) -> Result<Self> {
        let _ours = quiet();
        let Parts { sched, mm, plan, knobs, data, hash, node, cleaner } = parts;
        let mut bytes = [0; SUPERBLOCK_SIZE];
        block::read_at(&*hash, options.hash_offset, &mut bytes).map_err(|errno| {
            Error::os(format!("verity `{name}`: its superblock cannot be read")).because(errno)
        })?;
        let superblock = Superblock::parse(&bytes)?;
        let block_size = superblock.hash_block_size;
        let first = (options.hash_offset + SUPERBLOCK_SIZE as u64).div_ceil(block_size.into());
        let tree = Tree::new(&superblock, first)?;
        for (what, device, needed) in [
            ("data", &data, superblock.data_bytes()),
            ("hash", &hash, tree.end() * u64::from(block_size)),
        ] {
            let has = device.sectors().0 * SECTOR_SIZE;
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

    /// What reports call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the image says of itself.
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
    /// `EINVAL` for an extent that is not whole data blocks, or ends behind the last; `EIO` where
    /// anything on the way cannot be read or does not match: [`Target::failures`] says what. `buf`
    /// then holds nothing that was not checked.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let _ours = quiet();
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
        let _ours = quiet();
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

    /// Brings in the hash blocks of level 0 that a long read needs, and those above them.
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
        let failed = |why| Failure { place: Place::Data { block }, why };
        let offset = block * u64::from(self.superblock.data_block_size);
        block::read_at(&*self.data, offset, buf).map_err(|errno| failed(Why::Unreadable(errno)))?;
        let expected = self.expected(block)?;
        if digest(&self.superblock, buf) == expected { Ok(()) } else { Err(failed(Why::Mismatch)) }
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

    /// Goes one level down: the hash block of `level`, whose digest must be `expected`, and the
    /// digest in it.
    fn step(&self, level: usize, block: u64, expected: Digest) -> Result<Digest, Failure> {
        let slot = self.tree.slot(level, block);
        let failed = |why| Failure { place: Place::Hash { level, block: slot.block }, why };
        let (buffer, checked) =
            self.hashes.read(slot.block).map_err(|errno| failed(Why::Unreadable(errno)))?;
        let (found, next) = buffer.with_data(|data| {
            let found = if checked { expected } else { digest(&self.superblock, data) };
            (found, digest_at(data, slot.offset))
        });
        if found != expected {
            return Err(failed(Why::Mismatch));
        }
        if !checked {
            Hashes::mark(&buffer);
        }
        Ok(next)
    }

    /// Frees the cache.
    ///
    /// # Errors
    /// As [`Client::destroy`].
    pub fn close(&self) -> Result<()> {
        self.hashes.close()
    }
}

fn digest_at(block: &[u8], offset: usize) -> Digest {
    block[offset..offset + DIGEST_SIZE].try_into().expect("a slot is inside its block")
}
