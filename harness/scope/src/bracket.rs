//! `Bracket`: a call of code that is not one's own, which must leave the task's scopes as they
//! were.
//!
//! Key type: [`Bracket`]. For those who call back: reclaim calls shrinkers and release hooks, a
//! queue calls work items. A scope that such a callback enters and forgets restricts its caller
//! from then on; one that it leaves for its caller unprotects it. Invariant 8 of the project's
//! description of reclaim, section 9.

use crate::kind::{Entered, ScopeKind};
use crate::listener::Site;
use crate::misuse::{Misuse, Misused};
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
    /// Looks at the flag word. Outside a world there is nobody to tell, and nothing is looked at
    /// later.
    #[track_caller]
    pub fn open() -> Self {
        let seq = if context::is_attached() { stack::with(|stack| stack.head.next_seq) } else { 0 };
        Self { flags: context::flags(), seq, site: Site::here() }
    }

    /// Tells the listener if the word is another now. A scope for the task's life, entered
    /// meanwhile, is no difference.
    pub fn close(self) {
        if context::is_attached() {
            raw::tell(self.difference());
        }
    }

    /// Makes a call inside a bracket. One that unwinds is not looked at.
    #[track_caller]
    pub fn around<R>(call: impl FnOnce() -> R) -> R {
        let bracket = Self::open();
        let value = call();
        bracket.close();
        value
    }

    fn difference(&self) -> Option<Misused> {
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
                Some(scope) => Misused {
                    what: Misuse::LeakedPastCall,
                    kind: scope.kind,
                    owner,
                    seq: scope.seq,
                    site: scope.site,
                },
                None => Misused {
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
