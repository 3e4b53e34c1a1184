//! Scope guards: `memalloc_nofs_save` and its siblings as values whose drop restores.
//!
//! Key types: [`ScopeGuard`], [`ScopeKind`]. A guard remembers the bits that *it* turned on and
//! turns exactly those off (the kernel's token rule since 6.9), so nested scopes of one kind and
//! interleaved scopes of different kinds end correctly. It is not `Send`: a scope belongs to the
//! task that entered it.

use core::marker::PhantomData;
use core::panic::Location;

use crate::TaskFlags;
use crate::context;
use crate::listener::{self, Site};

/// What a scope forbids to the allocations inside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScopeKind {
    /// No call into a filesystem from reclaim.
    Nofs,
    /// No I/O from reclaim, and hence no filesystem either.
    Noio,
    /// The task is the reclaimer: no reclaim of its own, and the reserves are open to it.
    Noreclaim,
}

impl ScopeKind {
    /// The flag bit behind the scope.
    #[must_use]
    pub const fn bit(self) -> TaskFlags {
        match self {
            Self::Nofs => TaskFlags::MEMALLOC_NOFS,
            Self::Noio => TaskFlags::MEMALLOC_NOIO,
            Self::Noreclaim => TaskFlags::MEMALLOC,
        }
    }

    /// The kernel's word for the scope: `nofs`, `noio`, `noreclaim`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nofs => "nofs",
            Self::Noio => "noio",
            Self::Noreclaim => "noreclaim",
        }
    }
}

/// A scope that is entered; dropping it leaves the scope.
#[must_use = "the scope ends when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct ScopeGuard {
    kind: ScopeKind,
    newly_set: TaskFlags,
    seq: u32,
    site: Site,
    told: bool,
    task_bound: PhantomData<*const ()>,
}

impl ScopeGuard {
    #[track_caller]
    fn enter(kind: ScopeKind) -> Self {
        let site = Site::from(Location::caller());
        let newly_set = context::set(kind.bit());
        let seq = context::next_scope();
        let told = listener::notify(|l| l.scope_enter(kind, seq, site));
        Self { kind, newly_set, seq, site, told, task_bound: PhantomData }
    }

    /// Where the scope was entered.
    #[must_use]
    pub const fn site(&self) -> Site {
        self.site
    }
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        context::clear(self.newly_set);
        if self.told {
            listener::notify(|l| l.scope_exit(self.kind, self.seq));
        }
    }
}

/// Enters a NOFS scope (`memalloc_nofs_save`): no allocation of this task calls into a filesystem.
#[track_caller]
pub fn nofs() -> ScopeGuard {
    ScopeGuard::enter(ScopeKind::Nofs)
}

/// Enters a NOIO scope (`memalloc_noio_save`): no allocation of this task starts I/O.
#[track_caller]
pub fn noio() -> ScopeGuard {
    ScopeGuard::enter(ScopeKind::Noio)
}

/// Enters a scope in which the task is the reclaimer (`memalloc_noreclaim_save`, `PF_MEMALLOC`).
///
/// This is not a "do not wait" scope: it opens the emergency reserves.
#[track_caller]
pub fn noreclaim() -> ScopeGuard {
    ScopeGuard::enter(ScopeKind::Noreclaim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gfp, effective};

    #[test]
    fn a_scope_restricts_until_its_guard_drops() {
        assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
        {
            let _nofs = nofs();
            assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
        }
        assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
    }

    #[test]
    fn an_inner_scope_of_the_same_kind_does_not_end_the_outer() {
        let _outer = nofs();
        drop(nofs());
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
    }

    #[test]
    fn different_kinds_interleave() {
        let fs = nofs();
        let io = noio();
        drop(fs);
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOIO);
        drop(io);
        assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
    }
}
