//! The record stack of an attached task: the truth about its scopes, of which the flag word is a
//! copy.
//!
//! Key type: [`Stack`]. One for each thread, of fixed capacity; [`crate::context`] moves what is
//! used with the task. Nothing here calls the listener: operations return what there is to tell.
//!
//! # Invariants
//! Records stand in the order in which their scopes were entered, and `seq` grows along them. The
//! flags of the task are `base` and the bits of every record; only a legacy token may put others in
//! the word.

use core::cell::RefCell;

use crate::TaskFlags;
use crate::kind::{Entered, Scope, ScopeKind};
use crate::listener::Site;
use crate::misuse::{Misuse, Misused};
use crate::transaction::Journals;

/// Scopes of one task that are kept; real code nests three or four.
pub const MAX_DEPTH: usize = 32;

/// What a stack holds besides its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The task's number in its world.
    pub(crate) task: u32,
    /// Flags that no record explains: the task's role, and scopes beyond [`MAX_DEPTH`].
    pub(crate) base: TaskFlags,
    pub(crate) next_seq: u32,
    pub(crate) len: usize,
    /// That the word differs from the records was said, and they have not agreed since.
    differs: bool,
    pub(crate) journals: Journals,
}

impl Head {
    pub(crate) const fn new(task: u32, base: TaskFlags) -> Self {
        Self { task, base, next_seq: 0, len: 0, differs: false, journals: Journals::NONE }
    }
}

/// The scopes of the task that runs on this thread.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) head: Head,
    pub(crate) records: [Scope; MAX_DEPTH],
}

thread_local! {
    static STACK: RefCell<Stack> =
        const { RefCell::new(Stack { head: Head::new(0, TaskFlags::EMPTY), records: [Scope::NONE; MAX_DEPTH] }) };
}

/// Calls `f` with the running task's stack. `f` must not call out: the stack is borrowed.
pub(crate) fn with<R>(f: impl FnOnce(&mut Stack) -> R) -> R {
    STACK.with(|stack| f(&mut stack.borrow_mut()))
}

/// Leaving a scope: the scope that is gone, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) gone: Option<Scope>,
    pub(crate) misused: Option<Misused>,
}

impl Stack {
    pub(crate) fn open(&self) -> &[Scope] {
        &self.records[..self.head.len]
    }

    /// The flags that base and records make.
    pub(crate) fn derived(&self) -> TaskFlags {
        self.open().iter().fold(self.head.base, |flags, scope| flags | scope.kind.bit())
    }

    fn misused(&self, what: Misuse, scope: &Scope) -> Misused {
        Misused { what, kind: scope.kind, owner: self.head.task, seq: scope.seq, site: scope.site }
    }

    /// Records that a scope was entered. None where the stack is full.
    pub(crate) fn push(&mut self, kind: ScopeKind, how: Entered, site: Site) -> Option<Scope> {
        let place = self.records.get_mut(self.head.len)?;
        self.head.next_seq += 1;
        *place = Scope { kind, seq: self.head.next_seq, site, how };
        self.head.len += 1;
        Some(*place)
    }

    /// Removes the record of this number, and says if that was out of order.
    pub(crate) fn remove(&mut self, seq: u32) -> Left {
        let Some(place) = self.open().iter().rposition(|scope| scope.seq == seq) else {
            return Left::default();
        };
        let gone = self.records[place];
        let crossed = self.open()[place + 1..].iter().any(|inner| {
            let held = matches!(inner.how, Entered::Held | Entered::OnBehalf(_));
            held && inner.kind.nests_with(gone.kind)
        });
        self.records.copy_within(place + 1..self.head.len, place);
        self.head.len -= 1;
        Left { gone: Some(gone), misused: crossed.then(|| self.misused(Misuse::OutOfOrder, &gone)) }
    }

    /// Removes the outermost record that `matches`.
    pub(crate) fn take(&mut self, matches: impl Fn(&Scope) -> bool) -> Option<Scope> {
        let found = self.open().iter().find(|scope| matches(scope))?.seq;
        self.remove(found).gone
    }

    /// What to say about `flags`, the task's word: something at the first look at which it is not
    /// what the records make it.
    pub(crate) fn compare(&mut self, flags: TaskFlags) -> Option<Misused> {
        let differs = flags != self.derived();
        let first = differs && !self.head.differs;
        self.head.differs = differs;
        first.then(|| {
            let innermost = self.open().last().copied().unwrap_or(Scope::NONE);
            self.misused(Misuse::WordDiffers, &innermost)
        })
    }
}
