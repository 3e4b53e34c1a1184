//! Scope guards: `memalloc_nofs_save` and its siblings as values whose drop restores.
//!
//! Key types: [`ScopeGuard`]; [`Raw`] is the same without the drop. Outside a world a guard is two
//! words: what the flag word was, and what the guard made it. In a world the guard names its record,
//! and the record stack is the truth. A guard is not `Send`: a scope belongs to the task that entered
//! it.
//!
//! Mirrors the pairs of `include/linux/sched/mm.h`; written from the project's description of scoped
//! allocation, 2.2, 2.4, 2.5, 2.7 and 2.8.

use core::marker::PhantomData;
use core::panic::Location;

use crate::kind::{Entered, ScopeKind};
use crate::listener::{self, Site};
use crate::misuse::{Misuse, Misused};
use crate::{Layer, ReclaimContext, TaskFlags, context, stack, word};

/// No flag word is this: the guard's scope is recorded.
const RECORDED: u32 = u32::MAX;

/// A scope that was entered and must be left once.
///
/// It lives in registers while nobody records: the cold paths take and return what fits there, so
/// that no guard needs an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    kind: ScopeKind,
    /// The word before; or, of a recorded guard, the bits that it turned on without a record.
    before: u32,
    /// The word that the scope made, or [`RECORDED`].
    after: u32,
    place: Place,
    location: &'static Location<'static>,
}

/// Where a scope is recorded.
#[derive(Clone, Copy, Debug)]
struct Place {
    task: u32,
    /// 0 where there was no room.
    seq: u32,
}

/// What is recorded.
#[derive(Clone, Copy)]
struct Entry {
    kind: ScopeKind,
    how: Entered,
    location: &'static Location<'static>,
}

impl Raw {
    #[inline]
    #[track_caller]
    pub(crate) fn enter(kind: ScopeKind, how: Entered) -> Self {
        let location = Location::caller();
        let before = word::get();
        if before & word::ATTACHED != 0 {
            let (place, newly) = record(Entry { kind, how, location });
            return Self { kind, before: newly.bits(), after: RECORDED, place, location };
        }
        let after = before | kind.bit().bits();
        word::set(after);
        Self { kind, before, after, place: Place { task: 0, seq: 0 }, location }
    }

    #[inline]
    pub(crate) fn leave(self) {
        // Comparing with what the scope made lets the store go out without waiting for a load of
        // what an inner scope stored last.
        let present = word::get();
        if present == self.after {
            word::set(self.before);
        } else {
            leave_slowly(present, self.before, self.after, self.kind.bit(), self.place, self.location);
        }
    }
}

/// Records a scope; returns where, and the flags that it turned on without a record.
#[cold]
#[inline(never)]
fn record(Entry { kind, how, location }: Entry) -> (Place, TaskFlags) {
    let site = Site::from(location);
    let (differs, scope, task, newly) = stack::with(|stack| {
        let differs = stack.compare(context::flags());
        let scope = stack.push(kind, how, site);
        let newly = if scope.is_some() { TaskFlags::EMPTY } else { kind.bit().without(stack.derived()) };
        stack.head.base = stack.head.base | newly;
        word::set_flags(stack.derived());
        (differs, scope, stack.head.task, newly)
    });
    tell(differs);
    match scope {
        Some(scope) => listener::notify(|l| l.scope_enter(scope)),
        None => tell(Some(Misused { what: Misuse::TooDeep, kind, owner: task, seq: 0, site })),
    }
    (Place { task, seq: scope.map_or(0, |scope| scope.seq) }, newly)
}

#[cold]
#[inline(never)]
fn leave_slowly(
    present: u32,
    before: u32,
    after: u32,
    bits: TaskFlags,
    place: Place,
    location: &'static Location<'static>,
) {
    let misused = |what| {
        let (kind, site) = (ScopeKind::of_bits(bits), Site::from(location));
        tell(Some(Misused { what, kind, owner: place.task, seq: place.seq, site }));
    };
    match (after == RECORDED, present & word::ATTACHED != 0) {
        (true, true) if stack::with(|stack| stack.head.task != place.task) => misused(Misuse::OtherTask),
        (true, true) if !leave_record(place.seq, word::flags(before)) => misused(Misuse::Stale),
        // The flags that this scope turned on, and no others (the kernel's rule since 6.9).
        (false, false) => word::set(present & !(after & !before)),
        // Entered outside a world and left in one: the scope is another context's.
        (false, true) => misused(Misuse::OtherTask),
        // Left; or the task is gone, and so is whoever would be told.
        (true, _) => {}
    }
}

/// Ends the record of this number and clears `newly`, what the scope turned on without a record; says
/// whether the record was there if there should be one.
fn leave_record(seq: u32, newly: TaskFlags) -> bool {
    let (differs, left) = stack::with(|stack| {
        let differs = stack.compare(context::flags());
        let left = stack.remove(seq);
        stack.head.base = stack.head.base.without(newly);
        word::set_flags(stack.derived());
        (differs, left)
    });
    tell(differs);
    tell(left.misused);
    if let Some(scope) = left.gone {
        listener::notify(|l| l.scope_exit(scope.kind, scope.seq));
    }
    left.gone.is_some() || seq == 0
}

/// Tells the listener of a misuse, if there is one.
pub(crate) fn tell(misused: Option<Misused>) {
    if let Some(misused) = misused {
        listener::notify(|l| l.scope_misuse(misused));
    }
}

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
    pub fn scope(&self) -> Option<crate::ScopeRef> {
        let Place { task, seq } = self.raw.place;
        (seq != 0).then_some(crate::ScopeRef { task, seq })
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
/// scope of this kind that the task inherited by fork is declared with it. Without this a scope that
/// is open at the end of a task is reported (RD06).
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
