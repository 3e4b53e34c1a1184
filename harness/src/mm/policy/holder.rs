//! The holder: the task for which memory is reclaimed, and its scopes.
//!
//! Key types: [`Holder`], [`ReclaimerKind`]. It does not contain the effective mask, since policies
//! differ in how scopes restrict the request ([`super::Policy::effective`]).

use reclaimdep_scope::{Gfp, ReclaimContext, TaskFlags};

use super::topology::Node;

/// Which task reclaims.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReclaimerKind {
    /// The allocating task itself.
    #[default]
    Direct,
    /// The background reclaimer; no scope of another task restricts it.
    Kswapd,
    /// The charging task, for its memory cgroup's limit.
    Memcg,
}

/// The task for which memory is reclaimed. Plain data, borrowed from the task.
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
    /// The part of the stack whose requests this task handles, such as the device of a loop worker.
    /// Requests to it complete only if this task makes progress.
    pub serving: Option<Node>,
    /// Which task reclaims.
    pub kind: ReclaimerKind,
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
            kind: ReclaimerKind::Direct,
        }
    }

    /// kswapd: GFP_KERNEL, whatever the mask of the request that woke it.
    #[must_use]
    pub const fn kswapd() -> Self {
        Self { kind: ReclaimerKind::Kswapd, ..Self::new(Gfp::KERNEL, TaskFlags::MEMALLOC) }
    }

    /// A task that asked for GFP_KERNEL in NOFS scopes, each with one of `contexts`, innermost
    /// first.
    #[must_use]
    pub const fn in_contexts(contexts: &[ReclaimContext]) -> Holder<'_> {
        Holder { contexts, plain_nofs: false, ..Self::new(Gfp::KERNEL, TaskFlags::MEMALLOC_NOFS) }
    }
}

impl Holder<'_> {
    /// Whether it is restricted to "no filesystem" without naming the filesystem that it protects:
    /// by a NOFS scope without a context, or by a request with the mask GFP_NOFS.
    ///
    /// An explicit mask is a plain scope around one allocation. Its caller protects *some*
    /// filesystem, so all of them are protected.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let unnamed_scope =
            self.flags.contains(TaskFlags::MEMALLOC_NOFS) && self.contexts.is_empty();
        let explicit = self.requested.contains(Gfp::IO) && !self.requested.contains(Gfp::FS);
        self.plain_nofs || unnamed_scope || explicit
    }

    /// The request under every scope except NOFS: the most that an allowed target may get.
    #[must_use]
    pub const fn without_nofs(&self) -> Gfp {
        self.requested.effective(self.flags.without(TaskFlags::MEMALLOC_NOFS))
    }
}
