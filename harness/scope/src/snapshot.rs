//! `Snapshot`: the scopes of one task, for a worker to enter while it works for that task.
//!
//! Key types: [`Snapshot`], [`OnBehalf`]. A worker has its own context, which is usually empty. A
//! requester that waits for the worker inside a scope is protected only if the worker enters the
//! same scopes while it serves the request. A snapshot carries a description of the scopes, never a
//! token.
//!
//! Written from docs/kernel/scopes.md, "Ways to lose a scope" (ways 1 to 3) and "Standing in for
//! kswapd".

use crate::guard::ScopeGuard;
use crate::kind::{Entered, ScopeKind, ScopeRef};
use crate::raw::RawScope;
use crate::site::Site;
use crate::{context, stack};

/// The most scopes that a snapshot carries. Of more scopes it carries the innermost.
pub(crate) const MAX_CARRIED: usize = 8;

/// The scopes that were open on a task at one moment. It can be sent to other tasks and entered any
/// number of times.
///
/// ```
/// use reclaimdep_scope::{Gfp, Snapshot, effective, nofs};
///
/// let requester = nofs();
/// let scopes = Snapshot::take();
/// let worker = std::thread::spawn(move || {
///     let _scopes = scopes.enter();
///     effective(Gfp::KERNEL)
/// });
/// assert_eq!(worker.join().unwrap(), Gfp::NOFS);
/// drop(requester);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    scopes: [Option<(ScopeKind, Entered)>; MAX_CARRIED],
}

impl Snapshot {
    /// The scopes of the running task.
    ///
    /// Outside a world only the flags are known; layers of [`crate::forbid`] and reclaim contexts
    /// are recorded only in a world.
    #[must_use]
    pub fn take() -> Self {
        let mut this = Self::default();
        if context::is_attached() {
            let task = stack::with(|stack| stack.head.task);
            let carried = context::scopes()
                .map(|scope| (scope.kind, Entered::OnBehalf(ScopeRef { task, seq: scope.seq })));
            // The innermost come first here, but the outermost must be entered first.
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

    /// The kinds of the carried scopes, outermost first.
    pub fn kinds(&self) -> impl Iterator<Item = ScopeKind> {
        self.scopes.iter().flatten().map(|(kind, _)| *kind)
    }

    /// Enters the carried scopes on the running task, until the guard is dropped.
    ///
    /// Leave them before signalling the requester that the work is done. Otherwise the requester's
    /// own scope may end first, which is a misuse ([`crate::Misuse::RestoredAfterSignal`]).
    #[track_caller]
    pub fn enter(&self) -> OnBehalf {
        let mut guards = [const { None }; MAX_CARRIED];
        for (guard, scope) in guards.iter_mut().zip(self.scopes) {
            *guard = scope.map(|(kind, how)| ScopeGuard::new(RawScope::enter(kind, how)));
        }
        OnBehalf { guards }
    }

    /// The same for an interpreter whose program has lines of its own: records name `site`.
    #[doc(hidden)]
    pub fn enter_at(&self, site: Site) -> OnBehalf {
        let mut guards = [const { None }; MAX_CARRIED];
        for (guard, scope) in guards.iter_mut().zip(self.scopes) {
            *guard = scope.map(|(kind, how)| ScopeGuard::new(RawScope::enter_at(kind, how, site)));
        }
        OnBehalf { guards }
    }
}

/// Only scopes that restrict reclaim are carried. Being the reclaimer or pinning pages concerns the
/// requester alone: carrying the former would open the reserves to the worker.
const fn carries(kind: ScopeKind) -> bool {
    kind.restricts() || matches!(kind, ScopeKind::Nowait)
}

/// Entered scopes of another task; dropping the guard leaves them, innermost first.
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
