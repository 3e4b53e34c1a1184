//! `Bracket`: checks that a callback leaves the task's scopes as it found them.
//!
//! Key type: [`Bracket`]. It stands around each callback of the harness: reclaim calls shrinkers
//! and release hooks, a work queue calls work items. A scope that a callback enters and forgets
//! restricts its caller from then on; if the callback ends a scope of its caller, the caller goes
//! on unprotected. Invariant 8 of docs/kernel/rules.md, "Invariants".

use crate::kind::{Entered, ScopeKind};
use crate::misuse::{Misuse, MisuseReport};
use crate::site::Site;
use crate::{TaskFlags, context, raw, stack};

/// The running task's flag word before a call.
#[derive(Debug)]
#[must_use = "close it after the call"]
pub struct Bracket {
    flags: TaskFlags,
    seq: u32,
    site: Site,
}

impl Bracket {
    /// Remembers the flag word. Outside a world there is no listener, so [`Bracket::close`] checks
    /// nothing.
    #[track_caller]
    pub fn open() -> Self {
        let seq = if context::is_attached() { stack::with(|stack| stack.head.next_seq) } else { 0 };
        Self { flags: context::flags(), seq, site: Site::here() }
    }

    /// Reports a misuse if the flag word has changed. A permanent scope that was entered in between
    /// does not count as a change.
    pub fn close(self) {
        if context::is_attached() {
            raw::tell(self.difference());
        }
    }

    /// Runs `call` inside a bracket. If it unwinds, nothing is checked.
    #[track_caller]
    pub fn around<R>(call: impl FnOnce() -> R) -> R {
        let bracket = Self::open();
        let value = call();
        bracket.close();
        value
    }

    fn difference(&self) -> Option<MisuseReport> {
        let Self { flags: before, seq, site } = *self;
        stack::with(|stack| {
            let since = || stack.open().iter().filter(|scope| scope.seq > seq);
            let permanent = since().filter(|scope| scope.how == Entered::Permanent);
            let declared = permanent.fold(TaskFlags::EMPTY, |bits, scope| bits | scope.kind.bit());
            let now = context::flags();
            let (gained, lost) = (now.without(before).without(declared), before.without(now));
            if gained.is_empty() && lost.is_empty() {
                return None;
            }
            let owner = stack.head.task;
            let left = since().find(|scope| scope.kind.bit().intersects(gained));
            Some(match left {
                Some(scope) => MisuseReport {
                    what: Misuse::LeakedPastCall,
                    kind: scope.kind,
                    owner,
                    seq: scope.seq,
                    site: scope.site,
                },
                None => MisuseReport {
                    what: Misuse::ChangedInCall,
                    kind: ScopeKind::of_bits(gained | lost),
                    owner,
                    seq: 0,
                    site,
                },
            })
        })
    }
}
