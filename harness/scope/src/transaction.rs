//! `Transaction`: a journal handle that carries its scope.
//!
//! Key types: [`Journal`], [`Transaction`], [`Intent`]. Starting a transaction enters the journal's
//! scope. A nested start on the same journal only increments a count, and the scope ends when the
//! last handle is dropped, in any order. An [`Intent`] takes a transaction to another task: this
//! task leaves its scope and the other task enters its own. Tasks never exchange a token.
//!
//! ```
//! use reclaimdep_scope::Journal;
//!
//! let journal = Journal::new();
//! let intent = journal.start().handoff();
//! std::thread::spawn(move || drop(intent.enter())).join().unwrap();
//! ```
//!
//! ```compile_fail,E0277
//! let transaction = reclaimdep_scope::Journal::new().start();
//! std::thread::spawn(move || drop(transaction)); // it holds a scope of this task
//! ```
//!
//! Mirrors jbd2's handles and XFS's transaction context; written from docs/kernel/scopes.md,
//! "Nesting and placement" and "Transactions are not scopes".

use core::marker::PhantomData;

use crate::kind::{Entered, ScopeKind};
use crate::lock::LazyId;
use crate::misuse::{Misuse, MisuseReport};
use crate::raw::{RawScope, tell};
use crate::{ReclaimContext, Site, context, stack};

/// The most journals of one task for which nested starts are counted.
const MAX_JOURNALS: usize = 4;

/// A journal, on which transactions are started.
#[derive(Debug)]
pub struct Journal {
    key: LazyId,
    kind: ScopeKind,
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal {
    /// A journal whose transactions are NOFS scopes.
    #[must_use]
    pub const fn new() -> Self {
        Self { key: LazyId::new(), kind: ScopeKind::Nofs }
    }

    /// A journal whose transactions are scopes that say which filesystem they protect.
    #[must_use]
    pub const fn with_context(context: ReclaimContext) -> Self {
        Self { key: LazyId::new(), kind: ScopeKind::Context(context) }
    }

    /// Starts a transaction, or joins the one that this task has open on the same journal.
    #[track_caller]
    pub fn start(&self) -> Transaction {
        Transaction::start(self.key.get(), self.kind)
    }
}

/// The transactions that a task has open, by journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenJournals([Option<OpenTransaction>; MAX_JOURNALS]);

#[derive(Clone, Copy, Debug)]
struct OpenTransaction {
    journal: u64,
    handles: u32,
    scope: RawScope,
}

impl OpenJournals {
    pub(crate) const NONE: Self = Self([None; MAX_JOURNALS]);

    fn running(&mut self, journal: u64) -> Option<&mut OpenTransaction> {
        self.0.iter_mut().flatten().find(|running| running.journal == journal)
    }

    fn open(&mut self, journal: u64, scope: RawScope) -> bool {
        let free = self.0.iter_mut().find(|place| place.is_none());
        free.map(|place| *place = Some(OpenTransaction { journal, handles: 1, scope })).is_some()
    }

    /// Removes one handle; returns the scope to leave if it was the last one.
    fn stop(&mut self, journal: u64) -> Option<RawScope> {
        let running = self.running(journal)?;
        running.handles -= 1;
        if running.handles > 0 {
            return None;
        }
        let ended = running.scope;
        let place = self
            .0
            .iter_mut()
            .find(|place| place.is_some_and(|running| running.journal == journal))?;
        *place = None;
        Some(ended)
    }
}

/// A handle on a running transaction. Dropping the last handle stops the transaction.
#[must_use = "the transaction stops when this handle is dropped; bind it to a name"]
#[derive(Debug)]
pub struct Transaction {
    journal: u64,
    kind: ScopeKind,
    /// The scope, if the task has more journals open than [`MAX_JOURNALS`].
    own: Option<RawScope>,
    task_bound: PhantomData<*const ()>,
}

impl Transaction {
    #[track_caller]
    fn start(journal: u64, kind: ScopeKind) -> Self {
        let joined = stack::with(|stack| {
            stack.head.journals.running(journal).map(|running| running.handles += 1).is_some()
        });
        let mut own = None;
        if !joined {
            let scope = RawScope::enter(kind, Entered::Held);
            let counted = stack::with(|stack| stack.head.journals.open(journal, scope));
            own = (!counted).then_some(scope);
        }
        Self { journal, kind, own, task_bound: PhantomData }
    }

    /// The number of handles that this task has on the transaction.
    #[must_use]
    pub fn handles(&self) -> u32 {
        stack::with(|stack| {
            stack.head.journals.running(self.journal).map_or(1, |running| running.handles)
        })
    }

    /// Commits this transaction and starts a new one.
    ///
    /// The commit ends the scope, and the new transaction enters its own. (A kernel that moved the
    /// token to the new transaction left a zeroed token for the commit to restore, and the rest of
    /// the roll ran unprotected.) If the task has other handles on the transaction, it is not
    /// committed: this handle stays in it.
    #[track_caller]
    pub fn roll(self) -> Self {
        let (journal, kind) = (self.journal, self.kind);
        drop(self);
        Self::start(journal, kind)
    }

    /// Leaves the scope and hands the transaction over, so that another task can complete it.
    ///
    /// # Panics
    /// If the task has other handles on the transaction: they would continue without a scope.
    #[track_caller]
    pub fn handoff(self) -> Intent {
        assert_eq!(
            self.handles(),
            1,
            "stop the other handles on this transaction before handing it over"
        );
        Intent { journal: self.journal, kind: self.kind, site: Site::here(), entered: false }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let ended =
            self.own.or_else(|| stack::with(|stack| stack.head.journals.stop(self.journal)));
        if let Some(scope) = ended {
            scope.leave();
        }
    }
}

/// A transaction that is being handed over to another task. It holds no scope and no token.
///
/// Dropping it without entering it is a misuse ([`Misuse::NeverReentered`]).
#[must_use = "the transaction is lost unless another task enters it"]
#[derive(Debug)]
pub struct Intent {
    journal: u64,
    kind: ScopeKind,
    site: Site,
    entered: bool,
}

impl Intent {
    /// Continues the transaction on this task, in a new scope.
    #[track_caller]
    pub fn enter(mut self) -> Transaction {
        self.entered = true;
        Transaction::start(self.journal, self.kind)
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        // A task that unwinds may drop an intent that it was about to hand over.
        if !self.entered && context::is_attached() && !std::thread::panicking() {
            let owner = stack::with(|stack| stack.head.task);
            let (kind, site) = (self.kind, self.site);
            tell(Some(MisuseReport { what: Misuse::NeverReentered, kind, owner, seq: 0, site }));
        }
    }
}
