//! `ScopeKind`: what a scope forbids; `Entered`: how it came to be on a task.
//!
//! Key types: [`ScopeKind`], [`Entered`], [`Scope`] (one that is open, as plain data). Written from
//! the project's description of scoped allocation, 2.2 and 2.7.

use crate::listener::Site;
use crate::{Layer, ReclaimContext, TaskFlags};

/// What a scope forbids to the allocations inside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScopeKind {
    /// No call into a filesystem from reclaim (`memalloc_nofs_save`).
    Nofs,
    /// No I/O from reclaim, and hence no filesystem either (`memalloc_noio_save`).
    Noio,
    /// The task is the reclaimer: no reclaim of its own, and the reserves are open to it
    /// (`memalloc_noreclaim_save`).
    Noreclaim,
    /// Allocations stay where they are put: not movable (`memalloc_pin_save`).
    Pin,
    /// No direct reclaim. Experimental: see [`crate::nowait`].
    Nowait,
    /// The task stands in for kswapd: the reclaimer, in the background reclaimer's role.
    Kswapd,
    /// Reclaim below may not enter these layers. There is no flag behind it: allocations are as
    /// before, and only judges look at it.
    Forbid(&'static [Layer]),
    /// A NOFS scope that says which filesystem it protects.
    Context(ReclaimContext),
}

impl ScopeKind {
    /// The kinds that are nothing but a flag of their own.
    pub(crate) const FLAGS: [Self; 5] =
        [Self::Noio, Self::Nofs, Self::Noreclaim, Self::Pin, Self::Nowait];

    /// The flag bits behind the scope; none for [`ScopeKind::Forbid`].
    #[inline]
    #[must_use]
    pub const fn bit(self) -> TaskFlags {
        match self {
            Self::Nofs | Self::Context(_) => TaskFlags::MEMALLOC_NOFS,
            Self::Noio => TaskFlags::MEMALLOC_NOIO,
            Self::Noreclaim => TaskFlags::MEMALLOC,
            Self::Pin => TaskFlags::MEMALLOC_PIN,
            Self::Nowait => TaskFlags::MEMALLOC_NOWAIT,
            Self::Kswapd => TaskFlags::MEMALLOC.union(TaskFlags::KSWAPD),
            Self::Forbid(_) => TaskFlags::EMPTY,
        }
    }

    /// The plainest kind with these bits: what is known of a scope whose record is gone.
    pub(crate) fn of_bits(bits: TaskFlags) -> Self {
        let plain = [Self::Kswapd].into_iter().chain(Self::FLAGS);
        plain.into_iter().find(|kind| bits == kind.bit()).unwrap_or(Self::Forbid(&[]))
    }

    /// The kernel's word for the scope, or ours where it has none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nofs => "nofs",
            Self::Noio => "noio",
            Self::Noreclaim => "noreclaim",
            Self::Pin => "pin",
            Self::Nowait => "nowait",
            Self::Kswapd => "kswapd",
            Self::Forbid(_) => "forbid",
            Self::Context(_) => "context",
        }
    }

    /// Whether the scope forbids reclaim to enter any layer at all.
    #[must_use]
    pub const fn restricts(self) -> bool {
        match self {
            Self::Nofs | Self::Noio | Self::Context(_) => true,
            Self::Forbid(layers) => !layers.is_empty(),
            Self::Noreclaim | Self::Pin | Self::Nowait | Self::Kswapd => false,
        }
    }

    /// Whether the order in which scopes of these two kinds end matters: they share a flag, or are
    /// the same. Others may interleave freely.
    #[must_use]
    pub fn nests_with(self, other: Self) -> bool {
        self == other || self.bit().intersects(other.bit())
    }
}

/// A scope of a task, by numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ScopeRef {
    /// The task, as its world numbers it.
    pub task: u32,
    /// Its how-many-th scope, from 1.
    pub seq: u32,
}

/// How a scope came to be on a task, which decides who has to end it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Entered {
    /// A guard or token of this task ends it.
    Held,
    /// It lasts as long as the task, on purpose.
    Permanent,
    /// It was on the task that forked this one; nobody holds a token.
    Inherited,
    /// A guard of this task ends it, and it stands for this scope of another task.
    OnBehalf(ScopeRef),
}

/// An open scope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope {
    /// What it forbids.
    pub kind: ScopeKind,
    /// The task's how-many-th scope, from 1.
    pub seq: u32,
    /// Where it was entered.
    pub site: Site,
    /// How it came to be.
    pub how: Entered,
}

impl Scope {
    /// Fills unused places.
    pub(crate) const NONE: Self = Self {
        kind: ScopeKind::Nofs,
        seq: 0,
        site: Site { file: "", line: 0 },
        how: Entered::Held,
    };
}
