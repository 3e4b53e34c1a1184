//! The parts of a stack.
//!
//! Key types: [`Node`], [`NodeKind`].

use reclaimdep_scope::Superblock;

/// The kind of a part. Depth depends on it (superblocks count, servers make it unknown), and so
/// does swap (a cache below a swap area allocates).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeKind {
    /// A mounted filesystem.
    Superblock,
    /// A block device, plain or stacked: disk, dm, loop.
    Device,
    /// A cache with buffers of its own: dm-bufio.
    Cache,
    /// A swap area.
    Swap,
    /// A server in user space: FUSE, nbd, ublk. The kernel cannot know what it needs.
    Server,
}

/// One part of a stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node {
    kind: NodeKind,
    number: u32,
}

impl Node {
    pub(super) const fn new(kind: NodeKind, number: u32) -> Self {
        Self { kind, number }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> NodeKind {
        self.kind
    }

    /// Its number among the parts of its kind.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// The superblock, if it is one.
    #[must_use]
    pub fn superblock(self) -> Option<Superblock> {
        (self.kind == NodeKind::Superblock).then_some(Superblock(self.number))
    }
}

impl From<Superblock> for Node {
    fn from(superblock: Superblock) -> Self {
        Self { kind: NodeKind::Superblock, number: superblock.0 }
    }
}
