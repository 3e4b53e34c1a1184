//! A finding by the numbers of its world, as `parts` compares it with others.
//!
//! Key type: [`Facts`]. Two things of a world may have one name, so whether two findings are about
//! the same thing is read from its numbers. Cycles of an order have names alone; there, things of
//! one name are told apart by how many were made before them, as the order does.

use crate::event::{LockId, Names, QueueId, ReclaimKind, Resource, TaskId};
use crate::witness::{self as judged, FrameKind, Level, Node, NodeKind};

/// What a finding was described from; none where it was read from a report. It is no part of what a
/// report says: two findings are equal if their JSON forms are.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin(pub(super) Option<Box<Facts>>);

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

/// The numbers behind the words of a finding.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) finding: judged::Finding,
    /// What each step of the chain is about, as an order calls it.
    things: Vec<Option<Node>>,
    /// The end of each task.
    exits: Vec<Node>,
}

impl Origin {
    /// The facts of `finding`, whose world has `names`.
    pub(super) fn new(finding: &judged::Finding, names: &Names) -> Self {
        let thing = |step: &judged::Step| thing(step, finding, names);
        Self(Some(Box::new(Facts {
            things: finding.chain.iter().map(thing).collect(),
            exits: finding.tasks.iter().map(|task| exit(*task, names)).collect(),
            finding: finding.clone(),
        })))
    }
}

impl Facts {
    pub(super) fn chain(&self) -> &[judged::Step] {
        &self.finding.chain
    }

    /// The last forbidden entry of the chain: the one that a recursion is about.
    pub(super) fn entry(&self) -> Option<&judged::Step> {
        self.chain().iter().rfind(|step| step.forbidden.is_some())
    }

    /// Whether a task of the finding has or wants `node`.
    pub(super) fn involves(&self, node: &Node) -> bool {
        match node.kind {
            NodeKind::Reclaim(level) => {
                self.chain().iter().any(|step| reclaims(step, level) || takes(step, level))
            }
            NodeKind::Exit if self.exits.contains(node) => true,
            _ => self.things.iter().flatten().any(|thing| same(thing, node)),
        }
    }
}

/// Whether the step is reclaim that holds `level`.
fn reclaims(step: &judged::Step, level: Level) -> bool {
    match step.what {
        // kswapd is what every allocation may have to wait for.
        judged::StepKind::Frame(FrameKind::Reclaim { kind: ReclaimKind::Kswapd, .. }) => true,
        judged::StepKind::Frame(FrameKind::Reclaim { mask, .. }) => {
            Level::permitted(mask).contains(&level)
        }
        _ => false,
    }
}

/// Whether the step may wait for reclaim of `level`.
fn takes(step: &judged::Step, level: Level) -> bool {
    match step.what {
        judged::StepKind::Frame(FrameKind::Alloc { effective, .. }) => {
            Level::permitted(effective).contains(&level)
        }
        _ => reclaims(step, level),
    }
}

/// Whether both are one thing. An order has a lock that is taken below others of its class as one
/// of a subclass, `client/1`.
fn same(one: &Node, other: &Node) -> bool {
    let class = |node: &Node| match (node.kind, node.class.rsplit_once('/')) {
        (NodeKind::Lock, Some((class, depth))) if depth.parse::<u8>().is_ok() => class.to_owned(),
        _ => node.class.clone(),
    };
    (one.kind, &one.instance, one.nth) == (other.kind, &other.instance, other.nth)
        && class(one) == class(other)
}

/// What a step has or wants.
fn thing(step: &judged::Step, finding: &judged::Finding, names: &Names) -> Option<Node> {
    let resource = match step.what {
        judged::StepKind::Holds { lock, .. } => Resource::Lock(lock),
        judged::StepKind::Wait { resource, .. }
        | judged::StepKind::Needs { resource, .. }
        | judged::StepKind::AlsoNeeds { resource, .. } => resource,
        judged::StepKind::Frame(FrameKind::Serving { request })
        | judged::StepKind::Submitted { request } => Resource::Request(request),
        judged::StepKind::Frame(FrameKind::Working { work }) => Resource::Work(work),
        _ => return None,
    };
    match resource {
        Resource::Lock(id) => Some(lock(id, names)),
        Resource::Request(id) => {
            let (_, facts) = finding.requests.iter().find(|(known, _)| *known == id)?;
            Some(queue(NodeKind::Requests, facts.queue, names))
        }
        Resource::Work(id) => {
            let (_, item) = finding.works.iter().find(|(known, _)| *known == id)?;
            let queue = queue(NodeKind::Work, item.queue, names);
            Some(Node::work_item(names.work(id), &queue))
        }
        Resource::Idle(id) => Some(queue(NodeKind::Work, id, names)),
        Resource::Pool(id) => Some(named(NodeKind::Pool, id.0, &names.pools)),
        Resource::Condition(id) => Some(named(NodeKind::Condition, id.0, &names.conditions)),
        Resource::Task(task) => Some(exit(task, names)),
        Resource::Timer => None,
    }
}

fn lock(id: LockId, names: &Names) -> Node {
    let Some(own) = names.lock(id) else {
        let class = format!("lock#{}", id.0);
        return Node { kind: NodeKind::Lock, class, instance: String::new(), nth: 0 };
    };
    let nth = namesakes(id.0, |other| {
        names
            .lock(LockId(other))
            .is_some_and(|other| (other.class, &other.instance) == (own.class, &own.instance))
    });
    Node { kind: NodeKind::Lock, class: own.class.to_owned(), instance: own.instance.clone(), nth }
}

fn queue(kind: NodeKind, id: QueueId, names: &Names) -> Node {
    named(kind, id.0, &names.queues)
}

fn exit(task: TaskId, names: &Names) -> Node {
    named(NodeKind::Exit, task.0, &names.tasks)
}

/// Number `id` of the things with these names.
fn named(kind: NodeKind, id: u32, names: &[String]) -> Node {
    let name = |id: u32| names.get(id as usize);
    match name(id) {
        Some(own) => Node::named(kind, own, namesakes(id, |other| name(other) == Some(own))),
        None => Node::named(kind, "", id),
    }
}

/// How many things of the same name were made before number `id`.
fn namesakes(id: u32, same: impl Fn(u32) -> bool) -> u32 {
    (0..id).filter(|other| same(*other)).count().try_into().unwrap_or(u32::MAX)
}
