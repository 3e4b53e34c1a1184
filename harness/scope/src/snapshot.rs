//! `Snapshot`: the scopes of one task, for a worker to enter while it works for that task.
//!
//! Key types: [`Snapshot`], [`OnBehalf`]. A worker has a context of its own, usually empty; a
//! requester that waits for it inside a scope is protected only if the worker enters the same
//! scopes for as long as it serves the request. What crosses is a description, never a token.
//!
//! Written from the project's description of scoped allocation, 2.10 (ways 1 to 3) and 2.8.

use crate::guard::ScopeGuard;
use crate::kind::{Entered, ScopeKind, ScopeRef};
use crate::raw::Raw;
use crate::{context, stack};

/// Scopes that a snapshot carries; of more, the innermost.
pub const MAX_CARRIED: usize = 8;

/// The scopes that were open on a task at one moment. It may be sent and used again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    scopes: [Option<(ScopeKind, Entered)>; MAX_CARRIED],
}

impl Snapshot {
    /// The scopes of the running task.
    ///
    /// Outside a world these are its flags; user-forbidden layers and reclaim contexts are kept
    /// only in one.
    #[must_use]
    pub fn take() -> Self {
        let mut this = Self::default();
        if context::is_attached() {
            let task = stack::with(|stack| stack.head.task);
            let carried = context::scopes()
                .map(|scope| (scope.kind, Entered::OnBehalf(ScopeRef { task, seq: scope.seq })));
            // The innermost come first, and the outermost are to be entered first.
            this.fill(carried.filter(|(kind, _)| carries(*kind)));
            let used = this.scopes.iter().flatten().count();
            this.scopes[..used].reverse();
        } else {
            let flags = context::flags();
            let kinds = ScopeKind::FLAGS.into_iter().filter(|kind| flags.contains(kind.bit()));
            this.fill(kinds.filter(|kind| carries(*kind)).map(|kind| (kind, Entered::Held)));
        }
        this
    }

    fn fill(&mut self, scopes: impl Iterator<Item = (ScopeKind, Entered)>) {
        for (place, scope) in self.scopes.iter_mut().zip(scopes) {
            *place = Some(scope);
        }
    }

    /// The kinds of scopes that it carries, outermost first.
    pub fn kinds(&self) -> impl Iterator<Item = ScopeKind> {
        self.scopes.iter().flatten().map(|(kind, _)| *kind)
    }

    /// Enters the carried scopes on the running task, until the guard is dropped.
    ///
    /// Leave them before telling the requester that the work is done: a scope that stands for one
    /// that has ended is a misuse ([`crate::Misuse::RestoredAfterSignal`]).
    #[track_caller]
    pub fn enter(&self) -> OnBehalf {
        let mut guards = [const { None }; MAX_CARRIED];
        for (guard, scope) in guards.iter_mut().zip(self.scopes) {
            *guard = scope.map(|(kind, how)| ScopeGuard::new(Raw::enter(kind, how)));
        }
        OnBehalf { guards }
    }
}

/// What restricts reclaim is carried. That a task is itself a reclaimer, or pins its pages, is its
/// own affair: the reserves are not opened to others.
const fn carries(kind: ScopeKind) -> bool {
    kind.restricts() || matches!(kind, ScopeKind::Nowait)
}

/// The scopes of another task, entered; dropping it leaves them, innermost first.
#[must_use = "the scopes end when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct OnBehalf {
    guards: [Option<ScopeGuard>; MAX_CARRIED],
}

impl Drop for OnBehalf {
    fn drop(&mut self) {
        for guard in self.guards.iter_mut().rev() {
            drop(guard.take());
        }
    }
}
