//! The reclaim context of a scope: the superblock that it protects, the depth of that filesystem in
//! the stack, and a value of the filesystem's own.
//!
//! Key types: [`ReclaimContext`], [`Superblock`], [`Depth`]. A context makes a NOFS scope say which
//! filesystem it protects, so that a policy can let reclaim into another one. It is plain data; a
//! policy decides what follows from it. Written from docs/kernel/proposals.md, "The reclaim
//! context" (proposed by Dave Chinner in June 2020, never built in a kernel).

/// The number of a mounted filesystem. In a world it is the instance of the filesystem's layer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Superblock(pub u32);

/// How many filesystems are below a filesystem, counted along the longest path down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Depth {
    /// This many; 0 for a filesystem on a plain device.
    Known(u32),
    /// The number cannot be known, for example below a server in user space.
    Unknown,
}

/// What a scope tells reclaim about the task that holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReclaimContext {
    /// The filesystem that the scope protects.
    pub superblock: Superblock,
    /// How many filesystems are below it.
    pub depth: Depth,
    /// A value of the filesystem's own, such as a transaction's number. Only that filesystem may
    /// interpret it.
    pub private: u64,
}
