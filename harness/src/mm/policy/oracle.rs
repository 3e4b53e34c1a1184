//! `oracle`: denies exactly the targets that need the holder.
//!
//! Key type: [`Oracle`]. With the whole graph the question has an exact answer. For a holder that
//! protects S, a target T is denied iff T = S and the filesystem denies it, or T needs S directly
//! or indirectly. For a task that handles the requests of a device, T is denied iff T needs that
//! device. No kernel has the graph; the other policies are measured against this one. It depends on
//! the graph: a server in user space whose needs were not recorded may need anything, and so may a
//! target that is not in the graph; anything may need a holder that is not in the graph. Written
//! from docs/kernel/proposals.md, "The reclaim context".

use std::sync::Arc;

use reclaimdep_scope::{Gfp, ReclaimContext};

use super::{
    AskFilesystem, Holder, Node, NodeKind, Policy, PolicyVerdict, ReclaimerKind, SaysNo,
    StackingData, Target, Topology,
};

/// The exact rule.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// The filesystem that is asked if T = S.
    pub ask: Arc<dyn AskFilesystem>,
}

impl Default for Oracle {
    fn default() -> Self {
        Self { ask: Arc::new(SaysNo) }
    }
}

impl Oracle {
    fn verdict(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> PolicyVerdict {
        let served = holder.serving.is_some_and(|node| may_need(target, node, stack));
        let scoped = holder.kind != ReclaimerKind::Kswapd;
        let mut contexts = holder.contexts.iter().chain(holder.carried);
        let dangerous = served
            || scoped && holder.is_plain() && may_need_some_filesystem(target, stack)
            || scoped && contexts.any(|context| self.in_danger(context, target, stack));
        if dangerous { PolicyVerdict::Deny } else { PolicyVerdict::Allow }
    }

    fn in_danger(&self, context: &ReclaimContext, target: &Target, stack: &Topology) -> bool {
        if target.superblock() == Some(context.superblock) {
            return !self.ask.may_reclaim(context, target);
        }
        !stack.contains(context.superblock) || may_need(target, context.superblock, stack)
    }
}

/// Whether the target needs a part whose own needs are not known.
fn unknowable(target: &Target, stack: &Topology) -> bool {
    let closed = |node: Node| node.kind() == NodeKind::Server && stack.needs(node).next().is_none();
    let place = target.place();
    !stack.contains(place) || closed(place) || stack.below(place).into_iter().any(closed)
}

fn may_need(target: &Target, node: impl Into<Node>, stack: &Topology) -> bool {
    unknowable(target, stack) || target.needs(node, stack)
}

fn may_need_some_filesystem(target: &Target, stack: &Topology) -> bool {
    let place = target.place();
    let is_filesystem = |node: Node| node.superblock().is_some();
    unknowable(target, stack)
        || is_filesystem(place)
        || stack.below(place).into_iter().any(is_filesystem)
}

impl Policy for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn needs(&self) -> StackingData {
        StackingData::Graph
    }

    fn mask_for(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> Gfp {
        // A target that the oracle denies needs the holder, so it loses I/O whatever is below it.
        self.verdict(holder, target, stack).mask(holder, target, true)
    }
}
