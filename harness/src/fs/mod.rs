//! A small journalled filesystem, with a disk format, crashes and a replay that are real.
//!
//! Key types: [`Fs`], [`Tx`], [`File`], [`Metadata`]. It is the layer below a loop device: a write
//! to one of its files begins a transaction, a transaction holds the journal, and allocations
//! inside it are NOFS. It has one directory, no page cache and no inode reclaim. Data goes straight
//! to the device. Metadata stays in core until unmount, or a dm-bufio client keeps it, which
//! reclaim may shrink ([`Metadata`]). Neighbours: `block` below, `bufio` beside it, `stack` builds
//! it.
//!
//! | module | holds |
//! |---|---|
//! | `mount` | [`Fs`], [`mkfs`], mount, unmount |
//! | `namei`, `data`, `file` | the operations on names and on contents; [`File`]: an open file |
//! | `volume`, `store` | blocks and inodes in core; where committed metadata is kept |
//! | `tx` | [`Tx`]: a transaction handle |
//! | `journal`, `replay` | the log: commit, checkpoint; replay at mount |
//! | `layout`, `image`, `inode`, `tree`, `bitmap`, `directory` | the disk format |
//! | `fuse` | the same filesystem, served to the kernel (feature `loop`) |
//!
//! Locking: "directory" (the root) > "inode" > "journal" > "metadata" > dm-bufio's > leaf locks.
//!
//! These are lock classes. The journal is held from begin to commit, also over I/O. "metadata" is
//! held shared by readers of the dm-bufio client, and exclusively while the client is destroyed.
//! The root has a class of its own, so that unlink, which holds the root and an inode, does not
//! nest one class in itself.
//!
//! Written from docs/kernel/filesystem.md.

mod bitmap;
mod data;
mod directory;
mod file;
#[cfg(all(feature = "loop", target_os = "linux"))]
mod fuse;
mod image;
mod inode;
mod journal;
mod layout;
mod mount;
mod namei;
mod replay;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod tx;
mod volume;

pub use directory::{Dirent, MAX_NAME};
pub use file::File;
#[cfg(all(feature = "loop", target_os = "linux"))]
pub use fuse::{FuseFs, ServeHook};
pub use inode::{FileKind, Ino, MAX_FILE_SIZE, Stat};
pub use layout::Format;
pub use mount::{Fs, mkfs, mkfs_with};
pub use namei::Statfs;
pub use replay::{DropReason, DroppedTx, Recovery};
pub use store::Metadata;
pub use tx::Tx;
