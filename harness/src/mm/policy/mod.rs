//! Policies: how a task's scopes become masks, and which targets reclaim may work on for whom.
//!
//! A NOFS scope says "no filesystem". Whether that means every filesystem or one, and whether it
//! means I/O too, is what the thread of June 2020 could not agree on. Each answer is a [`Policy`]
//! here: a pure function of the holder ([`Holder`]), the target ([`Target`]) and the built stack
//! ([`Topology`]). The reclaim core asks it, target by target, for the mask with which it may work;
//! [`Audit`] compares it with the oracle.
//!
//! | policy | a NOFS scope forbids | needs to know of the stack |
//! |---|---|---|
//! | [`Mainline`] | every filesystem | nothing |
//! | [`Join`] | every filesystem, and I/O | nothing |
//! | [`OnlySwapIo`] | every filesystem, and I/O but to swap | what is below swap areas |
//! | [`ReclaimContextPolicy`] | filesystems at another depth than the holder's | depths |
//! | [`Oracle`] | what really needs the holder | everything |
//!
//! What an explicit GFP_NOFS request without a scope means: to `mainline` the same as the scope; to
//! `join` and `join+only-swap-io` less, since they join the scopes and leave masks alone, so I/O
//! stays allowed; to `reclaim-context` and the oracle a plain scope around one allocation
//! ([`Holder::is_plain`]): it protects some filesystem and does not say which, so all are
//! protected. No policy permits what the request itself did not.
//!
//! | module | holds |
//! |---|---|
//! | [`holder`], [`target`] | the two sides of the question |
//! | [`topology`] | the real dependency graph, recorded by whoever builds the stack |
//! | [`mainline`], [`join`], [`only_swap_io`], [`reclaim_context`], [`oracle`] | a policy each |
//! | [`ask`] | asking a filesystem about itself |
//! | [`kind`] | [`PolicyKind`]: the registry of names |
//! | [`audit`] | counting what a policy gets wrong; random stacks to measure it on |
//!
//! Written from the project's description of scoped allocation, 1, 2.3, 4.2, 7 and 9 (20).
//! `docs/policies.md` has the tables and what was measured. No locks, no clock, no events; nothing
//! allocates but what walks the topology.

use core::fmt::Debug;

use reclaimdep_scope::{Gfp, TaskFlags};

pub mod ask;
pub mod audit;
pub mod holder;
pub mod join;
pub mod kind;
pub mod mainline;
pub mod only_swap_io;
pub mod oracle;
pub mod reclaim_context;
pub mod target;
pub mod topology;

pub use ask::{AskFilesystem, SaysNo};
pub use audit::Audit;
pub use holder::{Holder, Reclaimer};
pub use join::Join;
pub use kind::PolicyKind;
pub use mainline::Mainline;
pub use only_swap_io::OnlySwapIo;
pub use oracle::Oracle;
pub use reclaim_context::{ReclaimContextKnobs, ReclaimContextPolicy};
pub use target::{SwapArea, Target, Waits};
pub use topology::{Node, NodeKind, Topology};

/// What a policy must know of the stack.
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

/// How masks and shrinkers decide. Pure: equal arguments give equal answers, and asking changes
/// nothing.
pub trait Policy: Send + Sync + Debug {
    /// What the registry calls it.
    fn name(&self) -> &'static str;

    /// What it must know of the stack.
    fn needs(&self) -> StackingData;

    /// The mask of an allocation that has no target yet: what watermarks, OOM, throttling and traces
    /// see.
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
    fn may_swap(&self, holder: &Holder<'_>, area: SwapArea, stack: &Topology) -> bool {
        area.may_enter(self.mask_for(holder, &Target::SwapPage(area), stack))
    }

    /// Whether the target would work for the holder: the pair as [`Audit`] counts it.
    fn permits(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> bool {
        match target {
            Target::SwapPage(area) => self.may_swap(holder, *area, stack),
            _ => target.works_under(self.mask_for(holder, target, stack)),
        }
    }

    /// Whether the scan that a denied target did not get stays owed, as after SHRINK_STOP. If not,
    /// reclaim passes the target over and the pressure is lost.
    fn defers_denied(&self) -> bool {
        true
    }
}

/// What a rule says of one holder and one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Allow,
    Deny,
}

impl Verdict {
    /// The mask that follows. An allowed target gets FS back, as far as the request had it. A
    /// denied one has no FS; where there may be a filesystem under something that is none itself,
    /// I/O goes too, because I/O is the way into it (the wait edge, E2).
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
