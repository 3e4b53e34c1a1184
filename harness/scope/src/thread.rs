//! Contexts for threads that somebody else starts: as after fork, or as a kernel thread.
//!
//! A thread begins with an empty flag word, as a kernel thread does, unless its spawner was told
//! otherwise: these functions wrap what it is to run. Written from the project's description of
//! scoped allocation, 2.6 and 2.10 (way 6).

use crate::kind::{Entered, ScopeKind};
use crate::{Site, TaskFlags, context, listener, stack, word};

/// Wraps `body` to run in the scopes that its maker is in now, as a child of `fork` does.
///
/// Nobody there holds a token: in a world the task must [`context::disown`] them or declare them
/// with [`crate::enter_permanent`] before it ends, or that is reported (RD06). Only flags are
/// inherited, not user-forbidden layers and reclaim contexts. To serve one request in its maker's
/// scopes, enter a [`crate::Snapshot`] instead.
#[track_caller]
pub fn forked<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let (flags, site) = (context::flags().intersection(TaskFlags::SCOPES), Site::here());
    move || {
        let _context = Flags::replace(flags, site);
        body()
    }
}

/// Wraps `body` to run without any scope, whatever thread runs it, as a kernel thread does.
///
/// A task of a world that runs it keeps the scopes that it is in: those end with their own guards.
pub fn kthread<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _context = Flags::replace(TaskFlags::EMPTY, Site { file: "", line: 0 });
        body()
    }
}

/// The thread's flags, replaced until the drop.
struct Flags {
    before: Option<TaskFlags>,
}

impl Flags {
    fn replace(flags: TaskFlags, site: Site) -> Self {
        if !context::is_attached() {
            let before = context::flags();
            word::set_flags(flags);
            return Self { before: Some(before) };
        }
        for kind in ScopeKind::FLAGS.into_iter().filter(|kind| flags.contains(kind.bit())) {
            let scope = stack::with(|stack| {
                let scope = stack.push(kind, Entered::Inherited, site);
                word::set_flags(stack.derived());
                scope
            });
            if let Some(scope) = scope {
                listener::notify(|l| l.scope_enter(scope));
            }
        }
        Self { before: None }
    }
}

impl Drop for Flags {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            word::set_flags(before);
        }
    }
}
