//! Scope guards: `memalloc_nofs_save` and its siblings as values whose drop restores.
//!
//! Key type: [`ScopeGuard`], around a `RawScope`. It is not `Send`, because a scope belongs to the
//! task that entered it.
//!
//! ```compile_fail,E0277
//! let nofs = reclaimdep_scope::nofs();
//! std::thread::spawn(move || drop(nofs)); // the guard is not Send
//! ```
//!
//! Mirrors the pairs of `include/linux/sched/mm.h`; written from docs/kernel/scopes.md, "The
//! pairs", "Tokens", "Nesting and placement", "The nowait scope" and "Standing in for kswapd".

use core::marker::PhantomData;

use crate::kind::{Entered, ScopeKind, ScopeRef};
use crate::listener;
use crate::raw::{RawScope, RecordPlace};
use crate::site::Site;
use crate::{Layer, ReclaimContext, TaskFlags, context, stack, word};

/// An entered scope; dropping the guard leaves it.
///
/// Guards of scopes that share a flag must be dropped innermost first; others may interleave. A
/// forgotten guard leaves its scope open for the task's life. Where that is intended, call
/// [`enter_permanent`] instead.
#[must_use = "the scope ends when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct ScopeGuard {
    raw: RawScope,
    task_bound: PhantomData<*const ()>,
}

impl ScopeGuard {
    #[inline]
    pub(crate) const fn new(raw: RawScope) -> Self {
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
        self.raw.site()
    }

    /// Which scope of which task this is; `None` outside a world.
    #[must_use]
    pub fn scope(&self) -> Option<ScopeRef> {
        let RecordPlace { task, seq } = self.raw.place;
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
        ScopeGuard::new(RawScope::enter(self, Entered::Held))
    }

    /// Enters a scope of this kind on the running task, for an interpreter whose program has lines
    /// of its own: records name `site`.
    #[doc(hidden)]
    #[track_caller]
    pub fn enter_at(self, site: Site) -> ScopeGuard {
        ScopeGuard::new(RawScope::enter_at(self, Entered::Held, site))
    }
}

/// Enters a NOFS scope (`memalloc_nofs_save`): no allocation of this task calls into a filesystem.
///
/// Enter it where the resource is taken that makes recursion dangerous (a lock that reclaim takes
/// too, the start of a transaction), not around single allocations.
///
/// ```
/// use reclaimdep_scope::{Gfp, effective, nofs};
///
/// let guard = nofs();
/// assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
/// drop(guard);
/// assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
/// ```
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
/// It does not mean "do not wait": it opens the emergency reserves.
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
/// It was proposed in 2020 and in 2024, and rejected both times. Unlike NOFS and NOIO it is
/// incompatible with `__GFP_NOFAIL`: a function called inside the scope may make a request that
/// must not fail, and in this scope it would fail. The scope is safe only where its owner controls
/// every allocation inside it. [`crate::Gfp::validate_request`] finds such a request.
#[inline]
#[track_caller]
pub fn nowait() -> ScopeGuard {
    ScopeKind::Nowait.enter()
}

/// Enters a scope in which reclaim must not enter `layers`; the layers can be the user's own.
///
/// The scope has no flag, so masks do not change. Outside a world it does nothing. In a world, the
/// judges report it when reclaim by this task, or by a task that it waits for, enters such a layer.
#[inline]
#[track_caller]
pub fn forbid(layers: &'static [Layer]) -> ScopeGuard {
    ScopeKind::Forbid(layers).enter()
}

/// Enters a NOFS scope that says which filesystem it protects.
///
/// Outside a world it is the same as [`nofs`]. In a world, policies read the context
/// ([`context::reclaim_contexts`]), and the filesystem finds its own value again
/// ([`context::reclaim_context_of`]).
#[inline]
#[track_caller]
pub fn reclaim_context(context: ReclaimContext) -> ScopeGuard {
    ScopeKind::Context(context).enter()
}

/// Stands in for kswapd until the guard is dropped: sets `PF_MEMALLOC` and `PF_KSWAPD`, and later
/// clears those of the two that were not set before.
///
/// It is for a worker that continues work of kswapd, as in XFS where the stack runs short
/// (docs/kernel/scopes.md, "Standing in for kswapd"). Drop the guard before signalling the task
/// that waits for the worker.
#[inline]
#[track_caller]
pub fn become_kswapd() -> ScopeGuard {
    ScopeKind::Kswapd.enter()
}

/// Enters a scope for the rest of the running task's life.
///
/// It is for threads that serve reclaim or a device as long as they live: a journal thread, a loop
/// worker. A scope of this kind that the task inherited by fork becomes the permanent one. Any
/// other scope that is open when its task ends is reported (RD06).
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
    // A permanent scope is never left, so its guard data is not needed.
    let _ = RawScope::enter(kind, Entered::Permanent);
}

/// What `PR_SET_IO_FLUSHER` does, until the guard is dropped: a NOIO scope whose line is `site`,
/// and `PF_LOCAL_THROTTLE`, for a daemon that serves a block device. For the harness's interpreter.
#[doc(hidden)]
#[track_caller]
pub fn io_flusher_at(site: Site) -> IoFlusher {
    let newly = !context::flags().contains(TaskFlags::LOCAL_THROTTLE);
    if newly {
        context::set_role(TaskFlags::LOCAL_THROTTLE, true);
    }
    IoFlusher { newly, _noio: ScopeKind::Noio.enter_at(site) }
}

/// The task is an I/O flusher until this is dropped.
#[doc(hidden)]
#[must_use = "the task is an I/O flusher only while this lives; bind it to a name"]
#[derive(Debug)]
pub struct IoFlusher {
    newly: bool,
    _noio: ScopeGuard,
}

impl Drop for IoFlusher {
    fn drop(&mut self) {
        if self.newly {
            context::set_role(TaskFlags::LOCAL_THROTTLE, false);
        }
    }
}
