//! What the builder of a stack declares about it: its parts, what each needs, and when reclaim
//! waits for one.
//!
//! Key types: [`Fact`], [`MayWait`], [`ReclaimTarget`]. Facts are declared, not seen to happen: a
//! judge may follow them to all that an allocation could lead to. The closed list of blocking
//! points is in docs/kernel/filesystem.md, "Blocking points"; the question that is asked of it is
//! in docs/kernel/lockdep.md, "What the annotation cannot see", in docs/kernel/proposals.md, "The
//! reclaim context", and in docs/kernel/rules.md, "Invariants" (invariant 20).

use serde::{Deserialize, Serialize};

use super::{Gfp, ItemId, LockId, PartId, QueueId, ShrinkerId};

/// What kind of part of a stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// A mounted filesystem.
    Filesystem,
    /// A block device, plain or stacked.
    Device,
    /// A cache with buffers of its own.
    Cache,
    /// A swap area.
    Swap,
    /// A server in user space. One without declared needs may need anything.
    Server,
}

/// When work that reclaim asks for waits for the part that it is done on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MayWait {
    /// Never: it is handed to another task, or given up.
    Never,
    /// Where the mask has `__GFP_IO`.
    WithIo,
    /// Where the mask has `__GFP_FS`.
    WithFs,
}

impl MayWait {
    /// The bit of the mask that permits it; none where it never waits.
    #[must_use]
    pub const fn permission(self) -> Option<Gfp> {
        match self {
            Self::Never => None,
            Self::WithIo => Some(Gfp::IO),
            Self::WithFs => Some(Gfp::FS),
        }
    }

    /// Whether the work is done at all under `mask`; work that never waits always is.
    #[must_use]
    pub fn works_under(self, mask: Gfp) -> bool {
        self.permission().is_none_or(|bit| mask.contains(bit))
    }
}

/// What reclaim can be asked to work on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReclaimTarget {
    /// What a shrinker shrinks.
    Shrinker(ShrinkerId),
    /// Anonymous pages whose swap is on this part.
    Swap(PartId),
    /// Pages of files of this filesystem.
    Pages(PartId),
}

/// A fact about the stack, which holds until another one replaces it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The stack has this part.
    Part {
        /// Which.
        part: PartId,
        /// What it is.
        kind: PartKind,
    },
    /// The part is gone, and all facts about it.
    Gone {
        /// Which.
        part: PartId,
    },
    /// Finishing work on the part may need progress of another.
    Needs {
        /// The part.
        part: PartId,
        /// The part whose progress it needs.
        on: PartId,
    },
    /// The part no longer needs the other.
    NeedsNoMore {
        /// The part.
        part: PartId,
        /// The part whose progress it needs.
        on: PartId,
    },
    /// Work on the part takes this lock, exclusively, and waits for it.
    Takes {
        /// Which.
        part: PartId,
        /// Which lock.
        lock: LockId,
    },
    /// Work on the part is a request in this queue, done by the queue's servers.
    Queues {
        /// Which.
        part: PartId,
        /// Which queue.
        queue: QueueId,
    },
    /// A hold on this item was left when its owner was taken down.
    LeftHeld {
        /// What.
        item: ItemId,
    },
    /// Reclaim may work on the target, and that work is on the part.
    Target {
        /// What.
        target: ReclaimTarget,
        /// On which part.
        part: PartId,
        /// When it waits for that.
        waits: MayWait,
    },
}
