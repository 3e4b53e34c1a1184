//! A small journalled filesystem: thin, but with a real disk format, real crashes and real replay.
//!
//! It is the layer below a loop device: writing to one of its files begins a transaction, a
//! transaction holds the journal, and an allocation made inside one is NOFS. It has one directory,
//! no page cache and no inode reclaim: data goes straight to the device, and metadata stays in core
//! until unmount, or is kept in a dm-bufio client, which reclaim may shrink ([`Metadata`]).
//!
//! | module | holds |
//! |---|---|
//! | `mount` | [`Fs`], [`mkfs`], mount, unmount |
//! | `namei`, `data`, `file` | the operations: on names, on contents; [`File`], an open file |
//! | `volume`, `store` | the mounted state: in-core blocks and inodes; who keeps committed metadata |
//! | `tx` | [`Tx`]: a transaction handle |
//! | `journal`, `replay` | the log: commit, checkpoint; what mount does with it |
//! | `layout`, `image`, `inode`, `tree`, `bitmap`, `directory` | the disk format |
//! | `fuse` | the same filesystem, served to the kernel (feature `loop`) |
//!
//! Locking, outermost first: the root's rwsem (class "directory") > an inode's (class "inode") >
//! the journal (class "journal", held from begin to commit) > the end of dm-bufio's client (class
//! "metadata", shared by who reads from it) > dm-bufio's > leaf locks. I/O is done under the
//! journal. The root has a class of its own, so that unlink, which holds both, does not nest one
//! class. Written from the project's description of storage, section 3.

mod bitmap;
mod data;
mod directory;
mod file;
#[cfg(all(feature = "loop", target_os = "linux"))]
pub mod fuse;
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
pub use inode::{FileKind, Ino, MAX_FILE_SIZE, Stat};
pub use layout::Format;
pub use mount::{Fs, mkfs, mkfs_with};
pub use namei::Statfs;
pub use store::Metadata;
pub use tx::Tx;
