//! The target: the object that reclaim wants to work on.
//!
//! Key types: [`Target`], [`Waits`], [`SwapPlace`]. Each has a place in the stack and reads some
//! bit of the mask as permission.

use reclaimdep_scope::{Gfp, Superblock};

use super::topology::{Node, Topology};

/// Under which mask a shrinker without a superblock waits for I/O. This is the rule that it
/// follows, even if that rule is a bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Waits {
    /// Never: it leaves the work to a work item (dm-bufio since 5.9).
    Never,
    /// If the mask has `__GFP_IO` (dm-bufio until 3.17).
    WithIo,
    /// If the mask has `__GFP_FS` (dm-bufio from 3.18).
    WithFs,
}

/// Where a swap area is written to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SwapPlace {
    /// A device, plain or stacked.
    Device(Node),
    /// A swap file that its filesystem writes itself (`SWP_FS_OPS`).
    File(Superblock),
}

/// An object that reclaim wants to work on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// The superblock's own shrinker: its dentries and inodes.
    Superblock(Superblock),
    /// A shrinker without a superblock.
    Shrinker {
        /// The part that its objects are written to.
        node: Node,
        /// Under which mask it waits for that.
        waits: Waits,
    },
    /// A page of a file: its filesystem's release hook is called.
    FilePage(Superblock),
    /// An anonymous page.
    SwapPage(SwapPlace),
}

impl Target {
    /// The filesystem whose own code runs for this target.
    #[must_use]
    pub const fn superblock(&self) -> Option<Superblock> {
        match self {
            Self::Superblock(superblock) | Self::FilePage(superblock) => Some(*superblock),
            Self::Shrinker { .. } | Self::SwapPage(_) => None,
        }
    }

    /// Its place in the stack: a filesystem itself; for other targets the part below them.
    #[must_use]
    pub fn place(&self) -> Node {
        match self {
            Self::Superblock(superblock) | Self::FilePage(superblock) => (*superblock).into(),
            Self::Shrinker { node, .. } | Self::SwapPage(SwapPlace::Device(node)) => *node,
            Self::SwapPage(SwapPlace::File(superblock)) => (*superblock).into(),
        }
    }

    /// Whether finishing work on it may need progress of `node`.
    #[must_use]
    pub fn needs(&self, node: impl Into<Node>, stack: &Topology) -> bool {
        let (place, node) = (self.place(), node.into());
        (self.superblock().is_none() && place == node) || stack.reaches(place, node)
    }

    /// Under which mask it waits.
    #[must_use]
    pub const fn waits(&self) -> Waits {
        match self {
            Self::Shrinker { waits, .. } => *waits,
            Self::Superblock(_) | Self::FilePage(_) | Self::SwapPage(SwapPlace::File(_)) => {
                Waits::WithFs
            }
            Self::SwapPage(SwapPlace::Device(_)) => Waits::WithIo,
        }
    }

    /// Whether it works, and so may wait, under `mask`.
    ///
    /// Only a target that works can deadlock: a superblock's shrinker without `__GFP_FS` stops at
    /// once. A shrinker that never waits works under any mask.
    #[must_use]
    pub const fn works_under(&self, mask: Gfp) -> bool {
        match self {
            Self::Superblock(_) | Self::FilePage(_) => mask.contains(Gfp::FS),
            Self::Shrinker { waits: Waits::Never, .. } => true,
            Self::Shrinker { waits: Waits::WithIo, .. } => mask.contains(Gfp::IO),
            Self::Shrinker { waits: Waits::WithFs, .. } => mask.contains(Gfp::FS),
            Self::SwapPage(area) => area.may_enter(mask),
        }
    }
}

impl SwapPlace {
    /// `may_enter_fs` since 5.19: FS, or IO if no filesystem writes the area itself.
    #[must_use]
    pub const fn may_enter(&self, mask: Gfp) -> bool {
        mask.contains(Gfp::FS) || (mask.contains(Gfp::IO) && matches!(self, Self::Device(_)))
    }
}
