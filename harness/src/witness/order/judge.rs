//! RD03: the order in which things are taken has a cycle, whether or not anybody waits now.
//!
//! Key type: [`Order`]. It reads from each event what its task takes and what it holds; the graph does the
//! rest. An allocation takes and drops the pseudo-locks that its mask permits, though memory is plentiful;
//! reclaim holds the widest that its own mask permits, since nobody knows whether what it did needed less.
//! A wait for a request takes the requests of its queue, which whoever serves one holds. So two uneventful
//! tasks, or two runs, are enough. Scopes matter through masks alone.
//!
//! Left out: conditions (who signals them is in no event, so they lead nowhere) and waits that did not
//! have to wait, except for locks. Written from the project's description of reclaim, 5.1, 5.2, 5.8 and 9
//! (invariants 9-11).

use super::super::code::Code;
use super::super::finding::{Finding, Step, StepKind};
use super::super::frames::FrameKind;
use super::super::view::View;
use super::cycle::Cycle;
use super::graph::{OrderGraph, Taking};
use super::held::{Actor, Hold, Key};
use super::node::{Level, Node, NodeId, NodeKind};
use super::resolve::Resolver;
use crate::event::{
    Event, EventKind, Gfp, LockId, LockMode, Names, Prime, QueueId, ReclaimKind, Resource, ScopeKind, Site,
    TaskFlags, TaskId,
};

/// Tasks from here on are not looked at: no world has as many.
const MAX_TASKS: u32 = 1 << 16;
/// Cycles of the class view alone beyond these are not kept.
const MAX_ASIDE: usize = 64;

/// The judge of RD03, over one run.
#[derive(Debug, Default)]
pub struct Order {
    graph: OrderGraph,
    resolver: Resolver,
    actors: Vec<Option<Actor>>,
    class_view: bool,
    aside: Vec<Cycle>,
}

/// What a task asks for.
#[derive(Clone, Copy)]
struct Want {
    node: NodeId,
    shared: bool,
    mask: Option<Gfp>,
    site: Option<Site>,
}

impl Want {
    const fn plain(node: NodeId, site: Option<Site>) -> Self {
        Self { node, shared: false, mask: None, site }
    }
}

/// One event with what it is read by.
struct At<'a> {
    event: &'a Event,
    view: &'a View,
    names: &'a Names,
}

impl Order {
    /// A judge that goes on from what `graph` holds. With `class_view`, what the class view alone has is a
    /// finding; without, it is kept aside.
    #[must_use]
    pub fn over(mut graph: OrderGraph, class_view: bool) -> Self {
        graph.begin_run();
        Self { graph, class_view, ..Self::default() }
    }

    /// What was learned.
    #[must_use]
    pub const fn graph(&self) -> &OrderGraph {
        &self.graph
    }

    /// Cycles that only the class view has, and that are no findings.
    #[must_use]
    pub fn aside(&self) -> &[Cycle] {
        &self.aside
    }

    /// Takes in one event, which `view` already contains.
    pub fn observe(&mut self, event: &Event, view: &View, names: &Names, out: &mut Vec<Finding>) {
        let at = At { event, view, names };
        match event.kind {
            EventKind::TaskExit => {
                if let Some(actor) = self.actors.get_mut(event.task.0 as usize) {
                    *actor = None;
                }
            }
            EventKind::AllocBegin { effective, flags, site, .. } => {
                if !exempt(effective, flags, view, event.task) {
                    self.levels(&at, effective, Some(site), out);
                }
            }
            EventKind::ReclaimEnter { kind, mask } => {
                // kswapd is what every allocation may have to wait for, whatever it was woken by.
                let mask = if kind == ReclaimKind::Kswapd { Gfp::KERNEL } else { mask };
                self.enter_reclaim(&at, mask, Key::Reclaim, out);
            }
            EventKind::ReclaimExit { .. } => self.drop_last(event.task, Key::Reclaim),
            EventKind::LockAttempt { .. }
            | EventKind::LockAcquired { .. }
            | EventKind::LockReleased { .. } => {
                self.lock(&at, out);
            }
            EventKind::WaitBegin { resource, site, .. } => self.wait(&at, event.task, resource, site, out),
            EventKind::Prime(prime) => self.prime(&at, prime, out),
            _ => self.serve(&at, out),
        }
    }

    fn actor(&mut self, at: &At<'_>, task: TaskId) -> Option<&mut Actor> {
        if task.0 >= MAX_TASKS {
            return None;
        }
        let index = task.0 as usize;
        if self.actors.len() <= index {
            self.actors.resize_with(index + 1, || None);
        }
        if self.actors[index].is_none() {
            let mut actor = Actor { name: at.names.task(task).to_owned(), ..Actor::default() };
            let name = |id| at.names.task(TaskId(id));
            let exit = self.resolver.named(NodeKind::Exit, task.0, name, &mut self.graph.nodes);
            if let Some(node) = exit {
                actor.hold(Hold { node, shared: false, waited: false, site: None, key: Key::Life });
            }
            self.actors[index] = Some(actor);
        }
        self.actors[index].as_mut()
    }

    fn hold(&mut self, at: &At<'_>, hold: Hold) {
        if let Some(actor) = self.actor(at, at.event.task) {
            actor.hold(hold);
        }
    }

    fn drop_last(&mut self, task: TaskId, key: Key) {
        if let Some(Some(actor)) = self.actors.get_mut(task.0 as usize) {
            actor.drop_last(key);
        }
    }

    /// `task` wants `want`, now.
    fn take(&mut self, at: &At<'_>, task: TaskId, want: Want, out: &mut Vec<Finding>) {
        let Some(actor) = self.actor(at, task) else {
            return;
        };
        let actor = std::mem::take(actor);
        let primed = actor.claims > 0;
        let Event { seq, time, .. } = *at.event;
        let Want { node, shared, mask, site } = want;
        let taking = Taking { node, shared, mask, site, task, seq, time, primed };
        let cycles = self.graph.take(&actor.holds, &taking, &actor.name);
        self.actors[task.0 as usize] = Some(actor);
        self.report(at, cycles, out);
    }

    fn report(&mut self, at: &At<'_>, cycles: Vec<Cycle>, out: &mut Vec<Finding>) {
        for cycle in cycles {
            if !cycle.class_only || self.class_view {
                out.push(finding(at.event, cycle));
            } else if self.aside.len() < MAX_ASIDE {
                self.aside.push(cycle);
            }
        }
    }

    fn level(&mut self, level: Level) -> Option<NodeId> {
        self.graph.nodes.id(Node::reclaim(level))
    }

    /// Takes the pseudo-locks that `mask` permits.
    fn levels(&mut self, at: &At<'_>, mask: Gfp, site: Option<Site>, out: &mut Vec<Finding>) {
        for level in Level::permitted(mask) {
            if let Some(node) = self.level(*level) {
                self.take(at, at.event.task, Want { node, shared: false, mask: Some(mask), site }, out);
            }
        }
    }

    fn enter_reclaim(&mut self, at: &At<'_>, mask: Gfp, key: Key, out: &mut Vec<Finding>) {
        self.levels(at, mask, None, out);
        let widest = Level::permitted(mask).last();
        if let Some(node) = widest.and_then(|level| self.level(*level)) {
            self.hold(at, Hold { node, shared: false, waited: true, site: None, key });
        }
    }

    fn lock(&mut self, at: &At<'_>, out: &mut Vec<Finding>) {
        let task = at.event.task;
        match at.event.kind {
            EventKind::LockAttempt { lock, mode, try_lock, site } => {
                self.want_lock(at, lock, mode, !try_lock, site, out);
            }
            EventKind::LockAcquired { lock, mode, site } => {
                let Some(node) = self.resolver.lock(lock, at.names, &mut self.graph.nodes) else {
                    return;
                };
                let attempt = self.actor(at, task).and_then(|actor| actor.attempt.take());
                let waited = attempt == Some((lock, true));
                let shared = mode == LockMode::Shared;
                self.hold(at, Hold { node, shared, waited, site: Some(site), key: Key::Lock(lock) });
            }
            EventKind::LockReleased { lock } => self.drop_last(task, Key::Lock(lock)),
            _ => {}
        }
    }

    fn want_lock(
        &mut self,
        at: &At<'_>,
        lock: LockId,
        mode: LockMode,
        waits: bool,
        site: Site,
        out: &mut Vec<Finding>,
    ) {
        let task = at.event.task;
        let Some(actor) = self.actor(at, task) else {
            return;
        };
        actor.attempt = Some((lock, waits));
        let node = self.resolver.lock(lock, at.names, &mut self.graph.nodes);
        let Some(node) = node.filter(|_| waits) else {
            return;
        };
        let shared = mode == LockMode::Shared;
        self.take(at, task, Want { shared, ..Want::plain(node, Some(site)) }, out);
        if !shared {
            let cycles = self.graph.writer(node);
            self.report(at, cycles, out);
        }
    }

    /// The requests or the work of `queue`.
    fn queue(&mut self, at: &At<'_>, kind: NodeKind, queue: QueueId) -> Option<NodeId> {
        self.resolver.named(kind, queue.0, |id| at.names.queue(QueueId(id)), &mut self.graph.nodes)
    }

    fn pool(&mut self, at: &At<'_>, pool: crate::event::PoolId) -> Option<NodeId> {
        let name = |id| at.names.pool(crate::event::PoolId(id));
        self.resolver.named(NodeKind::Pool, pool.0, name, &mut self.graph.nodes)
    }

    fn wait(&mut self, at: &At<'_>, task: TaskId, resource: Resource, site: Site, out: &mut Vec<Finding>) {
        let node = match resource {
            Resource::Lock(lock) => {
                let asked = self.actor(at, task).is_some_and(|actor| actor.attempt == Some((lock, true)));
                if !asked {
                    self.want_lock(at, lock, LockMode::Exclusive, true, site, out);
                }
                return;
            }
            Resource::Request(request) => {
                let queue = at.view.request(request).map(|request| request.queue);
                queue.and_then(|queue| self.queue(at, NodeKind::Requests, queue))
            }
            Resource::Work(work) => {
                let queue = at.view.work(work).map(|work| work.queue);
                queue.and_then(|queue| self.queue(at, NodeKind::Work, queue))
            }
            Resource::Pool(pool) => self.pool(at, pool),
            Resource::Task(TaskId(id)) => {
                let name = |id| at.names.task(TaskId(id));
                self.resolver.named(NodeKind::Exit, id, name, &mut self.graph.nodes)
            }
            Resource::Condition(_) | Resource::Idle(_) | Resource::Timer => None,
        };
        if let Some(node) = node {
            self.take(at, task, Want::plain(node, Some(site)), out);
        }
    }

    /// Whoever waits for `resource`, of which it is now known who must act.
    fn waiters(&mut self, at: &At<'_>, resource: Resource, out: &mut Vec<Finding>) {
        for (task, state) in at.view.tasks() {
            if let Some(wait) = state.wait.filter(|wait| wait.resource == resource) {
                self.wait(at, task, resource, wait.site, out);
            }
        }
    }

    fn serve(&mut self, at: &At<'_>, out: &mut Vec<Finding>) {
        let task = at.event.task;
        let (node, key) = match at.event.kind {
            // A submitter may publish a number, and others wait for it, before the submission.
            EventKind::RequestSubmit { request, .. } => {
                return self.waiters(at, Resource::Request(request), out);
            }
            EventKind::WorkQueued { work, .. } => return self.waiters(at, Resource::Work(work), out),
            EventKind::RequestServe { request } => {
                let queue = at.view.request(request).map(|request| request.queue);
                let node = queue.and_then(|queue| self.queue(at, NodeKind::Requests, queue));
                (node, Key::Request(request))
            }
            EventKind::WorkBegin { work } => {
                let queue = at.view.work(work).map(|work| work.queue);
                (queue.and_then(|queue| self.queue(at, NodeKind::Work, queue)), Key::Work(work))
            }
            EventKind::PoolTake { pool } => (self.pool(at, pool), Key::Pool(pool)),
            EventKind::RequestServed { request } => return self.drop_last(task, Key::Request(request)),
            EventKind::WorkEnd { work } => return self.drop_last(task, Key::Work(work)),
            EventKind::PoolGive { pool } => return self.give(task, Key::Pool(pool)),
            _ => return,
        };
        if let Some(node) = node {
            self.hold(at, Hold { node, shared: false, waited: false, site: None, key });
        }
    }

    /// An element comes back from whoever has it: its taker, or the task that completed what it was for.
    fn give(&mut self, task: TaskId, key: Key) {
        let own =
            self.actors.get_mut(task.0 as usize).into_iter().flatten().any(|actor| actor.drop_last(key));
        if !own {
            let _taker = self.actors.iter_mut().flatten().any(|actor| actor.drop_last(key));
        }
    }

    fn prime(&mut self, at: &At<'_>, prime: Prime, out: &mut Vec<Finding>) {
        let task = at.event.task;
        match prime {
            Prime::Begin | Prime::End => {
                if let Some(actor) = self.actor(at, task) {
                    let change = if prime == Prime::Begin { 1 } else { -1 };
                    actor.claims = actor.claims.saturating_add_signed(change);
                }
            }
            Prime::Enter(mask) => self.enter_reclaim(at, mask, Key::Claim, out),
            Prime::Leave => self.drop_last(task, Key::Claim),
        }
    }
}

/// Whether an allocation takes nothing: the task is the reclaimer, or the caller says that it knows better.
fn exempt(mask: Gfp, flags: TaskFlags, view: &View, task: TaskId) -> bool {
    let reclaimer =
        |kind| matches!(kind, FrameKind::Scope { kind: ScopeKind::Noreclaim | ScopeKind::Kswapd, .. });
    flags.contains(TaskFlags::MEMALLOC)
        || mask.contains(Gfp::NOLOCKDEP)
        || view.frames(task).iter().any(|frame| reclaimer(frame.kind))
}

fn finding(event: &Event, cycle: Cycle) -> Finding {
    let step = |(edge, place): (&super::cycle::Edge, u32)| Step {
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
