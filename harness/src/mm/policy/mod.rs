//! Policies: which mask reclaim gets for each target, by the scopes of the task.
//!
//! A NOFS scope says "no filesystem". The mailing list thread of June 2020 did not agree whether
//! that means every filesystem or one, and whether it means I/O too. Each answer is a [`Policy`]
//! here: a pure function of the holder ([`Holder`]), the target ([`Target`]) and the built stack
//! ([`Topology`]). Reclaim asks the policy for the mask of each target; [`audit::Audit`] compares
//! the policy with the oracle.
//!
//! | policy | a NOFS scope forbids | needs to know of the stack |
//! |---|---|---|
//! | [`Mainline`] | every filesystem | nothing |
//! | [`Join`] | every filesystem, and I/O | nothing |
//! | [`OnlySwapIo`] | every filesystem, and I/O except to swap | what is below swap areas |
//! | [`ReclaimContextPolicy`] | filesystems at another depth than the holder's | depths |
//! | [`Oracle`] | targets that need the holder | everything |
//!
//! An explicit GFP_NOFS request without a scope is the same as the scope for `mainline`. `join` and
//! `join+only-swap-io` change scopes and not masks, so such a request keeps I/O. For
//! `reclaim-context` and the oracle it is a plain scope around one allocation
//! ([`Holder::is_plain`]): it protects some filesystem and does not say which, so all are
//! protected. No policy permits a bit that the request lacks.
//!
//! | module | holds |
//! |---|---|
//! | `holder`, `target` | [`Holder`], [`Target`]: the two arguments of a policy |
//! | `topology` | [`Topology`]: the dependency graph, recorded while the stack is built |
//! | `mainline`, `join`, `only_swap_io`, `reclaim_context`, `oracle` | one policy each |
//! | `ask` | [`AskFilesystem`]: asking a filesystem about its own objects |
//! | `kind` | [`PolicyKind`]: the registry of names |
//! | [`audit`] | counting the wrong decisions of a policy, also on random stacks |
//!
//! Written from docs/kernel/masks.md, docs/kernel/scopes.md, "The effective mask",
//! docs/kernel/reclaim.md, "The decision for each page", docs/kernel/proposals.md, and
//! docs/kernel/rules.md, "Invariants" (invariant 20). `docs/policies.md` has the tables and
//! measurements. No locks, no clock, no events; only walks of the topology allocate.

use core::fmt::Debug;

use reclaimdep_scope::{Gfp, TaskFlags};

mod ask;
pub mod audit;
mod holder;
mod join;
mod kind;
mod mainline;
mod only_swap_io;
mod oracle;
mod reclaim_context;
mod target;
mod topology;

pub use ask::{AskFilesystem, SaysNo};
pub use holder::{Holder, ReclaimerKind};
pub use join::Join;
pub use kind::PolicyKind;
pub use mainline::{Mainline, SwapFiles};
pub use only_swap_io::{OnlySwapIo, SwapAreas};
pub use oracle::Oracle;
pub use reclaim_context::{
    DeniedWork, DepthSource, DepthWhen, FilePages, Knob, MemcgContext, PlainNofs,
    ReclaimContextKnobs, ReclaimContextPolicy, Rule, RuleOrder, SameSuperblock, SeveralContexts,
    SharedLower, Spanning, SwapPages, UnknownDepth, WithoutSuperblock, WorkItems,
};
pub use target::{SwapPlace, Target, Waits};
pub use topology::{Node, NodeKind, Topology};

/// What a policy must know about the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StackingData {
    /// Nothing.
    Nothing,
    /// What is below swap areas.
    Swap,
    /// How deep each part is.
    Depth,
    /// The whole graph.
    Graph,
}

/// Decides which mask reclaim gets for a target. Pure: equal arguments give equal results, and a
/// call changes nothing.
pub trait Policy: Send + Sync + Debug {
    /// Its name in the registry.
    fn name(&self) -> &'static str;

    /// What it must know about the stack.
    fn needs(&self) -> StackingData;

    /// The mask of an allocation before there is a target: watermarks, the OOM killer, throttling
    /// and traces use it.
    ///
    /// It never has a bit that `requested` lacks.
    fn effective(&self, requested: Gfp, flags: TaskFlags) -> Gfp {
        requested.effective(flags)
    }

    /// The mask with which reclaim for `holder` may work on `target`.
    ///
    /// It may have more bits than the effective mask (an allowed target gets FS back) or fewer (a
    /// denied one loses I/O too), but never one that the request lacked.
    fn mask_for(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> Gfp;

    /// Whether reclaim for `holder` may write an anonymous page to `area`.
    fn may_swap(&self, holder: &Holder<'_>, area: SwapPlace, stack: &Topology) -> bool {
        area.may_enter(self.mask_for(holder, &Target::SwapPage(area), stack))
    }

    /// Whether reclaim for the holder works on the target; [`audit::Audit`] counts such pairs.
    fn permits(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> bool {
        match target {
            Target::SwapPage(area) => self.may_swap(holder, *area, stack),
            _ => target.works_under(self.mask_for(holder, target, stack)),
        }
    }

    /// Whether the scan of a denied target is deferred, as after SHRINK_STOP. If not, reclaim skips
    /// the target and the pressure is lost.
    fn defers_denied(&self) -> bool {
        true
    }
}

/// The decision for one holder and one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PolicyVerdict {
    Allow,
    Deny,
}

impl PolicyVerdict {
    /// The mask of the decision. An allowed target gets FS back, if the request had it. A denied
    /// one has no FS. If the target is no filesystem and there may be one below it, it has no I/O
    /// either, because a wait for I/O leads into that filesystem (the deadlock of 2014).
    fn mask(self, holder: &Holder<'_>, target: &Target, over_filesystem: bool) -> Gfp {
        let all = holder.without_nofs();
        match self {
            Self::Allow => all,
            Self::Deny if target.superblock().is_none() && over_filesystem => {
                all - Gfp::FS - Gfp::IO
            }
            Self::Deny => all - Gfp::FS,
        }
    }
}

#[cfg(test)]
mod tests;
