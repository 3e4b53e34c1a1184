//! Save and restore with tokens as older kernels had them, to replay how they were misused.
//!
//! Key types: [`Token`], [`Style`]. Three generations of tokens failed in different ways. The flag
//! word behaves here exactly as in the kernel of that generation, whatever is done with the tokens;
//! on a task of a world the record stack reports what was wrong. Written from
//! docs/kernel/scopes.md, "Tokens".

use core::panic::Location;

use crate::kind::{Entered, ScopeKind};
use crate::listener;
use crate::misuse::{Misuse, MisuseReport};
use crate::raw::tell;
use crate::site::Site;
use crate::stack::{self, LeaveOutcome};
use crate::{TaskFlags, context, word};

/// What a token holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// The flag's previous value, which restore writes back (to 6.8).
    Previous,
    /// The bits that the save turned on, which restore turns off (since 6.9).
    NewlySet,
    /// The whole flag word, which restore writes back; that undoes every other change made since
    /// (the loop worker's way).
    WholeWord,
}

/// What a save returned. It can be copied, kept, used twice and sent to another task, so that these
/// mistakes can be replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    kind: ScopeKind,
    style: Style,
    value: TaskFlags,
    task: u32,
    seq: u32,
}

impl Token {
    /// A token that no save returned: all zeroes, like a field that was cleared too early.
    #[must_use]
    pub const fn zero(kind: ScopeKind, style: Style) -> Self {
        Self { kind, style, value: TaskFlags::EMPTY, task: 0, seq: 0 }
    }
}

/// Enters a scope (`memalloc_nofs_save` and its siblings) and returns the token.
#[track_caller]
pub fn save(kind: ScopeKind, style: Style) -> Token {
    let (before, bits) = (context::flags(), kind.bit());
    let value = match style {
        Style::Previous => before.intersection(bits),
        Style::NewlySet => bits.without(before),
        Style::WholeWord => before,
    };
    word::set_flags(before | bits);
    let (task, scope) = if context::is_attached() {
        let site = Site::here();
        stack::with(|stack| (stack.head.task, stack.push(kind, Entered::Held, site)))
    } else {
        (0, None)
    };
    if let Some(scope) = scope {
        listener::notify(|l| l.scope_enter(scope));
    }
    Token { kind, style, value, task, seq: scope.map_or(0, |scope| scope.seq) }
}

/// Leaves the scope of `token` (`memalloc_nofs_restore` and its siblings).
#[track_caller]
pub fn restore(token: Token) {
    restore_as(token.kind, token);
}

/// Passes `token` to the restore function of `kind`, even if it is a token of another kind.
#[track_caller]
pub fn restore_as(kind: ScopeKind, token: Token) {
    let present = context::flags();
    word::set_flags(match token.style {
        Style::Previous => present.without(kind.bit()) | token.value,
        Style::NewlySet => present.without(token.value),
        Style::WholeWord => token.value,
    });
    if context::is_attached() {
        report_restore(kind, token, Location::caller());
    }
}

/// Reports what is wrong with this restore according to the record stack.
fn report_restore(kind: ScopeKind, token: Token, location: &'static Location<'static>) {
    let (here, left) = stack::with(|stack| {
        let here = stack.head.task;
        let fits = token.seq != 0 && token.task == here && kind == token.kind;
        (here, if fits { stack.remove(token.seq) } else { LeaveOutcome::default() })
    });
    let wrong = if token.seq == 0 {
        Some(Misuse::ZeroToken)
    } else if token.task != here {
        Some(Misuse::OtherTask)
    } else if kind != token.kind {
        Some(Misuse::WrongKind)
    } else if left.gone.is_none() {
        Some(Misuse::Stale)
    } else {
        None
    };
    let misused = |what| MisuseReport {
        what,
        kind: token.kind,
        owner: if token.seq == 0 { here } else { token.task },
        seq: token.seq,
        site: left.gone.map_or(Site::from(location), |scope| scope.site),
    };
    tell(wrong.map(misused).or(left.misused));
    if let Some(scope) = left.gone {
        listener::notify(|l| l.scope_exit(scope.kind, scope.seq));
    }
    context::check();
}
