//! Frames: what a task is in the middle of, and what that forbids to the code below.
//!
//! Key types: [`Frame`], [`HeldLock`], [`Restriction`]. A task's frames are ordered by the sequence
//! number of the event that opened them. A frame closes where its own event says so, not where its
//! neighbour does, because scopes of different kinds may interleave.

use super::waits::PageOut;
use crate::event::{
    Entered, EventKind, Gfp, Layer, LayerRef, LockId, LockMode, ReclaimKind, RequestId, ScopeKind,
    ShrinkerId, Site, TaskFlags, TaskId, WorkId,
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
        /// How it was entered.
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
        /// The task's flag word.
        flags: TaskFlags,
    },
    /// Reclaim.
    Reclaim {
        /// On whose behalf.
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

/// Whether being in the middle of this makes the task the reclaimer.
pub(in crate::witness) const fn is_reclaimer(kind: FrameKind) -> bool {
    matches!(
        kind,
        FrameKind::Reclaim { .. }
            | FrameKind::Scope { kind: ScopeKind::Noreclaim | ScopeKind::Kswapd, .. }
    )
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
pub struct HeldLock {
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

/// What is entered: a layer, and which instance of it where that is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Which layer.
    pub layer: Layer,
    /// Which one of it; none for any.
    pub instance: Option<u32>,
}

impl Entry {
    /// I/O, to whatever device.
    pub const IO: Self = Self { layer: Layer::IO, instance: None };

    /// Whether a scope of `kind` forbids it. A scope with a reclaim context protects one
    /// filesystem; whether another may be entered is the policy's business, and the mask says what
    /// it decided.
    fn forbidden_by(self, kind: ScopeKind) -> bool {
        match kind {
            ScopeKind::Context(context) => {
                let own = self.instance.is_none_or(|instance| instance == context.superblock.0);
                self.layer == Layer::FS && own
            }
            _ => self.layer.forbidden_by(kind),
        }
    }
}

impl From<LayerRef> for Entry {
    fn from(layer: LayerRef) -> Self {
        Self { layer: layer.layer, instance: Some(layer.instance) }
    }
}

impl From<Layer> for Entry {
    fn from(layer: Layer) -> Self {
        Self { layer, instance: None }
    }
}

/// What forbids `entry` at the end of `path`, a list of (task, frame, its event).
///
/// That is the outermost scope that forbids it and has a reclaim after it; or, where no scope does,
/// the mask of a reclaim, or of the scan below it where a policy gave that another.
pub(in crate::witness) fn restriction(
    path: impl Iterator<Item = (TaskId, FrameKind, u64)>,
    entry: impl Into<Entry>,
) -> Option<Restriction> {
    let entry = entry.into();
    let mut outermost = None;
    let mut by_mask: Option<Restriction> = None;
    let mut reclaim = None;
    let masked = |task, seq, mask| {
        let by = RestrictedBy::Mask(mask);
        mask_forbids(mask, entry.layer).then_some(Restriction { task, seq, by })
    };
    for (task, kind, seq) in path {
        match kind {
            FrameKind::Scope { kind, scope, .. } if entry.forbidden_by(kind) => {
                let by = RestrictedBy::Scope { kind, scope };
                outermost = outermost.or(Some(Restriction { task, seq, by }));
            }
            FrameKind::Reclaim { .. } if outermost.is_some() => return outermost,
            FrameKind::Reclaim { .. } if by_mask.is_some() => return by_mask,
            FrameKind::Reclaim { mask, .. } => {
                reclaim = Some((task, seq));
                by_mask = masked(task, seq, mask);
            }
            FrameKind::Scan { mask, .. } if reclaim.is_some_and(|(by, _)| by == task) => {
                by_mask = reclaim.and_then(|(task, seq)| masked(task, seq, mask));
            }
            _ => {}
        }
    }
    by_mask
}

/// Whether `event` closes a frame of this kind.
pub(super) fn closes(event: EventKind, frame: FrameKind) -> bool {
    match (event, frame) {
        (EventKind::ScopeExit { kind, scope }, FrameKind::Scope { kind: k, scope: s, .. }) => {
            (kind, scope) == (k, s)
        }
        (EventKind::LayerExit { layer }, FrameKind::Layer { layer: entered }) => layer == entered,
        (EventKind::AllocEnd { .. }, FrameKind::Alloc { .. }) => true,
        (EventKind::ReclaimExit { .. }, FrameKind::Reclaim { .. }) => true,
        (
            EventKind::ShrinkCountEnd { shrinker, .. } | EventKind::ShrinkerPanicked { shrinker },
            FrameKind::Count { shrinker: s, .. },
        )
        | (EventKind::ShrinkScanEnd { shrinker, .. }, FrameKind::Scan { shrinker: s, .. }) => {
            shrinker == s
        }
        (EventKind::RequestServed { request }, FrameKind::Serving { request: r }) => request == r,
        (EventKind::WorkEnd { work }, FrameKind::Working { work: w }) => work == w,
        _ => false,
    }
}

/// The innermost page-out among `frames`.
pub(super) fn page_out(frames: &[Frame]) -> Option<PageOut> {
    let mut allocation = None;
    let mut innermost = None;
    for frame in frames {
        match frame.kind {
            FrameKind::Alloc { .. } => allocation = frame.site,
            FrameKind::Layer { layer } if layer.layer == Layer::SWAP => {
                let Frame { site, seq, time, .. } = *frame;
                innermost = Some(PageOut { layer, site, allocation, seq, time });
            }
            _ => {}
        }
    }
    innermost
}

#[cfg(test)]
mod tests;
