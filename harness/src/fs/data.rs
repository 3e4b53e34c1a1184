//! Operations on contents: read, write, truncate, fsync.
//!
//! Key type: [`BlockPart`]; the operations are methods of [`Fs`]. There is no page cache: data
//! moves between the caller's buffer and the device. Data is on the device before the transaction
//! that refers to it is merged, so before its commit (ordered mode).
//!
//! Locking: the inode's lock (read: shared, else exclusive) > the journal > leaf locks.

use reclaimdep_scope as scope;

use super::image::{BLOCK_SIZE, Bno};
use super::inode::{DiskInode, Ino, MAX_FILE_SIZE};
use super::layout::OP_CREDITS;
use super::mount::Fs;
use super::namei::{file_inode, only_file};
use super::tree::{MetadataView, blocks_of};
use super::tx::{HandleMemory, Tx};
use super::volume::Volume;
use crate::block;
use crate::error::Errno;

/// Bytes that one transaction of a write covers at most.
const WRITE_CHUNK: u64 = 64 * BLOCK_SIZE as u64;

/// A part of one file block.
struct BlockPart {
    file_block: u64,
    within: usize,
    len: usize,
}

/// Cuts `len` bytes from `offset` on into parts of one block each.
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = BlockPart> {
    let size = BLOCK_SIZE as u64;
    let mut at = offset;
    let end = offset + len;
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let stop = ((at / size + 1) * size).min(end);
        let narrow = |n| usize::try_from(n).expect("below a block's size");
        let piece =
            BlockPart { file_block: at / size, within: narrow(at % size), len: narrow(stop - at) };
        at = stop;
        Some(piece)
    })
}

impl Fs {
    /// Reads from byte `offset` on; returns the number of bytes before the end of the file.
    ///
    /// # Errors
    /// `ENOENT` if the file is gone, `EISDIR`; `EIO` if its map is damaged or the device fails.
    pub fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        let inode = volume.iget(ino)?;
        let _inode = inode.lock.read();
        let inode = only_file(volume.disk_inode(volume, ino)?)?;
        let left = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        volume.read_data(&inode, offset, &mut buf[..len])?;
        Ok(len)
    }

    /// Writes `data` at byte `offset`; a gap before it becomes a hole.
    ///
    /// A long write is several transactions. If one fails, the earlier ones stay merged.
    ///
    /// # Errors
    /// `EFBIG`, `ENOSPC`, `EISDIR`, `ENOENT` if the file is gone; as [`Fs::begin`].
    pub fn write(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        if data.is_empty() {
            return Ok(());
        }
        let end = offset
            .checked_add(data.len() as u64)
            .filter(|end| *end <= MAX_FILE_SIZE)
            .ok_or(Errno::EFBIG)?;
        let inode = volume.iget(ino)?;
        let handle = HandleMemory::new(volume)?;
        let _inode = inode.lock.write();
        let chunk_bitmaps =
            u32::try_from(blocks_of(WRITE_CHUNK)).expect("a small constant") + OP_CREDITS;
        let credits = OP_CREDITS + volume.layout().bitmap_len.min(chunk_bitmaps);
        let mut at = offset;
        loop {
            let stop = (at / WRITE_CHUNK + 1).saturating_mul(WRITE_CHUNK).min(end);
            let range = |n: u64| usize::try_from(n - offset).expect("inside the caller's buffer");
            let part = &data[range(at)..range(stop)];
            volume.transact(&handle, credits, |tx| {
                let mut inode = file_inode(tx, ino)?;
                if stop > inode.size {
                    volume.zero_tail(tx, &inode)?;
                }
                volume.write_data(tx, &mut inode, at, part)?;
                inode.size = inode.size.max(stop);
                inode.mtime = volume.sched.now();
                tx.put_inode(ino, &inode)
            })?;
            at = stop;
            if at == end {
                return Ok(());
            }
        }
    }

    /// Sets the file's size. If the file grows, the new part is a hole.
    ///
    /// # Errors
    /// As [`Fs::write`].
    pub fn truncate(&self, ino: Ino, size: u64) -> Result<(), Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        if size > MAX_FILE_SIZE {
            return Err(Errno::EFBIG);
        }
        let inode = volume.iget(ino)?;
        let handle = HandleMemory::new(volume)?;
        let _inode = inode.lock.write();
        volume.transact(&handle, OP_CREDITS + volume.layout().bitmap_len, |tx| {
            let mut inode = file_inode(tx, ino)?;
            if size > inode.size {
                volume.zero_tail(tx, &inode)?;
            } else {
                inode.shrink(tx, blocks_of(size))?;
                if size < inode.size
                    && let Some((block, _)) = tail_of(tx, &inode, size)?
                {
                    tx.cut(block);
                }
            }
            inode.size = size;
            inode.mtime = volume.sched.now();
            tx.put_inode(ino, &inode)
        })
    }

    /// Makes the file durable, and with it everything that was merged before.
    ///
    /// # Errors
    /// `ENOENT` if the file is gone; `EDEADLK` if the world broke the wait for the journal; else
    /// the device's errno.
    pub fn fsync(&self, ino: Ino) -> Result<(), Errno> {
        let volume = &*self.0;
        let _fs = volume.enter();
        volume.iget(ino)?;
        {
            let mut journal = volume.journal.lock_breakable()?;
            let _nofs = scope::nofs();
            if journal.has_running() {
                return journal.commit(volume);
            }
        }
        block::flush(&*volume.device)
    }
}

/// Where a file of `size` bytes ends inside a block: the device block, and the bytes of it before
/// the end. `None` if the file ends between two blocks or in a hole.
fn tail_of(
    view: &impl MetadataView,
    inode: &DiskInode,
    size: u64,
) -> Result<Option<(Bno, usize)>, Errno> {
    let block = BLOCK_SIZE as u64;
    let within = usize::try_from(size % block).expect("below a block's size");
    if within == 0 {
        return Ok(None);
    }
    Ok(inode.map(view, size / block)?.map(|block| (block, within)))
}

/// A part and its device block; `None` is a hole.
type PlacedPart = (Option<Bno>, BlockPart);

/// Whether one transfer can serve both, with `b` right behind `a`.
fn adjacent(a: &PlacedPart, b: &PlacedPart) -> bool {
    match (a.0, b.0) {
        (None, None) => true,
        (Some(a), Some(b)) => b.0 == a.0 + 1,
        _ => false,
    }
}

fn length(run: &[PlacedPart]) -> usize {
    run.iter().map(|(_, piece)| piece.len).sum()
}

fn is_whole(run: &[PlacedPart]) -> bool {
    run.iter().all(|(_, piece)| piece.len == BLOCK_SIZE)
}

impl Volume {
    /// Fills `buf`, which ends before the end of the file.
    fn read_data(&self, inode: &DiskInode, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let place = |piece: BlockPart| Ok((inode.map(self, piece.file_block)?, piece));
        let placed = pieces(offset, buf.len() as u64)
            .map(place)
            .collect::<Result<Vec<PlacedPart>, Errno>>()?;
        let mut rest = buf;
        for run in placed.chunk_by(adjacent) {
            let (here, after) = rest.split_at_mut(length(run));
            match run[0].0 {
                None => here.fill(0),
                Some(start) if is_whole(run) => block::read_at(&*self.device, start.bytes(), here)?,
                Some(start) => {
                    let mut blocks = vec![0; run.len() * BLOCK_SIZE];
                    block::read_at(&*self.device, start.bytes(), &mut blocks)?;
                    here.copy_from_slice(&blocks[run[0].1.within..][..here.len()]);
                }
            }
            rest = after;
        }
        Ok(())
    }

    /// Writes `data` to the device, into blocks that the inode has or gets here.
    fn write_data(
        &self,
        tx: &mut Tx<'_>,
        inode: &mut DiskInode,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        let mut placed: Vec<PlacedPart> = Vec::new();
        let mut new = Vec::new();
        for piece in pieces(offset, data.len() as u64) {
            let (block, is_new) = inode.map_or_alloc(tx, piece.file_block)?;
            placed.push((Some(block), piece));
            new.push(is_new);
        }
        let (mut rest, mut new) = (data, new.as_slice());
        for run in placed.chunk_by(adjacent) {
            let (here, after) = rest.split_at(length(run));
            let (run_new, new_after) = new.split_at(run.len());
            let start = run[0].0.expect("every piece of a write has a block");
            if is_whole(run) {
                block::write_at(&*self.device, start.bytes(), here)?;
            } else {
                self.write_partly(start, run, run_new, here)?;
            }
            (rest, new) = (after, new_after);
        }
        Ok(())
    }

    /// Writes a run whose first or last block is not whole, and keeps the other bytes of these
    /// blocks.
    fn write_partly(
        &self,
        start: Bno,
        run: &[PlacedPart],
        new: &[bool],
        data: &[u8],
    ) -> Result<(), Errno> {
        let mut blocks = vec![0; run.len() * BLOCK_SIZE];
        for (((_, piece), is_new), (index, image)) in
            run.iter().zip(new).zip(blocks.chunks_exact_mut(BLOCK_SIZE).enumerate())
        {
            if piece.len < BLOCK_SIZE && !is_new {
                block::read_at(&*self.device, start.bytes() + (index * BLOCK_SIZE) as u64, image)?;
            }
        }
        blocks[run[0].1.within..][..data.len()].copy_from_slice(data);
        block::write_at(&*self.device, start.bytes(), &blocks)
    }

    /// Zeroes the last block beyond the end of a file that is about to grow. No task can read those
    /// bytes yet, and after a crash they are beyond the end of the file too, so it may be done
    /// before the commit. Nothing may be staged yet.
    fn zero_tail(&self, tx: &mut Tx<'_>, inode: &DiskInode) -> Result<(), Errno> {
        let Some((block, within)) = tail_of(tx, inode, inode.size)? else { return Ok(()) };
        tx.settle_tail(block)?;
        let mut image = [0; BLOCK_SIZE];
        block::read_at(&*self.device, block.bytes(), &mut image)?;
        if image[within..].iter().any(|byte| *byte != 0) {
            image[within..].fill(0);
            block::write_at(&*self.device, block.bytes(), &image)?;
        }
        Ok(())
    }
}
