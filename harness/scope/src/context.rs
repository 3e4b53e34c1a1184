//! The task context: what moves with a task when a scheduler runs several on one thread.
//!
//! Key type: [`Context`]. As in the kernel, only the running task writes its flag word, so no lock
//! is needed. A scheduler moves the context with the task through [`swap`]. A task that belongs to
//! a world has an *attached* context; only then are scopes recorded and reported to the listener.
//! A thread outside any world costs the same whether or not a world runs on another thread.

use crate::TaskFlags;
use crate::kind::{Entered, Scope, ScopeKind};
use crate::listener;
use crate::reclaim_context::{ReclaimContext, Superblock};
use crate::site::Site;
use crate::stack::{self, StackHead};
use crate::word;

pub use crate::stack::MAX_DEPTH;

/// Scopes that a context holds without a heap allocation; deeper nesting is rare.
const FEW: usize = 4;

/// The flags, scopes and open journals of a task that is not running.
#[derive(Debug)]
pub struct Context {
    word: u32,
    head: StackHead,
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

    /// A context outside any world, with `flags` set.
    #[must_use]
    pub const fn with_flags(flags: TaskFlags) -> Self {
        Self {
            word: flags.bits(),
            head: StackHead::new(0, flags),
            few: [Scope::NONE; FEW],
            more: Vec::new(),
        }
    }

    /// The context of task number `task` of a world, which starts with `flags` set.
    ///
    /// Scope bits among the flags are those that a child inherits from `fork`. Each becomes a scope
    /// without a token, which the task must [`disown`] or declare with [`crate::enter_permanent`]
    /// before it ends. The other bits say what kind of task it is.
    #[must_use]
    #[track_caller]
    pub fn attached(task: u32, flags: TaskFlags) -> Self {
        Self::forked(task, flags, Site::here())
    }

    /// Like [`Context::attached`]; reports name `site` as the place where the scopes were
    /// inherited.
    #[must_use]
    pub fn forked(task: u32, flags: TaskFlags, site: Site) -> Self {
        let mut context = Self::with_flags(flags);
        context.word |= word::ATTACHED;
        context.head = StackHead::new(task, flags.without(TaskFlags::SCOPES));
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
/// Schedulers call it around every switch, so that the context follows the task and not the thread.
/// It copies the records in use. With more than four of them it allocates on the heap; during that
/// allocation the thread counts as detached.
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
/// It costs one thread-local load, and may be called inside an allocator and while the thread ends.
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

/// Sets or clears a flag of the running task that no scope sets.
pub(crate) fn set_role(role: TaskFlags, on: bool) {
    let changed = |flags: TaskFlags| if on { flags.union(role) } else { flags.without(role) };
    if is_attached() {
        stack::with(|stack| {
            stack.head.base = changed(stack.head.base);
            word::set_flags(changed(flags()));
        });
    } else {
        word::set_flags(changed(flags()));
    }
}

/// The scopes that are open on the running task, innermost first. Empty outside a world, where a
/// scope is only a flag.
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
/// Policies use it; they decide by superblock and depth. A filesystem gets its own value back with
/// [`reclaim_context_of`].
pub fn reclaim_contexts() -> impl Iterator<Item = ReclaimContext> {
    scopes().filter_map(|scope| match scope.kind {
        ScopeKind::Context(context) => Some(context),
        _ => None,
    })
}

/// The innermost reclaim context that `superblock` put on the running task.
///
/// A filesystem that is called from reclaim, a page fault or another filesystem finds its own value
/// or `None`, never the value of another filesystem whose scope is open further out. The kernel's
/// `current->journal_info` was one untyped slot for all filesystems and could be misread so.
#[must_use]
pub fn reclaim_context_of(superblock: Superblock) -> Option<ReclaimContext> {
    reclaim_contexts().find(|context| context.superblock == superblock)
}

/// Leaves every scope that the running task inherited by fork; returns the flags that were cleared.
///
/// Outside a world, inherited flags cannot be told from flags of the task's own scopes, so nothing
/// is cleared.
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

/// Tells the listener of the scopes that are already open on the task. Schedulers call it where a
/// task with inherited scopes begins.
pub fn announce() {
    if is_attached() {
        let (records, len) = stack::with(|stack| (stack.records, stack.head.len));
        records[..len].iter().for_each(|scope| listener::notify(|l| l.scope_enter(*scope)));
    }
}

/// Reports it if the flag word does not follow from the open scopes (invariant 7 of
/// docs/kernel/rules.md, "Invariants"). Guards keep the two equal, and compare them when a scope is
/// entered or left. Only a legacy token can make them differ, so its restore calls this function.
pub(crate) fn check() {
    if is_attached()
        && let Some(misused) = stack::with(|stack| stack.compare(flags()))
    {
        listener::notify(|l| l.scope_misuse(misused));
    }
}
