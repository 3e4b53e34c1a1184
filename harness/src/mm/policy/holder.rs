//! The holder: the task on whose behalf memory is reclaimed, and what its scopes say about it.
//!
//! Key types: [`Holder`], [`Reclaimer`]. The effective mask is not in it: what the scopes make of
//! the request is the first thing that policies differ in ([`super::Policy::effective`]).

use reclaimdep_scope::{Gfp, ReclaimContext, TaskFlags};

use super::topology::Node;

/// Who reclaims.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reclaimer {
    /// The allocating task itself.
    #[default]
    Direct,
    /// The background reclaimer, which no scope of another task restricts.
    Kswapd,
    /// The charging task, for its memory cgroup's limit.
    Memcg,
}

/// The task on whose behalf memory is reclaimed. Plain data, borrowed from the task.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// What the allocation asked for, before any scope.
    pub requested: Gfp,
    /// The task's flag word.
    pub flags: TaskFlags,
    /// The contexts of its active NOFS scopes, innermost first.
    pub contexts: &'a [ReclaimContext],
    /// Whether a NOFS scope without a context is active too.
    pub plain_nofs: bool,
    /// The contexts of the tasks that wait for the work item that this task runs.
    pub carried: &'a [ReclaimContext],
    /// The part of the stack whose requests this task serves: a loop worker's device. Others cannot
    /// finish on it before this task goes on.
    pub serving: Option<Node>,
    /// Who reclaims.
    pub kind: Reclaimer,
}

impl Holder<'static> {
    /// A task with these flags that reclaims directly; its NOFS scope, if it has one, names no
    /// context.
    #[must_use]
    pub const fn new(requested: Gfp, flags: TaskFlags) -> Self {
        Self {
            requested,
            flags,
            contexts: &[],
            plain_nofs: flags.contains(TaskFlags::MEMALLOC_NOFS),
            carried: &[],
            serving: None,
            kind: Reclaimer::Direct,
        }
    }

    /// kswapd: GFP_KERNEL, whatever the mask of who woke it.
    #[must_use]
    pub const fn kswapd() -> Self {
        Self { kind: Reclaimer::Kswapd, ..Self::new(Gfp::KERNEL, TaskFlags::MEMALLOC) }
    }

    /// A task that asked for GFP_KERNEL in NOFS scopes, each with one of `contexts`, innermost
    /// first.
    #[must_use]
    pub const fn in_contexts(contexts: &[ReclaimContext]) -> Holder<'_> {
        Holder { contexts, plain_nofs: false, ..Self::new(Gfp::KERNEL, TaskFlags::MEMALLOC_NOFS) }
    }
}

impl Holder<'_> {
    /// Whether something restricts it to "no filesystem" without saying which one it protects: a
    /// NOFS scope without a context, or a request that is GFP_NOFS by itself.
    ///
    /// An explicit mask is a plain scope around one allocation. Whoever wrote it protects *some*
    /// filesystem, so all of them are protected.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let unnamed_scope =
            self.flags.contains(TaskFlags::MEMALLOC_NOFS) && self.contexts.is_empty();
        let explicit = self.requested.contains(Gfp::IO) && !self.requested.contains(Gfp::FS);
        self.plain_nofs || unnamed_scope || explicit
    }

    /// The request under every scope but NOFS: all that may be given back to an allowed target.
    #[must_use]
    pub const fn without_nofs(&self) -> Gfp {
        self.requested.effective(self.flags.without(TaskFlags::MEMALLOC_NOFS))
    }
}
