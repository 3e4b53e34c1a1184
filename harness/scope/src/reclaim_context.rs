//! The reclaim context of a scope: whose superblock, how deeply stacked, and the owner's own value.
//!
//! Key types: [`ReclaimContext`], [`Superblock`], [`Depth`]. A context makes a NOFS scope say which
//! filesystem it protects, so that a policy may let reclaim into another. Plain data: what follows
//! from it is a policy's business. Written from the project's description of scoped allocation, 7.3
//! (proposed by Dave Chinner in June 2020, never built in a kernel).

/// A mounted filesystem, as whoever mounted it numbers it. In a world: the instance of its layer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Superblock(pub u32);

/// How many filesystems lie below one, counted along the longest way down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Depth {
    /// This many; 0 for a filesystem on a plain device.
    Known(u32),
    /// It cannot be known, as below a server in user space.
    Unknown,
}

/// What a scope tells reclaim about its holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReclaimContext {
    /// The filesystem that the scope protects.
    pub superblock: Superblock,
    /// How deeply it is stacked.
    pub depth: Depth,
    /// The filesystem's own value: a transaction's number. Only that filesystem may read meaning
    /// into it.
    pub private: u64,
}
