//! The record stack of an attached task: the authoritative list of its scopes. The flag word is
//! derived from it.
//!
//! Key type: [`ScopeStack`]. Each thread has one, of fixed capacity; [`crate::context`] moves the
//! records in use with the task. Nothing here calls the listener: operations return what to report.
//!
//! # Invariants
//! Records are in the order in which their scopes were entered, with growing `seq`. The flags of
//! the task are `base` and the bits of every record; only a legacy token can make the flag word
//! differ.

use core::cell::RefCell;

use crate::TaskFlags;
use crate::kind::{Entered, Scope, ScopeKind};
use crate::misuse::{Misuse, MisuseReport};
use crate::site::Site;
use crate::transaction::OpenJournals;

/// The most scopes of one task that are recorded; real code nests three or four.
pub const MAX_DEPTH: usize = 32;

/// The part of a stack besides its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackHead {
    /// The task's number in its world.
    pub(crate) task: u32,
    /// Flags without a record: the task's role, and scopes beyond [`MAX_DEPTH`].
    pub(crate) base: TaskFlags,
    pub(crate) next_seq: u32,
    pub(crate) len: usize,
    /// A difference between flag word and records was reported, and it still exists.
    differs: bool,
    pub(crate) journals: OpenJournals,
}

impl StackHead {
    pub(crate) const fn new(task: u32, base: TaskFlags) -> Self {
        Self { task, base, next_seq: 0, len: 0, differs: false, journals: OpenJournals::NONE }
    }
}

/// The scopes of the task that runs on this thread.
#[derive(Debug)]
pub(crate) struct ScopeStack {
    pub(crate) head: StackHead,
    pub(crate) records: [Scope; MAX_DEPTH],
}

thread_local! {
    static STACK: RefCell<ScopeStack> = const { RefCell::new(ScopeStack::EMPTY) };
}

/// Calls `f` with the running task's stack. `f` must not call the listener or this function: the
/// stack is borrowed.
pub(crate) fn with<R>(f: impl FnOnce(&mut ScopeStack) -> R) -> R {
    STACK.with(|stack| f(&mut stack.borrow_mut()))
}

/// The scope that was left, and what was wrong with leaving it.
#[derive(Debug, Default)]
pub(crate) struct LeaveOutcome {
    pub(crate) gone: Option<Scope>,
    pub(crate) misused: Option<MisuseReport>,
}

impl ScopeStack {
    const EMPTY: Self =
        Self { head: StackHead::new(0, TaskFlags::EMPTY), records: [Scope::NONE; MAX_DEPTH] };

    pub(crate) fn open(&self) -> &[Scope] {
        &self.records[..self.head.len]
    }

    /// The flags that follow from `base` and the records.
    pub(crate) fn derived(&self) -> TaskFlags {
        self.open().iter().fold(self.head.base, |flags, scope| flags | scope.kind.bit())
    }

    fn misused(&self, what: Misuse, scope: &Scope) -> MisuseReport {
        MisuseReport {
            what,
            kind: scope.kind,
            owner: self.head.task,
            seq: scope.seq,
            site: scope.site,
        }
    }

    /// Records that a scope was entered; `None` if the stack is full.
    pub(crate) fn push(&mut self, kind: ScopeKind, how: Entered, site: Site) -> Option<Scope> {
        let place = self.records.get_mut(self.head.len)?;
        self.head.next_seq += 1;
        *place = Scope { kind, seq: self.head.next_seq, site, how };
        self.head.len += 1;
        Some(*place)
    }

    /// Removes the record of this number, and reports it if that was out of order.
    pub(crate) fn remove(&mut self, seq: u32) -> LeaveOutcome {
        let Some(place) = self.open().iter().rposition(|scope| scope.seq == seq) else {
            return LeaveOutcome::default();
        };
        let gone = self.records[place];
        let crossed = self.open()[place + 1..].iter().any(|inner| {
            let held = matches!(inner.how, Entered::Held | Entered::OnBehalf(_));
            held && inner.kind.nests_with(gone.kind)
        });
        self.records.copy_within(place + 1..self.head.len, place);
        self.head.len -= 1;
        LeaveOutcome {
            gone: Some(gone),
            misused: crossed.then(|| self.misused(Misuse::OutOfOrder, &gone)),
        }
    }

    /// Removes the outermost record that `matches`.
    pub(crate) fn take(&mut self, matches: impl Fn(&Scope) -> bool) -> Option<Scope> {
        let found = self.open().iter().find(|scope| matches(scope))?.seq;
        self.remove(found).gone
    }

    /// Compares `flags`, the task's word, with the records. Returns a report the first time that
    /// they differ, and again only after they have agreed.
    pub(crate) fn compare(&mut self, flags: TaskFlags) -> Option<MisuseReport> {
        let differs = flags != self.derived();
        let first = differs && !self.head.differs;
        self.head.differs = differs;
        first.then(|| {
            let innermost = self.open().last().copied().unwrap_or(Scope::NONE);
            self.misused(Misuse::WordDiffers, &innermost)
        })
    }
}
