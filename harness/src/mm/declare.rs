//! What this memory knows of the stack, told as events: parts, what each needs, and what reclaim
//! may come to.
//!
//! Key type: [`Declared`]. Judges import nothing of the simulated kernel, so they know of the stack
//! what is said here ([`Fact`]). Whoever changes the topology through [`Mm::topology`] has the
//! difference told; locks and queues of parts are told by whoever has them; targets when they come.
//! Under a policy that decides by target its word is told before each allocation, where a judge
//! asked for it. Written from the project's description of storage, 3.3, and of reclaim, 9 (20).
//!
//! Locking: the topology > what was told > the names of the world.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::Mm;
use super::page::PageOwner;
use super::policy::{self, Node, NodeKind, StackingData, Target, Topology, Waits};
use super::reclaim::Scan;
use super::slow_path::Request;
use super::swap::SwapArea;
use crate::event::{
    EventKind, Fact, LockId, MayWait, PartId, PartKind, QueueId, ReclaimTarget, ShrinkerId, TaskId,
};
use crate::sched::{Sched, quiet};

/// What was told so far.
#[derive(Default)]
pub(super) struct Declared {
    parts: BTreeMap<Node, PartId>,
    needs: BTreeSet<(Node, Node)>,
    /// Swap areas and pages; shrinkers are asked when it matters, since they come and go.
    targets: BTreeMap<ReclaimTarget, Target>,
}

const fn part_kind(kind: NodeKind) -> PartKind {
    match kind {
        NodeKind::Superblock => PartKind::Filesystem,
        NodeKind::Device => PartKind::Device,
        NodeKind::Cache => PartKind::Cache,
        NodeKind::Swap => PartKind::Swap,
        NodeKind::Server => PartKind::Server,
    }
}

const fn may_wait(waits: Waits) -> MayWait {
    match waits {
        Waits::Never => MayWait::Never,
        Waits::WithIo => MayWait::WithIo,
        Waits::WithFs => MayWait::WithFs,
    }
}

impl Declared {
    /// What `stack` has that was not told, and the reverse.
    fn news(&mut self, sched: &Sched, stack: &Topology) -> Vec<Fact> {
        let mut facts = Vec::new();
        for node in stack.nodes().filter(|node| !self.parts.contains_key(node)).collect::<Vec<_>>()
        {
            let part = sched.names(|names| names.add_part(stack.name(node)));
            self.parts.insert(node, part);
            facts.push(Fact::Part { part, kind: part_kind(node.kind()) });
        }
        let needs: BTreeSet<_> =
            stack.nodes().flat_map(|node| stack.needs(node).map(move |on| (node, on))).collect();
        let told = std::mem::replace(&mut self.needs, needs);
        let ids = |(node, on): &(Node, Node)| (self.parts[node], self.parts[on]);
        for (part, on) in told.difference(&self.needs).map(ids) {
            facts.push(Fact::NeedsNoMore { part, on });
        }
        for (part, on) in self.needs.difference(&told).map(ids) {
            facts.push(Fact::Needs { part, on });
        }
        self.parts.retain(|node, part| {
            let stays = stack.contains(*node);
            if !stays {
                facts.push(Fact::Gone { part: *part });
            }
            stays
        });
        facts
    }
}

impl Mm {
    /// The stack as policies know it; whoever builds it says what depends on what. Whatever `f`
    /// changes is told to the judges.
    pub fn topology<R>(&self, f: impl FnOnce(&mut Topology) -> R) -> R {
        let _ours = quiet();
        let mut stack = self.0.topology.lock();
        let answer = f(&mut stack);
        let facts = self.0.declared.lock().news(self.sched(), &stack);
        drop(stack);
        facts.into_iter().for_each(|fact| self.tell(fact));
        answer
    }

    /// Says that work on `node` takes `lock` exclusively, and waits for it: a filesystem's journal,
    /// a cache's own lock. Nothing is said of a part that is not in the topology.
    pub fn part_takes(&self, node: impl Into<Node>, lock: LockId) {
        if let Some(part) = self.part(node.into()) {
            self.tell(Fact::Takes { part, lock });
        }
    }

    /// Says that work on `node` is requests in `queue`, which a server of that queue does.
    pub fn part_queues(&self, node: impl Into<Node>, queue: QueueId) {
        if let Some(part) = self.part(node.into()) {
            self.tell(Fact::Queues { part, queue });
        }
    }

    fn part(&self, node: Node) -> Option<PartId> {
        self.0.declared.lock().parts.get(&node).copied()
    }

    fn tell(&self, fact: Fact) {
        // A page's owner may be added by whoever is no task.
        let task = self.sched().try_current().unwrap_or(TaskId(0));
        self.sched().emit_for(task, EventKind::Declared { fact });
    }

    /// Says where a shrinker's work is done, if it stands in the stack.
    pub(super) fn declare_shrinker(&self, shrinker: ShrinkerId, target: Option<Target>) {
        let Some((target, part)) =
            target.and_then(|target| Some((target, self.part(target.place())?)))
        else {
            return;
        };
        let waits = may_wait(target.waits());
        self.tell(Fact::Target { target: ReclaimTarget::Shrinker(shrinker), part, waits });
    }

    /// Says where swap is written.
    pub(super) fn declare_swap(&self, area: &SwapArea) {
        let target = Target::SwapPage(area.place());
        let needs_fs = self.knobs().swap_over_fs_needs_fs;
        let waits = match area.place() {
            policy::SwapArea::File(_) if needs_fs => MayWait::WithFs,
            policy::SwapArea::File(_) | policy::SwapArea::Device(_) => MayWait::WithIo,
        };
        self.declare_target(target, waits, ReclaimTarget::Swap);
    }

    /// Says what asking `owner` to let go of a page may wait for.
    pub(super) fn declare_pages(&self, owner: &dyn PageOwner) {
        if let (Some(superblock), waits) = (owner.superblock(), owner.waits())
            && waits != Waits::Never
        {
            self.declare_target(
                Target::FilePage(superblock),
                may_wait(waits),
                ReclaimTarget::Pages,
            );
        }
    }

    fn declare_target(&self, target: Target, waits: MayWait, called: fn(PartId) -> ReclaimTarget) {
        let Some(part) = self.part(target.place()) else {
            return;
        };
        let known = self.0.declared.lock().targets.insert(called(part), target);
        if known.is_none() {
            self.tell(Fact::Target { target: called(part), part, waits });
        }
    }

    /// Tells the policy's word on each target for which it is another than the effective mask,
    /// where a judge asked for that and the request may reclaim.
    pub(super) fn tell_policy(&self, request: &Request) {
        if !self.0.tells_policy || !self.asks_policy() || !request.may_reclaim() {
            return;
        }
        let scan = Scan::of(request);
        let mut targets = self.0.registry.targets();
        targets.extend(
            self.0.declared.lock().targets.iter().map(|(called, target)| (*called, *target)),
        );
        for (called, target) in targets {
            let mask = self.mask_for(&scan, &target);
            if mask != request.mask {
                self.sched().emit(EventKind::PolicyMask { target: called, mask });
            }
        }
    }

    /// Whether the policy may differ from the effective mask.
    pub(super) fn asks_policy(&self) -> bool {
        self.0.policy.needs() != StackingData::Nothing
    }
}
