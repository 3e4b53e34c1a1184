//! Directory blocks: 63 entries of 64 bytes, an inode number and a name.
//!
//! Key type: [`Dirent`]. There is one directory, the root; its blocks are the root inode's direct
//! ones. Locking: a change needs "directory" exclusively, a look-up needs it shared.

use super::image::{BLOCK_SIZE, BlockKind, Bno, HEADER, Image, PAYLOAD, get_u32, put_u32};
use super::inode::{DiskInode, FileKind, Ino};
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

/// The entry at `at`; `None` where there is none.
///
/// # Errors
/// `EIO` for a name that no file can have, and for the root, which has no name.
fn decode(image: &Image, at: usize) -> Result<Option<Dirent>, Errno> {
    let ino = Ino(get_u32(image, at));
    if ino == Ino(0) {
        return Ok(None);
    }
    let bytes = &image[at + 4..at + ENTRY_SIZE];
    let (name, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(MAX_NAME));
    let name = core::str::from_utf8(name).map_err(|_| Errno::EIO)?;
    let possible = ino != Ino::ROOT && check_name(name).is_ok() && rest.iter().all(|b| *b == 0);
    possible.then(|| Some(Dirent { ino, name: name.to_owned() })).ok_or(Errno::EIO)
}

/// Every entry, in the order of the blocks.
///
/// # Errors
/// `EIO` if an entry is damaged; as [`MetadataView::meta`].
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

/// Whether an entry other than the one at `except` has the same inode or the same name.
fn is_shared(
    view: &impl MetadataView,
    root: &DiskInode,
    except: Option<Place>,
    entry: (Ino, &[u8]),
) -> Result<bool, Errno> {
    for block in blocks(view, root)? {
        let image = view.meta(BlockKind::Directory, block)?;
        for at in (0..ENTRIES).map(entry_at).filter(|at| except != Some(Place { block, at: *at })) {
            let ino = Ino(get_u32(&*image, at));
            if ino != Ino(0) && (ino == entry.0 || &image[at + 4..at + ENTRY_SIZE] == entry.1) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Finds `name` and checks, before any lock of the inode is taken, that the entry is one that this
/// filesystem writes: it names a file, and no other entry does.
///
/// # Errors
/// `ENOENT`; `EIO` if the entry or its inode is damaged; as [`MetadataView::meta`].
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
            let ino = Ino(get_u32(&*image, at));
            if ino != Ino(0) && image[at + 4..at + ENTRY_SIZE] == wanted {
                decode(&image, at)?;
                let place = Place { block, at };
                let is_shared = is_shared(view, root, Some(place), (ino, &wanted))?;
                let healthy = !is_shared && is_file(view, ino)?;
                return if healthy { Ok((place, ino)) } else { Err(Errno::EIO) };
            }
        }
    }
    Err(Errno::ENOENT)
}

/// Whether the inode is that of a file: it is in the table, in use, and not a directory.
fn is_file(view: &impl MetadataView, ino: Ino) -> Result<bool, Errno> {
    let Ok((block, slot)) = ino.place(view.layout()) else { return Ok(false) };
    let image = view.meta(BlockKind::InodeTable, block)?;
    Ok(DiskInode::decode(&image, slot)?.is_some_and(|inode| inode.kind == FileKind::File))
}

/// Adds an entry. A full directory grows by a block.
///
/// # Errors
/// `ENOSPC` if it cannot grow; `EIO` if an entry names the inode already, although it was free; as
/// [`Tx::meta_mut`].
pub(super) fn add(
    tx: &mut Tx<'_>,
    root: &mut DiskInode,
    name: &str,
    ino: Ino,
) -> Result<(), Errno> {
    if is_shared(tx, root, None, (ino, &[]))? {
        return Err(Errno::EIO);
    }
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
