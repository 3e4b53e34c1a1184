//! `reclaim-context`: a NOFS scope names its superblock, and depths tell which targets may need it.
//!
//! Key types: [`ReclaimContextPolicy`], [`ReclaimContextKnobs`], [`Rule`]. Dave Chinner's proposal
//! of June 2020, never implemented. If T needs S then T is deeper than S, so another superblock at
//! equal depth is safe. At a different depth it may be safe, and is denied. That argument holds for
//! superblocks on a stack whose depths are correct. Each open question
//! ([`ReclaimContextKnobs::TABLE`]) is about one of its limits.
//!
//! | module | holds |
//! |---|---|
//! | `knobs` | [`ReclaimContextKnobs`]: the open questions of the proposal, decided |
//! | `rule` | [`Rule`]: the three rules of the proposal |
//!
//! Written from docs/kernel/proposals.md, "The reclaim context".

use std::sync::Arc;

use reclaimdep_scope::{Depth, Gfp, ReclaimContext, Superblock};

use super::{
    AskFilesystem, Holder, Policy, PolicyVerdict, ReclaimerKind, SaysNo, StackingData, Target,
    Topology, Waits,
};

mod knobs;
mod rule;

pub use knobs::{
    DeniedWork, DepthSource, DepthWhen, FilePages, Knob, MemcgContext, PlainNofs,
    ReclaimContextKnobs, RuleOrder, SameSuperblock, SeveralContexts, SharedLower, Spanning,
    SwapPages, UnknownDepth, WithoutSuperblock, WorkItems,
};
pub use rule::Rule;

/// Chinner's rules.
#[derive(Clone, Debug)]
pub struct ReclaimContextPolicy {
    /// The answers to the open questions.
    pub knobs: ReclaimContextKnobs,
    /// The filesystem that rule R3 asks.
    pub ask: Arc<dyn AskFilesystem>,
}

impl Default for ReclaimContextPolicy {
    fn default() -> Self {
        Self::with(ReclaimContextKnobs::default())
    }
}

impl ReclaimContextPolicy {
    /// The rules with these knobs, and filesystems that deny.
    #[must_use]
    pub fn with(knobs: ReclaimContextKnobs) -> Self {
        Self { knobs, ask: Arc::new(SaysNo) }
    }

    /// Whether the rules cover the target.
    fn covers(&self, target: &Target) -> bool {
        match target {
            Target::Superblock(_) => true,
            Target::FilePage(_) => self.knobs.file_pages == FilePages::Consult,
            Target::SwapPage(_) => self.knobs.swap == SwapPages::Dependency,
            Target::Shrinker { .. } => {
                self.knobs.without_superblock != WithoutSuperblock::Uncovered
            }
        }
    }

    /// The decision by the holder's contexts; `None` without contexts, and then the effective mask
    /// applies.
    fn verdict(
        &self,
        holder: &Holder<'_>,
        target: &Target,
        stack: &Topology,
    ) -> Option<PolicyVerdict> {
        if holder.kind == ReclaimerKind::Kswapd || !self.covers(target) {
            return None;
        }
        let nobody =
            holder.kind == ReclaimerKind::Memcg && self.knobs.memcg == MemcgContext::Nobody;
        let own = match self.knobs.several {
            _ if nobody => &[],
            SeveralContexts::All => holder.contexts,
            SeveralContexts::Innermost => &holder.contexts[..holder.contexts.len().min(1)],
        };
        let carried = match self.knobs.work_items {
            WorkItems::Carried => holder.carried,
            WorkItems::Empty => &[],
        };
        let plain = holder.is_plain() || (nobody && !holder.contexts.is_empty());
        let denies_all = plain && (self.knobs.plain == PlainNofs::DenyAll || own.is_empty());
        let mut contexts = own.iter().chain(carried).peekable();
        if !denies_all && contexts.peek().is_none() {
            return None;
        }
        let all_allow = !denies_all && contexts.all(|context| self.allows(context, target, stack));
        Some(if all_allow { PolicyVerdict::Allow } else { PolicyVerdict::Deny })
    }

    fn allows(&self, context: &ReclaimContext, target: &Target, stack: &Topology) -> bool {
        if matches!(target, Target::Shrinker { waits: Waits::Never, .. }) {
            return true;
        }
        let (holder, other) = (self.holder_depth(context, stack), self.target_depth(target, stack));
        let (Depth::Known(holder), Depth::Known(other)) = (holder, other) else {
            return false;
        };
        let same = target.superblock() == Some(context.superblock);
        match Rule::first_match(self.knobs.order, same, holder == other) {
            Rule::Deny => false,
            Rule::Allow => {
                self.knobs.shared_lower == SharedLower::Allow
                    || stack.shared_below(context.superblock, target.place()).is_empty()
            }
            Rule::Ask => {
                self.knobs.same_superblock == SameSuperblock::Allow
                    || self.ask.may_reclaim(context, target)
            }
        }
    }

    fn holder_depth(&self, context: &ReclaimContext, stack: &Topology) -> Depth {
        match self.knobs.when {
            DepthWhen::AtReclaim => self.superblock_depth(context.superblock, stack),
            DepthWhen::AtSave => self.known(context.depth),
        }
    }

    fn target_depth(&self, target: &Target, stack: &Topology) -> Depth {
        if let Some(superblock) = target.superblock() {
            return self.superblock_depth(superblock, stack);
        }
        let place = target.place();
        let depth = match (self.knobs.source, self.knobs.spanning) {
            (DepthSource::StackDepth, _) => {
                Depth::Known(place.superblock().map_or(0, |lower| stack.stack_depth(lower) + 1))
            }
            (DepthSource::Topology, Spanning::Deepest) => stack.depth_on(place),
            (DepthSource::Topology, Spanning::Shallowest) => stack.shallow_depth_on(place),
        };
        match self.known(depth) {
            Depth::Known(depth)
                if self.knobs.without_superblock == WithoutSuperblock::ChainBelow =>
            {
                Depth::Known(depth.saturating_sub(1))
            }
            depth => depth,
        }
    }

    fn superblock_depth(&self, superblock: Superblock, stack: &Topology) -> Depth {
        self.known(match (self.knobs.source, self.knobs.spanning) {
            (DepthSource::StackDepth, _) => Depth::Known(stack.stack_depth(superblock)),
            (DepthSource::Topology, Spanning::Deepest) => stack.depth_at(superblock),
            (DepthSource::Topology, Spanning::Shallowest) => stack.shallow_depth_at(superblock),
        })
    }

    fn known(&self, depth: Depth) -> Depth {
        match (depth, self.knobs.unknown) {
            (Depth::Unknown, UnknownDepth::Zero) => Depth::Known(0),
            (depth, _) => depth,
        }
    }
}

impl Policy for ReclaimContextPolicy {
    fn name(&self) -> &'static str {
        "reclaim-context"
    }

    fn needs(&self) -> StackingData {
        StackingData::Depth
    }

    fn mask_for(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> Gfp {
        match self.verdict(holder, target, stack) {
            None => self.effective(holder.requested, holder.flags),
            // With no filesystem below, I/O cannot lead back to the holder, so it stays allowed.
            Some(verdict) => {
                let over_filesystem = self.target_depth(target, stack) != Depth::Known(0);
                verdict.mask(holder, target, over_filesystem)
            }
        }
    }

    fn defers_denied(&self) -> bool {
        self.knobs.denied == DeniedWork::Deferred
    }
}
