//! Directory blocks: 63 entries of 64 bytes, an inode number and a name.
//!
//! Key type: [`Dirent`]. There is one directory, the root; its blocks are the root inode's direct
//! ones. Locking: a change needs "directory" exclusively, a look-up needs it shared.

use super::image::{BLOCK_SIZE, BlockKind, Bno, HEADER, Image, PAYLOAD, get_u32, put_u32};
use super::inode::{DiskInode, Ino};
use super::tree::{DIRECT, MetadataView};
use super::tx::Tx;
use crate::error::Errno;

const ENTRY_SIZE: usize = 64;
const ENTRIES: usize = PAYLOAD / ENTRY_SIZE;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 60;

/// A directory entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dirent {
    /// The inode's number.
    pub ino: Ino,
    /// The entry's name.
    pub name: String,
}

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    block: Bno,
    at: usize,
}

/// # Errors
/// `ENAMETOOLONG`; `EINVAL` for a name that no file can have.
pub(super) fn check_name(name: &str) -> Result<(), Errno> {
    if name.len() > MAX_NAME {
        return Err(Errno::ENAMETOOLONG);
    }
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if bad { Err(Errno::EINVAL) } else { Ok(()) }
}

fn entry_at(index: usize) -> usize {
    HEADER + index * ENTRY_SIZE
}

/// The blocks of the directory whose inode is `root`.
fn blocks(view: &impl MetadataView, root: &DiskInode) -> Result<Vec<Bno>, Errno> {
    (0..DIRECT as u64).filter_map(|i| root.map(view, i).transpose()).collect()
}

fn decode(image: &Image, at: usize) -> Result<Option<Dirent>, Errno> {
    let ino = get_u32(image, at);
    if ino == 0 {
        return Ok(None);
    }
    let bytes = &image[at + 4..at + ENTRY_SIZE];
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(MAX_NAME);
    let name = core::str::from_utf8(&bytes[..len]).map_err(|_| Errno::EIO)?;
    Ok(Some(Dirent { ino: Ino(ino), name: name.to_owned() }))
}

/// Every entry, in the order of the blocks.
pub(super) fn list(view: &impl MetadataView, root: &DiskInode) -> Result<Vec<Dirent>, Errno> {
    let mut entries = Vec::new();
    for block in blocks(view, root)? {
        let image = view.meta(BlockKind::Directory, block)?;
        for index in 0..ENTRIES {
            entries.extend(decode(&image, entry_at(index))?);
        }
    }
    Ok(entries)
}

/// Finds `name`.
///
/// # Errors
/// `ENOENT`; as [`MetadataView::meta`].
pub(super) fn find(
    view: &impl MetadataView,
    root: &DiskInode,
    name: &str,
) -> Result<(Place, Ino), Errno> {
    let mut wanted = [0; MAX_NAME];
    wanted.get_mut(..name.len()).ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(name.as_bytes());
    for block in blocks(view, root)? {
        let image = view.meta(BlockKind::Directory, block)?;
        for at in (0..ENTRIES).map(entry_at) {
            let ino = get_u32(&*image, at);
            if ino != 0 && image[at + 4..at + ENTRY_SIZE] == wanted {
                return Ok((Place { block, at }, Ino(ino)));
            }
        }
    }
    Err(Errno::ENOENT)
}

/// Adds an entry. A full directory grows by a block.
///
/// # Errors
/// `ENOSPC` if it cannot grow; as [`Tx::meta_mut`].
pub(super) fn add(
    tx: &mut Tx<'_>,
    root: &mut DiskInode,
    name: &str,
    ino: Ino,
) -> Result<(), Errno> {
    let Place { block, at } = free_place(tx, root)?;
    let image = tx.meta_mut(BlockKind::Directory, block)?;
    put_u32(image, at, ino.0);
    image[at + 4..at + ENTRY_SIZE].fill(0);
    image[at + 4..at + 4 + name.len()].copy_from_slice(name.as_bytes());
    Ok(())
}

fn free_place(tx: &mut Tx<'_>, root: &mut DiskInode) -> Result<Place, Errno> {
    let known = blocks(tx, root)?;
    for block in &known {
        let image = tx.meta(BlockKind::Directory, *block)?;
        if let Some(at) = (0..ENTRIES).map(entry_at).find(|at| get_u32(&*image, *at) == 0) {
            return Ok(Place { block: *block, at });
        }
    }
    if known.len() == DIRECT {
        return Err(Errno::ENOSPC);
    }
    let (block, _) = root.root_or_alloc(tx, known.len(), Some(BlockKind::Directory))?;
    root.size += BLOCK_SIZE as u64;
    Ok(Place { block, at: entry_at(0) })
}

/// Removes an entry.
pub(super) fn remove(tx: &mut Tx<'_>, place: Place) -> Result<(), Errno> {
    let image = tx.meta_mut(BlockKind::Directory, place.block)?;
    image[place.at..place.at + ENTRY_SIZE].fill(0);
    Ok(())
}
