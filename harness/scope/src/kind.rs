//! `ScopeKind`: what a scope forbids; `Entered`: how it came to be on a task.
//!
//! Key types: [`ScopeKind`], [`Entered`], [`Scope`] (one that is open, as plain data). Written from
//! docs/kernel/scopes.md, "The pairs" and "The nowait scope".

use crate::site::Site;
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
    /// Allocated pages must not be movable (`memalloc_pin_save`).
    Pin,
    /// No direct reclaim. Experimental: see [`crate::nowait`].
    Nowait,
    /// The task stands in for kswapd, the background reclaimer.
    Kswapd,
    /// Reclaim inside the scope must not enter these layers. The scope has no flag: masks do not
    /// change, and only the judges read it.
    Forbid(&'static [Layer]),
    /// A NOFS scope that says which filesystem it protects.
    Context(ReclaimContext),
}

impl ScopeKind {
    /// The kinds that consist of one flag.
    pub(crate) const FLAGS: [Self; 5] =
        [Self::Noio, Self::Nofs, Self::Noreclaim, Self::Pin, Self::Nowait];

    /// The flag bits that the scope sets; none for [`ScopeKind::Forbid`].
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

    /// The simplest kind with these bits, for a scope whose record is gone.
    pub(crate) fn of_bits(bits: TaskFlags) -> Self {
        let plain = [Self::Kswapd].into_iter().chain(Self::FLAGS);
        plain.into_iter().find(|kind| bits == kind.bit()).unwrap_or(Self::Forbid(&[]))
    }

    /// The kernel's name for the scope, or ours where the kernel has none.
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

    /// Whether the scope forbids reclaim to enter any layer.
    #[must_use]
    pub const fn restricts(self) -> bool {
        match self {
            Self::Nofs | Self::Noio | Self::Context(_) => true,
            Self::Forbid(layers) => !layers.is_empty(),
            Self::Noreclaim | Self::Pin | Self::Nowait | Self::Kswapd => false,
        }
    }

    /// Whether scopes of these two kinds must be left innermost first, because they share a flag or
    /// are of the same kind. Others may interleave.
    #[must_use]
    pub fn nests_with(self, other: Self) -> bool {
        self == other || self.bit().intersects(other.bit())
    }
}

/// A scope of a task, by its numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ScopeRef {
    /// The number of the task in its world.
    pub task: u32,
    /// The number of the scope on that task, from 1.
    pub seq: u32,
}

/// How a scope came to be open on a task; that decides how it must end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Entered {
    /// A guard or token of this task ends it.
    Held,
    /// It was declared to last as long as the task.
    Permanent,
    /// It was open on the task that forked this one; no token for it exists.
    Inherited,
    /// A guard of this task ends it; it was entered on behalf of this scope of another task.
    OnBehalf(ScopeRef),
}

/// An open scope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope {
    /// What it forbids.
    pub kind: ScopeKind,
    /// The number of the scope on its task, from 1.
    pub seq: u32,
    /// Where it was entered.
    pub site: Site,
    /// How it came to be open.
    pub how: Entered,
}

impl Scope {
    /// Fills unused entries.
    pub(crate) const NONE: Self = Self {
        kind: ScopeKind::Nofs,
        seq: 0,
        site: Site { file: "", line: 0 },
        how: Entered::Held,
    };
}
