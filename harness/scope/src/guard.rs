//! Scope guards: `memalloc_nofs_save` and its siblings as values whose drop restores.
//!
//! Key type: [`ScopeGuard`]. It is not `Send`: a scope belongs to the task that entered it. Inside
//! it is the crate's `raw` scope, which must be left once.
//!
//! ```compile_fail,E0277
//! let nofs = reclaimdep_scope::nofs();
//! std::thread::spawn(move || drop(nofs)); // a scope does not change tasks
//! ```
//!
//! Mirrors the pairs of `include/linux/sched/mm.h`; written from the project's description of
//! scoped allocation, 2.2, 2.4, 2.5, 2.7 and 2.8.

use core::marker::PhantomData;

use crate::kind::{Entered, ScopeKind, ScopeRef};
use crate::listener::{self, Site};
use crate::raw::{Place, Raw};
use crate::{Layer, ReclaimContext, context, stack, word};

/// A scope that is entered; dropping it leaves the scope.
///
/// Guards of scopes that share a flag must be dropped innermost first; others may interleave.
/// Forgetting a guard leaves the scope open for the task's life: where that is meant, say so with
/// [`enter_permanent`].
#[must_use = "the scope ends when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct ScopeGuard {
    raw: Raw,
    task_bound: PhantomData<*const ()>,
}

impl ScopeGuard {
    #[inline]
    pub(crate) const fn new(raw: Raw) -> Self {
        Self { raw, task_bound: PhantomData }
    }

    /// What the scope forbids.
    #[must_use]
    pub const fn kind(&self) -> ScopeKind {
        self.raw.kind
    }

    /// Where the scope was entered.
    #[must_use]
    pub fn site(&self) -> Site {
        Site::from(self.raw.location)
    }

    /// Which scope of which task this is; none outside a world.
    #[must_use]
    pub fn scope(&self) -> Option<ScopeRef> {
        let Place { task, seq } = self.raw.place;
        (seq != 0).then_some(ScopeRef { task, seq })
    }
}

impl Drop for ScopeGuard {
    #[inline]
    fn drop(&mut self) {
        self.raw.leave();
    }
}

impl ScopeKind {
    /// Enters a scope of this kind on the running task.
    #[inline]
    #[track_caller]
    pub fn enter(self) -> ScopeGuard {
        ScopeGuard::new(Raw::enter(self, Entered::Held))
    }
}

/// Enters a NOFS scope (`memalloc_nofs_save`): no allocation of this task calls into a filesystem.
///
/// It belongs at the resource that makes recursion dangerous (a lock shared with reclaim, the start
/// of a transaction), not around single allocations.
#[inline]
#[track_caller]
pub fn nofs() -> ScopeGuard {
    ScopeKind::Nofs.enter()
}

/// Enters a NOIO scope (`memalloc_noio_save`): no allocation of this task starts I/O.
#[inline]
#[track_caller]
pub fn noio() -> ScopeGuard {
    ScopeKind::Noio.enter()
}

/// Enters a scope in which the task is the reclaimer (`memalloc_noreclaim_save`, `PF_MEMALLOC`).
///
/// This is not a "do not wait" scope: it opens the emergency reserves.
#[inline]
#[track_caller]
pub fn noreclaim() -> ScopeGuard {
    ScopeKind::Noreclaim.enter()
}

/// Enters a scope in which allocations are not movable (`memalloc_pin_save`, since 5.13).
#[inline]
#[track_caller]
pub fn pin() -> ScopeGuard {
    ScopeKind::Pin.enter()
}

/// Enters a scope in which no allocation of this task reclaims by itself. *Experimental.*
///
/// Proposed in 2020 and 2024 and rejected both times. Unlike NOFS and NOIO it is incompatible with
/// `__GFP_NOFAIL`: some callee deep below may ask for memory that cannot be refused, and in this
/// scope it would be. It is safe only where the scope's owner controls every allocation below.
/// [`crate::Gfp::validate_request`] says so about such a request.
#[inline]
#[track_caller]
pub fn nowait() -> ScopeGuard {
    ScopeKind::Nowait.enter()
}

/// Enters a scope in which reclaim may not come back into `layers`: the user's own rule.
///
/// There is no flag behind it, so masks stay as they are. Outside a world it does nothing; in one,
/// judges report a reclaim of this task, or of a task that it waits for, that enters such a layer.
#[inline]
#[track_caller]
pub fn forbid(layers: &'static [Layer]) -> ScopeGuard {
    ScopeKind::Forbid(layers).enter()
}

/// Enters a NOFS scope that says which filesystem it protects.
///
/// Outside a world it is [`nofs`]. In one, policies read it ([`context::reclaim_contexts`]) and the
/// filesystem finds its own value again ([`context::reclaim_context_of`]).
#[inline]
#[track_caller]
pub fn reclaim_context(context: ReclaimContext) -> ScopeGuard {
    ScopeKind::Context(context).enter()
}

/// Becomes kswapd for the guard's life: sets `PF_MEMALLOC` and `PF_KSWAPD`, and clears afterwards
/// those of them that were not set before.
///
/// For a worker that goes on with what kswapd began, as XFS does where its stack gets short
/// (description, 2.8). Drop the guard before telling whoever waits.
#[inline]
#[track_caller]
pub fn become_kswapd() -> ScopeGuard {
    ScopeKind::Kswapd.enter()
}

/// Enters a scope for the rest of the running task's life, on purpose.
///
/// For threads that serve reclaim or a device all their life: a journal thread, a loop worker. A
/// scope of this kind that the task inherited by fork is declared with it. Without this a scope
/// that is open at the end of a task is reported (RD06).
#[track_caller]
pub fn enter_permanent(kind: ScopeKind) {
    if context::is_attached() {
        let inherited = stack::with(|stack| {
            stack.take(|scope| scope.how == Entered::Inherited && scope.kind.bit() == kind.bit())
        });
        if let Some(scope) = inherited {
            listener::notify(|l| l.scope_exit(scope.kind, scope.seq));
            word::set_flags(stack::with(|stack| stack.derived()));
        }
    }
    // Nobody leaves it: there is nothing to keep.
    let _ = Raw::enter(kind, Entered::Permanent);
}
