//! `Reads`: the events that a judge reads, as a set of subjects.
//!
//! Key type: [`Reads`]. Most judges read few subjects, and most events have one of few subjects.
//! Each event is shown only to the judges that read its subject.

use crate::event::EventKind;

/// A set of subjects that events are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reads(u16);

impl Reads {
    /// Tasks that begin and end, the end of the world, stalls.
    pub const TASKS: Self = Self(1);
    /// Scopes entered and left.
    pub const SCOPES: Self = Self(1 << 1);
    /// Scopes misused.
    pub const MISUSE: Self = Self(1 << 2);
    /// Layers entered and left.
    pub const LAYERS: Self = Self(1 << 3);
    /// Allocations.
    pub const ALLOCATIONS: Self = Self(1 << 4);
    /// Watermarks, policies, what narrows an allocation's mask, the OOM killer.
    pub const MEMORY: Self = Self(1 << 5);
    /// Reclaim, and its bracket.
    pub const RECLAIM: Self = Self(1 << 6);
    /// Shrinkers: their registration, counts, scans and passes.
    pub const SHRINKERS: Self = Self(1 << 7);
    /// Mempools.
    pub const POOLS: Self = Self(1 << 8);
    /// Locks.
    pub const LOCKS: Self = Self(1 << 9);
    /// Waits.
    pub const WAITS: Self = Self(1 << 10);
    /// Requests and the tasks that serve them.
    pub const REQUESTS: Self = Self(1 << 11);
    /// Work items and their queues.
    pub const WORK: Self = Self(1 << 12);
    /// Declarations and promises of the world itself; versions acknowledged and recovered; points
    /// reached.
    pub const WORLD: Self = Self(1 << 13);
    /// How many subjects there are.
    pub(super) const SUBJECTS: usize = 14;
    /// Everything.
    pub const ALL: Self = Self(u16::MAX);

    /// What an event is about: one subject.
    pub(super) const fn of(event: EventKind) -> Self {
        match event {
            EventKind::TaskSpawn { .. }
            | EventKind::TaskExit
            | EventKind::WorldEnd
            | EventKind::Stall { .. } => Self::TASKS,
            EventKind::ScopeEnter { .. } | EventKind::ScopeExit { .. } => Self::SCOPES,
            EventKind::ScopeMisuse { .. } => Self::MISUSE,
            EventKind::LayerEnter { .. } | EventKind::LayerExit { .. } => Self::LAYERS,
            EventKind::AllocBegin { .. } | EventKind::AllocEnd { .. } => Self::ALLOCATIONS,
            EventKind::Watermarks { .. }
            | EventKind::ScopesJoined
            | EventKind::AllocConstrained { .. }
            | EventKind::OutOfMemory
            | EventKind::OomKill { .. }
            | EventKind::PolicyMask { .. } => Self::MEMORY,
            EventKind::ReclaimEnter { .. }
            | EventKind::ReclaimExit { .. }
            | EventKind::ReclaimAcquire { .. }
            | EventKind::ReclaimRelease { .. } => Self::RECLAIM,
            EventKind::ShrinkCountBegin { .. }
            | EventKind::ShrinkCountEnd { .. }
            | EventKind::ShrinkScanBegin { .. }
            | EventKind::ShrinkScanEnd { .. }
            | EventKind::ShrinkPassBegin { .. }
            | EventKind::ShrinkPassEnd { .. }
            | EventKind::ShrinkerPanicked { .. }
            | EventKind::ShrinkerRegistered { .. }
            | EventKind::ShrinkerUnregistered { .. } => Self::SHRINKERS,
            EventKind::PoolAllocBegin { .. }
            | EventKind::PoolAllocEnd { .. }
            | EventKind::PoolTake { .. }
            | EventKind::PoolGive { .. }
            | EventKind::PoolHandOver { .. } => Self::POOLS,
            EventKind::LockAttempt { .. }
            | EventKind::LockAcquired { .. }
            | EventKind::LockReleased { .. }
            | EventKind::LockHandOver { .. } => Self::LOCKS,
            EventKind::WaitBegin { .. }
            | EventKind::WaitPassed { .. }
            | EventKind::WaitEnd { .. } => Self::WAITS,
            EventKind::QueueServer { .. }
            | EventKind::RequestSubmit { .. }
            | EventKind::RequestServe { .. }
            | EventKind::RequestPassed { .. }
            | EventKind::RequestServed { .. }
            | EventKind::RequestComplete { .. } => Self::REQUESTS,
            EventKind::WorkQueueMade { .. }
            | EventKind::WorkQueued { .. }
            | EventKind::WorkBegin { .. }
            | EventKind::WorkEnd { .. } => Self::WORK,
            // Declarations, promises, and what has no subject of its own.
            _ => Self::WORLD,
        }
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The number of the one subject.
    pub(super) const fn subject(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    /// Whether the subject of this number is among them.
    pub(super) const fn has(self, subject: u32) -> bool {
        self.0 >> subject & 1 != 0
    }

    /// Whether they have a subject in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
