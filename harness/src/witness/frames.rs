//! Frames: what a task is in the middle of, and what that forbids to the code below.
//!
//! Key types: [`Frame`], [`Held`], [`Restriction`]. A task's frames are ordered by the sequence
//! number of the event that opened them. A frame closes where its own event says so, not where its
//! neighbour does, because scopes of different kinds may interleave.

use crate::event::{
    Entered, Gfp, Layer, LayerRef, LockId, LockMode, ReclaimKind, RequestId, ScopeKind, ShrinkerId, Site,
    TaskId, WorkId,
};
use crate::units::Nanos;

/// What a task can be in the middle of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// A scope.
    Scope {
        /// What it forbids.
        kind: ScopeKind,
        /// Which scope of the task.
        scope: u32,
        /// How it came to be.
        how: Entered,
    },
    /// A layer.
    Layer {
        /// Which.
        layer: LayerRef,
    },
    /// An allocation.
    Alloc {
        /// Pages as a power of two.
        order: u32,
        /// The mask the caller wrote.
        requested: Gfp,
        /// The mask after the task's scopes.
        effective: Gfp,
    },
    /// Reclaim.
    Reclaim {
        /// For whom.
        kind: ReclaimKind,
        /// What it may do.
        mask: Gfp,
    },
    /// A shrinker's count.
    Count {
        /// Which shrinker.
        shrinker: ShrinkerId,
        /// On whose behalf.
        mask: Gfp,
    },
    /// A shrinker's scan.
    Scan {
        /// Which shrinker.
        shrinker: ShrinkerId,
        /// What it may do.
        mask: Gfp,
        /// Objects to look at.
        nr_to_scan: u64,
    },
    /// The serving of a request.
    Serving {
        /// Which.
        request: RequestId,
    },
    /// The execution of a work item.
    Working {
        /// Which.
        work: WorkId,
    },
}

/// An open frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What.
    pub kind: FrameKind,
    /// Where, if the event said.
    pub site: Option<Site>,
    /// The event that opened it.
    pub seq: u64,
    /// When.
    pub time: Nanos,
}

/// A lock that a task holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Which.
    pub lock: LockId,
    /// How.
    pub mode: LockMode,
    /// Where it was asked for.
    pub site: Site,
    /// The event that gave it.
    pub seq: u64,
    /// When.
    pub time: Nanos,
}

/// What makes a layer forbidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restriction {
    /// On which task.
    pub task: TaskId,
    /// The event that opened it; with the task, its identity.
    pub seq: u64,
    /// What.
    pub by: RestrictedBy,
}

/// The two ways to restrict reclaim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestrictedBy {
    /// A scope of the task.
    Scope {
        /// What it forbids.
        kind: ScopeKind,
        /// Which scope of the task.
        scope: u32,
    },
    /// The mask of the allocation itself: an explicit GFP_NOFS or GFP_NOIO.
    Mask(Gfp),
}

/// Whether reclaim with `mask` may not enter `layer`. FS means nothing without IO.
fn mask_forbids(mask: Gfp, layer: Layer) -> bool {
    match layer {
        Layer::FS => !mask.contains(Gfp::FS | Gfp::IO),
        Layer::IO => !mask.contains(Gfp::IO),
        _ => false,
    }
}

/// What forbids an entry into `layer` at the end of `path`, a list of (task, frame, its event).
///
/// That is the outermost scope that forbids the layer and has a reclaim after it; or, where no scope
/// does, the mask of a reclaim.
pub fn restriction(
    path: impl Iterator<Item = (TaskId, FrameKind, u64)>,
    layer: Layer,
) -> Option<Restriction> {
    let mut outermost = None;
    for (task, kind, seq) in path {
        match kind {
            FrameKind::Scope { kind, scope, .. } if layer.forbidden_by(kind) => {
                let by = RestrictedBy::Scope { kind, scope };
                outermost = outermost.or(Some(Restriction { task, seq, by }));
            }
            FrameKind::Reclaim { .. } if outermost.is_some() => return outermost,
            FrameKind::Reclaim { mask, .. } if mask_forbids(mask, layer) => {
                return Some(Restriction { task, seq, by: RestrictedBy::Mask(mask) });
            }
            _ => {}
        }
    }
    None
}
