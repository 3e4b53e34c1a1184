//! Contexts for threads that other code starts: like a child of fork, or like a kernel thread.
//!
//! A thread begins with an empty flag word, as a kernel thread does. The functions here wrap the
//! closure that the thread runs, and set the flag word for it. Written from docs/kernel/scopes.md,
//! "Fork and kernel threads" and "Ways to lose a scope" (way 6).

use crate::kind::{Entered, ScopeKind};
use crate::{Site, TaskFlags, context, listener, stack, word};

/// Wraps `body` so that it runs in the scopes that are open here now, like a child of `fork`.
///
/// The thread has no token for these scopes. In a world its task must leave them with
/// [`context::disown`] or declare them with [`crate::enter_permanent`] before it ends; otherwise
/// they are reported (RD06). Only flags are inherited, not layers of [`crate::forbid`] or reclaim
/// contexts. A worker that serves one request should enter a [`crate::Snapshot`] instead.
#[track_caller]
pub fn forked<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let (flags, site) = (context::flags().intersection(TaskFlags::SCOPES), Site::here());
    move || {
        let _context = ReplacedFlags::replace(flags, site);
        body()
    }
}

/// Wraps `body` so that it runs without any scope on any thread, like a kernel thread.
///
/// A task of a world that runs it keeps its open scopes, because their guards end them.
pub fn kthread<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _context = ReplacedFlags::replace(TaskFlags::EMPTY, Site { file: "", line: 0 });
        body()
    }
}

/// Replaces the thread's flags until it is dropped.
struct ReplacedFlags {
    before: Option<TaskFlags>,
}

impl ReplacedFlags {
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

impl Drop for ReplacedFlags {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            word::set_flags(before);
        }
    }
}
