//! RD03: the order in which things are taken has a cycle, even if no task waits now.
//!
//! Key type: [`Order`]. It reads from each event what the task takes and what it holds; the graph
//! does the rest. An allocation takes and drops every pseudo-lock that its mask permits, even if
//! memory is plentiful. Reclaim holds the widest level that its own mask permits, because the
//! events do not say whether its work needed less. A wait for a request takes the requests of its
//! queue, which the task that serves one of them holds. So two uneventful tasks, or two runs, are
//! enough to close a cycle. Scopes matter through masks alone.
//!
//! Left out: conditions that nobody promised to signal, and waits that did not have to happen,
//! except those for locks and those of runs that have events of them. Written from
//! docs/kernel/lockdep.md, "The annotation", "Prediction" and "What the annotation cannot see", and
//! docs/kernel/rules.md, "Invariants" (9 to 11).

use std::collections::{BTreeMap, BTreeSet};

use super::cycle::{Cycle, Edge};
use super::graph::{OrderGraph, Taking};
use super::held::{Hold, Holder, Key};
use super::node::{NodeId, NodeKind};
use super::resolve::Resolver;
use crate::event::{Actor, Event, EventKind, Gfp, PoolId, QueueId, Site, TaskId};
use crate::witness::{Code, Finding, Judge, Learned, Moment, Reads, Step, StepKind};

/// Tasks from here on are not looked at: no world has as many.
const MAX_TASKS: u32 = 1 << 16;
/// Cycles of the class view alone beyond these are not kept.
pub(super) const MAX_ASIDE: usize = 64;

/// The judge of RD03, over one run.
#[derive(Debug, Default)]
pub struct Order {
    pub(super) graph: OrderGraph,
    pub(super) resolver: Resolver,
    pub(super) actors: Vec<Option<Holder>>,
    /// The tasks that have elements of each pool.
    pub(super) takers: BTreeSet<(PoolId, TaskId)>,
    /// The task that holds what this request or work item promised or carries.
    pub(super) acting: BTreeMap<Actor, TaskId>,
    /// The queues of requests and work items, also of those that are finished.
    pub(super) queues: BTreeMap<Actor, QueueId>,
    /// The nodes of reclaim's levels, once they are known.
    pub(super) levels: [Option<NodeId>; 3],
    class_view: bool,
    aside: Vec<Cycle>,
}

/// What a task asks for.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) node: NodeId,
    pub(super) shared: bool,
    pub(super) mask: Option<Gfp>,
    pub(super) site: Option<Site>,
    /// Of a condition: only this task promised to signal it.
    pub(super) alone: bool,
}

impl Want {
    pub(super) const fn plain(node: NodeId, site: Option<Site>) -> Self {
        Self { node, shared: false, mask: None, site, alone: false }
    }
}

impl Order {
    /// A judge that starts from what earlier runs learned. With `class_view`, a cycle that only the
    /// class view has is a finding; without, it is kept aside.
    #[must_use]
    pub fn new(mut graph: OrderGraph, class_view: bool) -> Self {
        graph.begin_run();
        Self { graph, class_view, ..Self::default() }
    }

    pub(super) fn actor(&mut self, at: &Moment<'_>, task: TaskId) -> Option<&mut Holder> {
        if task.0 >= MAX_TASKS {
            return None;
        }
        let index = task.0 as usize;
        if self.actors.len() <= index {
            self.actors.resize_with(index + 1, || None);
        }
        if self.actors[index].is_none() {
            let mut actor = Holder { name: at.names.task(task).to_owned(), ..Holder::default() };
            let name = |id| at.names.task(TaskId(id));
            let exit = self.resolver.named(NodeKind::Exit, task.0, name, &mut self.graph.nodes);
            if let Some(node) = exit {
                actor.hold(Hold {
                    node,
                    shared: false,
                    waited: false,
                    site: None,
                    key: Key::Life,
                    via: None,
                });
            }
            self.actors[index] = Some(actor);
        }
        self.actors[index].as_mut()
    }

    pub(super) fn hold(&mut self, at: &Moment<'_>, hold: Hold) {
        self.hold_on(at, at.event.task, hold);
    }

    pub(super) fn hold_on(&mut self, at: &Moment<'_>, task: TaskId, hold: Hold) {
        if let Some(actor) = self.actor(at, task) {
            actor.hold(hold);
        }
    }

    pub(super) fn drop_last(&mut self, task: TaskId, key: Key) {
        if let Some(Some(actor)) = self.actors.get_mut(task.0 as usize) {
            actor.drop_last(key);
        }
    }

    pub(super) fn drop_all(&mut self, task: TaskId, key: Key) {
        if let Some(Some(actor)) = self.actors.get_mut(task.0 as usize) {
            actor.holds.retain(|hold| hold.key != key);
        }
    }

    /// `task` wants `want`, now.
    pub(super) fn take(
        &mut self,
        at: &Moment<'_>,
        task: TaskId,
        want: Want,
        out: &mut Vec<Finding>,
    ) {
        self.actor(at, task);
        let Some(Some(actor)) = self.actors.get(task.0 as usize) else {
            return;
        };
        let primed = actor.claims > 0;
        let Event { seq, time, .. } = *at.event;
        let Want { node, shared, mask, site, alone } = want;
        let taking = Taking { node, shared, mask, site, task, seq, time, primed, alone };
        let cycles = self.graph.take(&actor.holds, &taking, &actor.name);
        if !cycles.is_empty() {
            self.report(at, cycles, out);
        }
    }

    pub(super) fn report(&mut self, at: &Moment<'_>, cycles: Vec<Cycle>, out: &mut Vec<Finding>) {
        for cycle in cycles {
            if !cycle.class_only || self.class_view {
                out.push(finding(at.event, cycle));
            } else if self.aside.len() < MAX_ASIDE {
                self.aside.push(cycle);
            }
        }
    }
}

impl Judge for Order {
    fn reads(&self) -> Reads {
        let waits =
            Reads::LOCKS.and(Reads::WAITS).and(Reads::REQUESTS).and(Reads::WORK).and(Reads::POOLS);
        waits.and(Reads::ALLOCATIONS).and(Reads::RECLAIM).and(Reads::TASKS).and(Reads::WORLD)
    }

    fn observe(&mut self, at: &Moment<'_>, out: &mut Vec<Finding>) {
        let event = at.event;
        match event.kind {
            EventKind::TaskExit => {
                let actor = self.actors.get_mut(event.task.0 as usize).and_then(Option::take);
                for hold in actor.into_iter().flat_map(|actor| actor.holds) {
                    if let Key::Pool(pool) = hold.key {
                        self.takers.remove(&(pool, event.task));
                    }
                }
            }
            EventKind::AllocBegin { effective, flags, site, .. } => {
                self.allocation(at, effective, flags, site, out);
            }
            EventKind::ReclaimEnter { kind, mask } => {
                self.reclaim(at, kind, mask, out);
            }
            EventKind::ReclaimExit { .. } => self.drop_last(event.task, Key::Reclaim),
            EventKind::LockAttempt { .. }
            | EventKind::LockAcquired { .. }
            | EventKind::LockReleased { .. } => {
                self.lock(at, out);
            }
            EventKind::WaitBegin { resource, site, .. }
            | EventKind::WaitPassed { resource, site } => {
                self.wait(at, event.task, resource, site, out);
            }
            EventKind::Prime { step: prime } => self.prime(at, prime, out),
            _ => self.serve(at, out),
        }
    }

    fn settle(&mut self, findings: &mut [Finding]) {
        let found = findings.iter_mut().filter_map(|finding| finding.order.as_deref_mut());
        for cycle in found.chain(&mut self.aside) {
            self.graph.settle(cycle);
        }
    }

    fn learned(&self) -> Learned<'_> {
        Learned { order: Some(&self.graph), aside: &self.aside, pairs: None }
    }
}

/// The finding at `event` that `cycle` is.
pub(in crate::witness) fn finding(event: &Event, cycle: Cycle) -> Finding {
    let step = |(edge, place): (&Edge, u32)| Step {
        task: edge.task,
        what: StepKind::Ordered { edge: place },
        site: edge.site,
        time: edge.time,
        seq: edge.seq,
        forbidden: None,
    };
    Finding {
        code: Code::RD03,
        seq: event.seq,
        time: event.time,
        tasks: Vec::new(),
        chain: cycle.edges.iter().zip(0..).map(step).collect(),
        breakable: Vec::new(),
        cycle: Vec::new(),
        requests: Vec::new(),
        works: Vec::new(),
        order: Some(Box::new(cycle)),
    }
}
