//! The task context: what moves with a task when a scheduler runs several on one thread.
//!
//! Key type: [`Context`]. As in the kernel, only the running task writes its flag word, which is
//! what makes it lock-free. A scheduler moves the context with the task through [`swap`]; a task
//! that belongs to a world gets an *attached* context, and only then are scopes recorded and told
//! to the listener. Threads outside any world are not touched while some other thread's world
//! listens.

use crate::TaskFlags;
use crate::kind::{Entered, Scope, ScopeKind};
use crate::listener::{self, Site};
use crate::reclaim_context::{ReclaimContext, Superblock};
use crate::stack::{self, Head};
use crate::word;

pub use crate::stack::MAX_DEPTH;

/// Scopes that a context keeps without asking for memory; deeper nests are rare.
const FEW: usize = 4;

/// The flags, scopes and open journals of a task that does not run now.
#[derive(Debug)]
pub struct Context {
    word: u32,
    head: Head,
    few: [Scope; FEW],
    more: Vec<Scope>,
}

impl Default for Context {
    fn default() -> Self {
        Self::DETACHED
    }
}

impl Context {
    /// No scope, and no world.
    pub const DETACHED: Self = Self::with_flags(TaskFlags::EMPTY);

    /// A context outside any world that starts with `flags` set.
    #[must_use]
    pub const fn with_flags(flags: TaskFlags) -> Self {
        Self {
            word: flags.bits(),
            head: Head::new(0, flags),
            few: [Scope::NONE; FEW],
            more: Vec::new(),
        }
    }

    /// The context of task number `task` of a world, which starts with `flags` set.
    ///
    /// Scope bits among the flags are what a child of `fork` inherits: each becomes a scope that
    /// nobody holds a token for, and that the task must [`disown`] or declare with
    /// [`crate::enter_permanent`] before it ends. Other bits say what kind of task it is.
    #[must_use]
    #[track_caller]
    pub fn attached(task: u32, flags: TaskFlags) -> Self {
        Self::forked(task, flags, Site::here())
    }

    /// The same; what is inherited was inherited at `site`.
    #[must_use]
    pub fn forked(task: u32, flags: TaskFlags, site: Site) -> Self {
        let mut context = Self::with_flags(flags);
        context.word |= word::ATTACHED;
        context.head = Head::new(task, flags.without(TaskFlags::SCOPES));
        for kind in ScopeKind::FLAGS.into_iter().filter(|kind| flags.contains(kind.bit())) {
            context.head.next_seq += 1;
            context.push(Scope { kind, seq: context.head.next_seq, site, how: Entered::Inherited });
        }
        context
    }

    fn push(&mut self, scope: Scope) {
        match self.few.get_mut(self.head.len) {
            Some(place) => *place = scope,
            None => self.more.push(scope),
        }
        self.head.len += 1;
    }

    /// The flag word in this context.
    #[must_use]
    pub const fn flags(&self) -> TaskFlags {
        word::flags(self.word)
    }
}

/// Exchanges `context` with the one on this thread.
///
/// For schedulers: call it around every switch, so that the context follows the task and not the
/// thread. It copies the records in use; beyond four of them it asks for memory, while the thread
/// counts as detached.
pub fn swap(context: &mut Context) {
    let word = word::get();
    word::set(0);
    stack::with(|stack| {
        let (out, in_) = (stack.head.len, context.head.len);
        core::mem::swap(&mut stack.head, &mut context.head);
        let few = out.max(in_).min(FEW);
        stack.records[..few].swap_with_slice(&mut context.few[..few]);
        let deep = stack.records[FEW..out.max(FEW)].to_vec();
        stack.records[FEW..FEW + context.more.len()].copy_from_slice(&context.more);
        context.more = deep;
    });
    word::set(core::mem::replace(&mut context.word, word));
}

/// Installs `context` on this thread and returns the one that was there.
pub fn replace(mut context: Context) -> Context {
    swap(&mut context);
    context
}

/// Whether this thread runs a task of a world that listens.
///
/// One thread-local load; it may be called from inside an allocator and while the thread ends.
#[inline]
#[must_use]
pub fn is_attached() -> bool {
    word::is_attached()
}

/// The running task's flag word.
#[inline]
#[must_use]
pub fn flags() -> TaskFlags {
    word::flags(word::get())
}

/// The scopes that are open on the running task, innermost first. Empty outside a world, where
/// scopes are flags alone.
pub fn scopes() -> impl Iterator<Item = Scope> {
    let (records, len) = if is_attached() {
        stack::with(|stack| (stack.records, stack.head.len))
    } else {
        ([Scope::NONE; MAX_DEPTH], 0)
    };
    records.into_iter().take(len).rev()
}

/// The reclaim contexts in force on the running task, innermost first. Empty outside a world.
///
/// For policies, which decide by superblock and depth. A filesystem that wants its own value back
/// asks with [`reclaim_context_of`].
pub fn reclaim_contexts() -> impl Iterator<Item = ReclaimContext> {
    scopes().filter_map(|scope| match scope.kind {
        ScopeKind::Context(context) => Some(context),
        _ => None,
    })
}

/// The innermost reclaim context that `superblock` put on the running task.
///
/// A filesystem that reclaim, a fault or a nested call reached finds its own value or none, never
/// that of another filesystem whose scope is open further out: one untyped slot for all of them is
/// what `current->journal_info` was.
#[must_use]
pub fn reclaim_context_of(superblock: Superblock) -> Option<ReclaimContext> {
    reclaim_contexts().find(|context| context.superblock == superblock)
}

/// Leaves every scope that the running task inherited by fork; returns the flags that went.
///
/// Outside a world nothing tells inherited flags from those of the task's own scopes: nothing goes.
pub fn disown() -> TaskFlags {
    let mut gone = TaskFlags::EMPTY;
    while is_attached()
        && let Some(scope) = stack::with(|stack| {
            let scope = stack.take(|scope| scope.how == Entered::Inherited);
            word::set_flags(stack.derived());
            scope
        })
    {
        gone = gone | scope.kind.bit();
        listener::notify(|l| l.scope_exit(scope.kind, scope.seq));
    }
    gone
}

/// Tells the listener of the scopes that are on the task already. For schedulers: where a task that
/// inherited scopes begins.
pub fn announce() {
    if is_attached() {
        let (records, len) = stack::with(|stack| (stack.records, stack.head.len));
        records[..len].iter().for_each(|scope| listener::notify(|l| l.scope_enter(*scope)));
    }
}

/// Tells the listener if the flag word is not what the open scopes make it: invariant 7 of the
/// project's description. Guards keep it by construction and look again when they are entered and
/// left; only a legacy token can break it, and its restore asks.
pub(crate) fn check() {
    if is_attached()
        && let Some(misused) = stack::with(|stack| stack.compare(flags()))
    {
        listener::notify(|l| l.scope_misuse(misused));
    }
}
