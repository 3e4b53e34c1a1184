//! Entering and leaving a scope: the hot path, and the cold path of a task whose scopes are
//! recorded.
//!
//! Key type: [`RawScope`], which a guard holds. Outside a world it holds the flag word before the
//! scope and after it. In a world it names a record, and the record stack decides what the flag
//! word is.

use core::panic::Location;

use crate::kind::{Entered, ScopeKind};
use crate::listener;
use crate::misuse::{Misuse, MisuseReport};
use crate::site::Site;
use crate::{TaskFlags, context, stack, word};

/// Marks a scope that is recorded; no flag word has this value.
const RECORDED: u32 = u32::MAX;

/// A scope that was entered and must be left once.
///
/// It stays in registers outside a world: the cold paths take and return values that fit there, so
/// that a guard needs no address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawScope {
    pub(crate) kind: ScopeKind,
    /// The flag word before the scope; of a recorded scope, the bits that it set without a record.
    before: u32,
    /// The flag word after entering the scope, or [`RECORDED`].
    after: u32,
    pub(crate) place: RecordPlace,
    pub(crate) location: &'static Location<'static>,
}

/// The record of a scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordPlace {
    pub(crate) task: u32,
    /// 0 outside a world, and where the record stack was full.
    pub(crate) seq: u32,
}

/// A scope that is about to be recorded.
#[derive(Clone, Copy)]
struct NewRecord {
    kind: ScopeKind,
    how: Entered,
    location: &'static Location<'static>,
}

impl RawScope {
    #[inline]
    #[track_caller]
    pub(crate) fn enter(kind: ScopeKind, how: Entered) -> Self {
        let location = Location::caller();
        let before = word::get();
        if before & word::ATTACHED != 0 {
            let (place, newly) = record(NewRecord { kind, how, location });
            return Self::recorded(kind, place, newly, location);
        }
        let after = before | kind.bit().bits();
        word::set(after);
        Self { kind, before, after, place: RecordPlace { task: 0, seq: 0 }, location }
    }

    /// The same for a scope whose line is `site` and not the caller's. Outside a world, where
    /// scopes are not recorded, the line is the caller's.
    #[track_caller]
    pub(crate) fn enter_at(kind: ScopeKind, how: Entered, site: Site) -> Self {
        if !context::is_attached() {
            return Self::enter(kind, how);
        }
        let (place, newly) = record_at(kind, how, site);
        Self::recorded(kind, place, newly, Location::caller())
    }

    #[inline]
    fn recorded(
        kind: ScopeKind,
        place: RecordPlace,
        newly: TaskFlags,
        location: &'static Location<'static>,
    ) -> Self {
        Self { kind, before: newly.bits(), after: RECORDED, place, location }
    }

    /// Where the scope was entered.
    pub(crate) fn site(&self) -> Site {
        let recorded = stack::with(|stack| {
            let ours = self.place.seq != 0 && stack.head.task == self.place.task;
            let mut open = stack.open().iter().filter(|_| ours);
            open.find(|scope| scope.seq == self.place.seq).map(|scope| scope.site)
        });
        recorded.unwrap_or_else(|| Site::from(self.location))
    }

    #[inline]
    pub(crate) fn leave(self) {
        // The comparison is predicted, so the store does not wait for the load of a word that an
        // inner scope has just stored.
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

/// Records a scope; returns the record, and the flags that the scope set without a record.
#[cold]
#[inline(never)]
fn record(NewRecord { kind, how, location }: NewRecord) -> (RecordPlace, TaskFlags) {
    record_at(kind, how, Site::from(location))
}

fn record_at(kind: ScopeKind, how: Entered, site: Site) -> (RecordPlace, TaskFlags) {
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
        None => tell(Some(MisuseReport { what: Misuse::TooDeep, kind, owner: task, seq: 0, site })),
    }
    (RecordPlace { task, seq: scope.map_or(0, |scope| scope.seq) }, newly)
}

#[cold]
#[inline(never)]
fn leave_slowly(
    present: u32,
    before: u32,
    after: u32,
    bits: TaskFlags,
    place: RecordPlace,
    location: &'static Location<'static>,
) {
    let misused = |what| {
        let (kind, site) = (ScopeKind::of_bits(bits), Site::from(location));
        tell(Some(MisuseReport { what, kind, owner: place.task, seq: place.seq, site }));
    };
    match (after == RECORDED, present & word::ATTACHED != 0) {
        (true, true) if stack::with(|stack| stack.head.task != place.task) => {
            misused(Misuse::OtherTask);
        }
        (true, true) if !leave_record(place.seq, word::flags(before)) => misused(Misuse::Stale),
        // Only the flags that this scope set are cleared (the kernel's rule since 6.9).
        (false, false) => word::set(present & !(after & !before)),
        // Entered outside a world and left in one: the scope belongs to another context.
        (false, true) => misused(Misuse::OtherTask),
        // The record was removed; or the task is gone, and with it the listener.
        (true, _) => {}
    }
}

/// Removes the record of this number and clears `newly`, the flags that the scope set without a
/// record. Returns whether the record existed, or `true` for a scope that never had one.
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
pub(crate) fn tell(misused: Option<MisuseReport>) {
    if let Some(misused) = misused {
        listener::notify(|l| l.scope_misuse(misused));
    }
}
