//! `oracle`: denies what really needs the holder, and nothing else.
//!
//! Key type: [`Oracle`]. With the whole graph at hand the question has an exact answer: for a
//! holder that protects S, a target T is denied iff T = S (then the filesystem is asked) or T needs
//! S, however far below; for a task that serves a device, iff T needs that device. No kernel has
//! the graph; other policies are measured against this. It is as good as the graph is: a server in
//! user space whose needs nobody recorded may need anything, and so may a target that is not in the
//! graph; a holder that is not in it may be needed by anything. Written from the project's
//! description, 7.3.

use std::sync::Arc;

use reclaimdep_scope::{Gfp, ReclaimContext};

use super::{
    AskFilesystem, Holder, Node, NodeKind, Policy, Reclaimer, SaysNo, StackingData, Target,
    Topology, Verdict,
};

/// The exact rule.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// Who answers for T = S.
    pub ask: Arc<dyn AskFilesystem>,
}

impl Default for Oracle {
    fn default() -> Self {
        Self { ask: Arc::new(SaysNo) }
    }
}

impl Oracle {
    fn verdict(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> Verdict {
        let served = holder.serving.is_some_and(|node| may_need(target, node, stack));
        let scoped = holder.kind != Reclaimer::Kswapd;
        let mut contexts = holder.contexts.iter().chain(holder.carried);
        let dangerous = served
            || scoped && holder.is_plain() && may_need_some_filesystem(target, stack)
            || scoped && contexts.any(|context| self.in_danger(context, target, stack));
        if dangerous { Verdict::Deny } else { Verdict::Allow }
    }

    fn in_danger(&self, context: &ReclaimContext, target: &Target, stack: &Topology) -> bool {
        if target.superblock() == Some(context.superblock) {
            return !self.ask.may_reclaim(context, target);
        }
        !stack.contains(context.superblock) || may_need(target, context.superblock, stack)
    }
}

/// Whether something on the way down from the target cannot be looked into.
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
        // What the oracle denies does lead back, so a denied target loses I/O whatever is below it.
        self.verdict(holder, target, stack).mask(holder, target, true)
    }
}
