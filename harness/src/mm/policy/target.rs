//! The target: what reclaim wants to work on.
//!
//! Key types: [`Target`], [`Waits`], [`SwapArea`]. Each says where it stands in the stack and which
//! bit of a mask it reads as permission.

use reclaimdep_scope::{Gfp, Superblock};

use super::topology::{Node, Topology};

/// When a shrinker without a superblock waits for I/O: the rule it follows, not the one it should.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Waits {
    /// Never: it hands the work to somebody else (dm-bufio since 5.9).
    Never,
    /// Where the mask has `__GFP_IO` (dm-bufio until 3.17).
    WithIo,
    /// Where the mask has `__GFP_FS` (dm-bufio from 3.18).
    WithFs,
}

/// Where a swap page goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SwapArea {
    /// A device, plain or stacked.
    Device(Node),
    /// A swap file that the filesystem itself writes (`SWP_FS_OPS`).
    File(Superblock),
}

/// What reclaim wants to work on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// The superblock's own shrinker: its dentries and inodes.
    Superblock(Superblock),
    /// A shrinker without a superblock.
    Shrinker {
        /// Where in the stack its objects are written to.
        node: Node,
        /// When it waits for that.
        waits: Waits,
    },
    /// A page of a file: its filesystem's release hook is called.
    FilePage(Superblock),
    /// An anonymous page.
    SwapPage(SwapArea),
}

impl Target {
    /// The filesystem whose code runs, if there is one whose locks it takes as itself.
    #[must_use]
    pub const fn superblock(&self) -> Option<Superblock> {
        match self {
            Self::Superblock(superblock) | Self::FilePage(superblock) => Some(*superblock),
            Self::Shrinker { .. } | Self::SwapPage(_) => None,
        }
    }

    /// Where it stands: the part itself for a filesystem, what it stands on for everything else.
    #[must_use]
    pub fn place(&self) -> Node {
        match self {
            Self::Superblock(superblock) | Self::FilePage(superblock) => (*superblock).into(),
            Self::Shrinker { node, .. } | Self::SwapPage(SwapArea::Device(node)) => *node,
            Self::SwapPage(SwapArea::File(superblock)) => (*superblock).into(),
        }
    }

    /// Whether finishing work on it may need progress of `node`.
    #[must_use]
    pub fn needs(&self, node: impl Into<Node>, stack: &Topology) -> bool {
        let (place, node) = (self.place(), node.into());
        (self.superblock().is_none() && place == node) || stack.reaches(place, node)
    }

    /// When it waits: the rule that it follows.
    #[must_use]
    pub const fn waits(&self) -> Waits {
        match self {
            Self::Shrinker { waits, .. } => *waits,
            Self::Superblock(_) | Self::FilePage(_) | Self::SwapPage(SwapArea::File(_)) => {
                Waits::WithFs
            }
            Self::SwapPage(SwapArea::Device(_)) => Waits::WithIo,
        }
    }

    /// Whether it would really work, and so wait, under `mask`.
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

impl SwapArea {
    /// `may_enter_fs` since 5.19: FS, or IO where no filesystem writes the area itself.
    #[must_use]
    pub const fn may_enter(&self, mask: Gfp) -> bool {
        mask.contains(Gfp::FS) || (mask.contains(Gfp::IO) && matches!(self, Self::Device(_)))
    }
}
