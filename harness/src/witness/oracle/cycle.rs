//! The cycle of a finding of the oracle, as an order of things taken.
//!
//! Key type: [`Danger`]. First comes what was declared: reclaim at the level that the target waits
//! at, and the way down from the target. Then comes what happened: the waits between tasks, and
//! last the allocation, which closes the cycle.

use super::holdings::{Allocation, HeldAs, Holding, Holdings};
use super::stack::Stack;
use crate::event::{
    Event, Gfp, LockId, MayWait, Names, PartId, PartKind, ReclaimTarget, Resource, Site, TaskId,
};
use crate::witness::{Cycle, Declaration, Edge, Level, Node, NodeKind, View};

/// A target that needs what is held.
pub(super) struct Danger<'a> {
    pub(super) target: ReclaimTarget,
    pub(super) waits: MayWait,
    /// The parts on the way from the target.
    pub(super) way: &'a [PartId],
    pub(super) held: Holding,
    /// What reclaim may do there.
    pub(super) mask: Gfp,
}

/// The sources from which the cycle is described.
pub(super) struct Teller<'a> {
    pub(super) event: &'a Event,
    pub(super) view: &'a View,
    pub(super) names: &'a Names,
    pub(super) stack: &'a Stack,
    pub(super) holdings: &'a Holdings,
}

impl Teller<'_> {
    /// The cycle through `danger`; none if a wait on the way is for a resource without a name.
    pub(super) fn cycle(&self, danger: &Danger<'_>, request: &Allocation) -> Option<Cycle> {
        let level = if danger.waits == MayWait::WithFs { Level::Fs } else { Level::Io };
        let reclaim = Node::reclaim(level);
        let end = self.node(danger.held.hold);
        let mut edges = self.declared(danger, &reclaim, &end, request.task);
        self.waits(danger.held, end, &reclaim, request, &mut edges)?;
        Some(Cycle { edges, class_only: false, collisions: Vec::new() })
    }

    /// From reclaim down to what is held.
    fn declared(
        &self,
        danger: &Danger<'_>,
        reclaim: &Node,
        end: &Node,
        reclaimer: TaskId,
    ) -> Vec<Edge> {
        let last = danger.way.len().saturating_sub(1);
        let between =
            danger.way[..last].iter().filter_map(|part| Some((*part, self.stands_for(*part)?)));
        let stops = between.chain(danger.way.last().map(|part| (*part, end.clone())));
        let waits = Declaration::Waits {
            target: self.target(danger.target),
            when: danger.waits,
            mask: danger.mask,
        };
        let (mut edges, mut from) = (Vec::new(), (None, reclaim.clone()));
        for (part, node) in stops.filter(|(_, node)| node != reclaim) {
            let (above, held) = from;
            let declaration = match above {
                None => waits.clone(),
                Some(above) => Declaration::Rests { part: self.part(above), on: self.part(part) },
            };
            let task = above.map_or(reclaimer, |above| self.server(above).unwrap_or(reclaimer));
            let name = match above.filter(|above| self.server(*above).is_none()) {
                Some(above) => self.part(above),
                None => self.names.task(task).to_owned(),
            };
            let blank = self.edge(task, held, node.clone(), None);
            edges.push(Edge { task_name: name, declared: Some(declaration), ..blank });
            from = (Some(part), node);
        }
        edges
    }

    /// From what is held over the waits of its holder to the allocation.
    fn waits(
        &self,
        held: Holding,
        end: Node,
        reclaim: &Node,
        request: &Allocation,
        edges: &mut Vec<Edge>,
    ) -> Option<()> {
        let (mut from, mut from_site, mut place) = (end, held.site, held.by);
        let mut from_shared = matches!(held.hold, HeldAs::Lock(_, true));
        while let Some((wait, behind)) = self.holdings.stuck[place].behind {
            let (task, taken) = (self.holdings.stuck[place].task, self.waited(wait.resource)?);
            let edge = self.edge(task, from, taken.clone(), Some(wait.site));
            edges.push(Edge { from_shared, from_site, held: self.holds(place), ..edge });
            (from, from_site, from_shared, place) = (taken, None, false, behind);
        }
        let Allocation { task, site, effective, .. } = *request;
        let edge = self.edge(task, from, reclaim.clone(), Some(site));
        let (mask, held) = (Some(effective), self.holds(place));
        edges.push(Edge { from_shared, from_site, mask, held, ..edge });
        Some(())
    }

    fn edge(&self, task: TaskId, from: Node, to: Node, site: Option<Site>) -> Edge {
        let Event { seq, time, .. } = *self.event;
        Edge {
            from,
            from_shared: false,
            from_site: None,
            to,
            to_shared: false,
            mask: None,
            site,
            held: Vec::new(),
            task,
            task_name: self.names.task(task).to_owned(),
            runs_ago: 0,
            seq,
            time,
            primed: false,
            declared: None,
        }
    }

    fn holds(&self, place: usize) -> Vec<Node> {
        let all = self.holdings.held.iter().filter(|held| held.by == place);
        all.map(|held| self.node(held.hold)).collect()
    }

    fn lock(&self, lock: LockId) -> Node {
        let (class, instance) = match self.names.lock(lock) {
            Some(name) => (name.class.to_owned(), name.instance.clone()),
            None => (format!("lock#{}", lock.0), String::new()),
        };
        Node { kind: NodeKind::Lock, class, instance, nth: 0 }
    }

    fn node(&self, hold: HeldAs) -> Node {
        match hold {
            HeldAs::Lock(lock, _) => self.lock(lock),
            HeldAs::Request(queue) => Node::named(NodeKind::Requests, self.names.queue(queue), 0),
            HeldAs::Work(queue) => Node::named(NodeKind::Work, self.names.queue(queue), 0),
        }
    }

    /// What a task that waits takes.
    fn waited(&self, resource: Resource) -> Option<Node> {
        let names = self.names;
        Some(match resource {
            Resource::Lock(lock) => self.lock(lock),
            Resource::Request(id) => self.node(HeldAs::Request(self.view.request(id)?.queue)),
            Resource::Work(id) => self.node(HeldAs::Work(self.view.work(id)?.queue)),
            Resource::Task(task) => Node::named(NodeKind::Exit, names.task(task), 0),
            Resource::Pool(pool) => Node::named(NodeKind::Pool, names.pool(pool), 0),
            Resource::Condition(id) => Node::named(NodeKind::Condition, names.condition(id), 0),
            Resource::Idle(_) | Resource::Timer => return None,
        })
    }

    /// What a part on the way stands for: the requests of a device, the transactions of a
    /// filesystem.
    fn stands_for(&self, part: PartId) -> Option<Node> {
        let part = self.stack.part(part)?;
        let lock = part.locks.first().filter(|_| part.kind == PartKind::Filesystem);
        let queue = part.queue.map(|queue| self.node(HeldAs::Request(queue)));
        queue.or_else(|| lock.map(|lock| self.lock(*lock)))
    }

    fn server(&self, part: PartId) -> Option<TaskId> {
        let queue = self.stack.part(part)?.queue?;
        self.view.servers(queue).first().copied()
    }

    fn part(&self, part: PartId) -> String {
        self.names.part(part).to_owned()
    }

    fn target(&self, target: ReclaimTarget) -> String {
        match target {
            ReclaimTarget::Shrinker(shrinker) => {
                format!("shrinker {}", self.names.shrinker(shrinker))
            }
            ReclaimTarget::Swap(part) => format!("swap on {}", self.part(part)),
            ReclaimTarget::Pages(part) => format!("pages of {}", self.part(part)),
        }
    }
}
