//! Entering and leaving a scope: the hot path, and the cold one of a task that is recorded.
//!
//! Key type: [`Raw`], what a guard holds. Outside a world that is two words: what the flag word
//! was, and what the scope made it. In a world it names a record, and the record stack is the
//! truth.

use core::panic::Location;

use crate::kind::{Entered, ScopeKind};
use crate::listener::{self, Site};
use crate::misuse::{Misuse, Misused};
use crate::{TaskFlags, context, stack, word};

/// No flag word is this: the guard's scope is recorded.
const RECORDED: u32 = u32::MAX;

/// A scope that was entered and must be left once.
///
/// It lives in registers while nobody records: the cold paths take and return what fits there, so
/// that no guard needs an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub(crate) kind: ScopeKind,
    /// The word before; or, of a recorded guard, the bits that it turned on without a record.
    before: u32,
    /// The word that the scope made, or [`RECORDED`].
    after: u32,
    pub(crate) place: Place,
    pub(crate) location: &'static Location<'static>,
}

/// Where a scope is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) task: u32,
    /// 0 outside a world, and where there was no room.
    pub(crate) seq: u32,
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
            leave_slowly(
                present,
                self.before,
                self.after,
                self.kind.bit(),
                self.place,
                self.location,
            );
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
        let newly =
            if scope.is_some() { TaskFlags::EMPTY } else { kind.bit().without(stack.derived()) };
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
        (true, true) if stack::with(|stack| stack.head.task != place.task) => {
            misused(Misuse::OtherTask)
        }
        (true, true) if !leave_record(place.seq, word::flags(before)) => misused(Misuse::Stale),
        // The flags that this scope turned on, and no others (the kernel's rule since 6.9).
        (false, false) => word::set(present & !(after & !before)),
        // Entered outside a world and left in one: the scope is another context's.
        (false, true) => misused(Misuse::OtherTask),
        // Left; or the task is gone, and so is whoever would be told.
        (true, _) => {}
    }
}

/// Ends the record of this number and clears `newly`, what the scope turned on without a record;
/// says whether the record was there if there should be one.
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
