//! The stack as events for the judges: its parts, what each part needs, and the targets of reclaim.
//!
//! Key type: [`Declared`]. Judges import nothing of the simulated kernel, so all that they know
//! about the stack is declared here ([`Fact`]). A change through [`Mm::topology`] declares the
//! difference to the topology before. The ports declare the locks and queues of their parts; a
//! reclaim target is declared when it is registered. If a judge asked for it and the policy decides
//! by target, the policy's mask for each target is reported before each allocation. Written from
//! docs/kernel/filesystem.md, "Blocking points", and docs/kernel/rules.md, "Invariants" (invariant
//! 20).
//!
//! Locking: the topology > [`Declared`] > the names of the world.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::Mm;
use super::page::PageOwner;
use super::policy::{self, Node, NodeKind, StackingData, Target, Topology, Waits};
use super::reclaim::Scan;
use super::slow_path::AllocRequest;
use super::swap::SwapArea;
use crate::event::{
    EventKind, Fact, LockId, MayWait, PartId, PartKind, QueueId, ReclaimTarget, ShrinkerId, TaskId,
};
use crate::sched::{Sched, harness_side};

/// The facts that were declared so far.
#[derive(Default)]
pub(super) struct Declared {
    parts: BTreeMap<Node, PartId>,
    needs: BTreeSet<(Node, Node)>,
    /// Swap areas and pages. Shrinkers are looked up in the registry, since they come and go.
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
    /// The facts by which `stack` differs from what was declared; they count as declared then.
    fn update(&mut self, sched: &Sched, stack: &Topology) -> Vec<Fact> {
        let mut facts = Vec::new();
        for node in stack.nodes().filter(|node| !self.parts.contains_key(node)).collect::<Vec<_>>()
        {
            let part = sched.names(|names| names.add_part(stack.name(node)));
            self.parts.insert(node, part);
            facts.push(Fact::Part { part, kind: part_kind(node.kind()) });
        }
        let needs: BTreeSet<_> =
            stack.nodes().flat_map(|node| stack.needs(node).map(move |on| (node, on))).collect();
        let before = std::mem::replace(&mut self.needs, needs);
        let ids = |(node, on): &(Node, Node)| (self.parts[node], self.parts[on]);
        for (part, on) in before.difference(&self.needs).map(ids) {
            facts.push(Fact::NeedsNoMore { part, on });
        }
        for (part, on) in self.needs.difference(&before).map(ids) {
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
    /// Calls `f` with the stack that policies see, and declares to the judges what `f` changed in
    /// it.
    pub fn topology<R>(&self, f: impl FnOnce(&mut Topology) -> R) -> R {
        let _side = harness_side();
        let mut stack = self.0.topology.lock();
        let answer = f(&mut stack);
        let facts = self.0.declared.lock().update(self.sched(), &stack);
        drop(stack);
        facts.into_iter().for_each(|fact| self.declare(fact));
        answer
    }

    /// Declares that work on `node` waits for `lock` and takes it exclusively: a filesystem's
    /// journal, a cache's own lock. Does nothing if the part is not in the topology.
    pub fn part_takes(&self, node: impl Into<Node>, lock: LockId) {
        if let Some(part) = self.part(node.into()) {
            self.declare(Fact::Takes { part, lock });
        }
    }

    /// Declares that work on `node` is requests in `queue`, which a server of that queue handles.
    pub fn part_queues(&self, node: impl Into<Node>, queue: QueueId) {
        if let Some(part) = self.part(node.into()) {
            self.declare(Fact::Queues { part, queue });
        }
    }

    fn part(&self, node: Node) -> Option<PartId> {
        self.0.declared.lock().parts.get(&node).copied()
    }

    fn declare(&self, fact: Fact) {
        // A thread that is no task of the world may add a page's owner.
        let task = self.sched().try_current().unwrap_or(TaskId(0));
        self.sched().emit_for(task, EventKind::Declared { fact });
    }

    /// Declares the part that a shrinker works on, if it has a position in the stack.
    pub(super) fn declare_shrinker(&self, shrinker: ShrinkerId, target: Option<Target>) {
        let Some((target, part)) =
            target.and_then(|target| Some((target, self.part(target.place())?)))
        else {
            return;
        };
        let waits = may_wait(target.waits());
        self.declare(Fact::Target { target: ReclaimTarget::Shrinker(shrinker), part, waits });
    }

    /// Declares the part that a swap area writes to.
    pub(super) fn declare_swap(&self, area: &SwapArea) {
        let target = Target::SwapPage(area.place());
        let needs_fs = self.knobs().swap_over_fs_needs_fs;
        let waits = match area.place() {
            policy::SwapPlace::File(_) if needs_fs => MayWait::WithFs,
            policy::SwapPlace::File(_) | policy::SwapPlace::Device(_) => MayWait::WithIo,
        };
        self.declare_target(target, waits, ReclaimTarget::Swap);
    }

    /// Declares what `owner`'s release hook may wait for.
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
            self.declare(Fact::Target { target: called(part), part, waits });
        }
    }

    /// Reports the policy's mask for each target where it differs from the effective mask, if a
    /// judge asked for that and the request may reclaim.
    pub(super) fn emit_policy_masks(&self, request: &AllocRequest) {
        if !self.0.emit_policy_masks || !self.asks_policy() || !request.may_reclaim() {
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

    /// Whether the policy's mask may differ from the effective mask.
    pub(super) fn asks_policy(&self) -> bool {
        self.0.policy.needs() != StackingData::Nothing
    }
}
