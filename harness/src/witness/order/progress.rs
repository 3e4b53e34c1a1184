//! Waiting for progress: requests, work items, pool elements, conditions, the end of a task.
//!
//! A task that waits for a request takes the requests of its queue. A task that serves a request
//! holds them, because the waiter waits for everything that the server takes meanwhile. The same
//! holds for promised conditions. Work items differ from each other in what they take, so each is a
//! node of its own: a task that waits for one that runs takes that one alone, and a task that waits
//! for one in the queue takes those before it too. A task that serves a request or executes an item
//! holds also what that promised, and the requests that were passed down to it. Written from
//! docs/kernel/lockdep.md, "What the annotation cannot see".

use std::collections::BTreeSet;

use super::held::{Hold, Key};
use super::node::{Node, NodeId, NodeKind};
use super::rd03_order::{Order, Want};
use crate::event::{
    Actor, EventKind, LockMode, PoolId, QueueId, RequestId, Resource, Site, TaskId, WaitId, WorkId,
};
use crate::witness::{Finding, Moment};

/// Queues of more requests and work items are not kept.
const MAX_QUEUED: usize = 1 << 16;
/// A request that was passed down more often is followed no further.
const MAX_PASSED: usize = 64;

impl Order {
    /// The requests or the work of `queue`.
    pub(super) fn queue(
        &mut self,
        at: &Moment<'_>,
        kind: NodeKind,
        queue: QueueId,
    ) -> Option<NodeId> {
        self.resolver.named(kind, queue.0, |id| at.names.queue(QueueId(id)), &mut self.graph.nodes)
    }

    /// The item; none where it is not known which queue it is in.
    fn work_item(&mut self, at: &Moment<'_>, work: WorkId) -> Option<NodeId> {
        let queue = *self.queues.get(&Actor::Work(work))?;
        let queue = self.queue(at, NodeKind::Work, queue)?;
        let nodes = &mut self.graph.nodes;
        nodes.id(Node::work_item(at.names.work(work), nodes.get(queue)))
    }

    pub(super) fn pool(&mut self, at: &Moment<'_>, pool: PoolId) -> Option<NodeId> {
        let name = |id| at.names.pool(PoolId(id));
        self.resolver.named(NodeKind::Pool, pool.0, name, &mut self.graph.nodes)
    }

    fn condition(&mut self, at: &Moment<'_>, condition: WaitId) -> Option<NodeId> {
        let name = |id| at.names.condition(WaitId(id));
        self.resolver.named(NodeKind::Condition, condition.0, name, &mut self.graph.nodes)
    }

    pub(super) fn wait(
        &mut self,
        at: &Moment<'_>,
        task: TaskId,
        resource: Resource,
        site: Site,
        out: &mut Vec<Finding>,
    ) {
        let node = match resource {
            Resource::Lock(lock) => {
                let asked =
                    self.actor(at, task).is_some_and(|actor| actor.attempt == Some((lock, true)));
                if !asked {
                    self.want_lock(at, lock, LockMode::Exclusive, true, site, out);
                }
                return;
            }
            Resource::Request(request) => {
                return self.wait_served(at, task, Actor::Request(request), site, out);
            }
            Resource::Work(work) => {
                return self.wait_served(at, task, Actor::Work(work), site, out);
            }
            Resource::Pool(pool) => self.pool(at, pool),
            Resource::Condition(condition) => {
                return self.wait_signal(at, task, condition, site, out);
            }
            Resource::Task(TaskId(id)) => {
                let name = |id| at.names.task(TaskId(id));
                self.resolver.named(NodeKind::Exit, id, name, &mut self.graph.nodes)
            }
            Resource::Idle(_) | Resource::Timer => None,
        };
        if let Some(node) = node {
            self.take(at, task, Want::plain(node, Some(site)), out);
        }
    }

    /// The task waits for a request or a work item, and for what carries it.
    fn wait_served(
        &mut self,
        at: &Moment<'_>,
        task: TaskId,
        served: Actor,
        site: Site,
        out: &mut Vec<Finding>,
    ) {
        let mut next = Some(served);
        for _ in 0..MAX_PASSED {
            match next {
                Some(Actor::Request(request)) => {
                    if let Some(node) = self.requests_with(at, request) {
                        self.take(at, task, Want::plain(node, Some(site)), out);
                    }
                    next = at.view.request(request).and_then(|request| request.passed);
                }
                Some(Actor::Work(work)) => {
                    for item in at.view.works_before(work).chain([work]) {
                        if let Some(node) = self.work_item(at, item) {
                            self.take(at, task, Want::plain(node, Some(site)), out);
                        }
                    }
                    return;
                }
                Some(Actor::Task(_)) | None => return,
            }
        }
    }

    /// The task waits for a condition. Where one work item alone promised to signal it and is still
    /// queued, the task waits for those before it too.
    fn wait_signal(
        &mut self,
        at: &Moment<'_>,
        task: TaskId,
        condition: WaitId,
        site: Site,
        out: &mut Vec<Finding>,
    ) {
        let Some(node) = self.condition(at, condition) else {
            return;
        };
        let mut promised = at.view.promises_for(condition).map(|promised| promised.by);
        let first = promised.next();
        let alone = first.filter(|first| promised.all(|by| by == *first));
        let own = |by: Actor| by == Actor::Task(task) || self.acting.get(&by) == Some(&task);
        let want = Want { alone: alone.is_some_and(own), ..Want::plain(node, Some(site)) };
        self.take(at, task, want, out);
        if let Some(work @ Actor::Work(_)) = alone
            && at.view.server(work).is_none()
        {
            self.wait_served(at, task, work, site, out);
        }
    }

    /// The requests of the queue that this one is in, or was.
    fn requests_with(&mut self, at: &Moment<'_>, request: RequestId) -> Option<NodeId> {
        let queue = *self.queues.get(&Actor::Request(request))?;
        self.queue(at, NodeKind::Requests, queue)
    }

    /// The request or work item is in this queue.
    fn is_in(&mut self, served: Actor, queue: QueueId) {
        self.queues.insert(served, queue);
        if self.queues.len() > MAX_QUEUED {
            self.queues.pop_first();
        }
    }

    /// It is now known where `served` is: a task that waits for it, or for what relies on it, takes
    /// that.
    fn depending(&mut self, at: &Moment<'_>, served: Actor, out: &mut Vec<Finding>) {
        at.view.each_depending(served, &mut |resource| {
            self.waiters(at, resource, out);
            false
        });
    }

    /// `task` begins to serve `served`: it holds what that promised and carries.
    fn begin_acting(&mut self, at: &Moment<'_>, task: TaskId, served: Actor) {
        let (mut open, via) = (vec![served], Some(served));
        let mut seen = BTreeSet::new();
        while let Some(actor) = open.pop() {
            for (condition, made) in at.view.promises_of(actor) {
                self.promised(at, task, (condition, actor), made.site, via);
            }
            for request in at.view.carried_by(actor) {
                if seen.insert(*request) {
                    self.carries(at, task, *request, via);
                    open.push(Actor::Request(*request));
                }
            }
        }
    }

    fn promised(
        &mut self,
        at: &Moment<'_>,
        task: TaskId,
        (condition, by): (WaitId, Actor),
        site: Option<Site>,
        via: Option<Actor>,
    ) {
        if let Some(node) = self.condition(at, condition) {
            if via.is_some() {
                self.acting.insert(by, task);
            }
            let key = Key::Promise(condition, by);
            self.hold_on(at, task, Hold { node, shared: false, waited: false, site, key, via });
        }
    }

    fn carries(&mut self, at: &Moment<'_>, task: TaskId, request: RequestId, via: Option<Actor>) {
        if let Some(node) = self.requests_with(at, request) {
            self.acting.insert(Actor::Request(request), task);
            let (site, key) = (None, Key::Carried(request));
            self.hold_on(at, task, Hold { node, shared: false, waited: false, site, key, via });
        }
    }

    /// The task no longer serves `served`.
    fn end_acting(&mut self, task: TaskId, served: Actor) {
        let Some(Some(holder)) = self.actors.get_mut(task.0 as usize) else {
            return;
        };
        for hold in holder.holds.extract_if(.., |hold| hold.via == Some(served)) {
            match hold.key {
                Key::Promise(_, by) => drop(self.acting.remove(&by)),
                Key::Carried(request) => drop(self.acting.remove(&Actor::Request(request))),
                _ => {}
            }
        }
    }

    /// A promise was made. One of a request or a work item counts for the task that serves it.
    fn promise(&mut self, at: &Moment<'_>, condition: WaitId, by: Actor, site: Option<Site>) {
        match by {
            Actor::Task(task) => self.promised(at, task, (condition, by), site, None),
            _ => {
                if let Some((task, via)) = at.view.server(by) {
                    self.promised(at, task, (condition, by), site, Some(via));
                }
            }
        }
    }

    /// The request is complete: whoever carries it holds it no more.
    fn complete(&mut self, request: RequestId) {
        let by = Actor::Request(request);
        if let Some(task) = self.acting.remove(&by)
            && let Some(Some(holder)) = self.actors.get_mut(task.0 as usize)
        {
            let is_its = |key: Key| match key {
                Key::Carried(carried) => carried == request,
                Key::Promise(_, promiser) => promiser == by,
                _ => false,
            };
            holder.holds.retain(|hold| !is_its(hold.key));
        }
    }

    /// The tasks that wait for `resource`, for which it is now known which task must act.
    pub(super) fn waiters(&mut self, at: &Moment<'_>, resource: Resource, out: &mut Vec<Finding>) {
        for task in at.view.waiters(resource) {
            let waits = at.view.task(task).map_or(&[][..], |task| &task.waits);
            if let Some(wait) = waits.iter().rfind(|wait| wait.resource == resource) {
                self.wait(at, task, resource, wait.site, out);
            }
        }
    }

    pub(super) fn serve(&mut self, at: &Moment<'_>, out: &mut Vec<Finding>) {
        let task = at.event.task;
        let (node, key, site) = match at.event.kind {
            // A submitter may publish a number, and others wait for it, before the submission.
            EventKind::RequestSubmit { request, queue, .. } => {
                self.is_in(Actor::Request(request), queue);
                return self.depending(at, Actor::Request(request), out);
            }
            EventKind::WorkQueued { work, queue } => {
                self.is_in(Actor::Work(work), queue);
                return self.depending(at, Actor::Work(work), out);
            }
            EventKind::RequestPassed { request, to } => {
                if let Some((task, via)) = at.view.server(to) {
                    self.carries(at, task, request, Some(via));
                }
                return self.depending(at, Actor::Request(request), out);
            }
            EventKind::RequestServe { request } => {
                self.begin_acting(at, task, Actor::Request(request));
                (self.requests_with(at, request), Key::Request(request), None)
            }
            EventKind::WorkBegin { work } => {
                self.begin_acting(at, task, Actor::Work(work));
                (self.work_item(at, work), Key::Work(work), None)
            }
            EventKind::PoolTake { pool, site } => (self.pool(at, pool), Key::Pool(pool), site),
            EventKind::Promise { condition, by, site, .. } => {
                return self.promise(at, condition, by, site);
            }
            EventKind::RequestServed { request } => {
                self.end_acting(task, Actor::Request(request));
                return self.drop_last(task, Key::Request(request));
            }
            EventKind::RequestComplete { request, .. } => return self.complete(request),
            EventKind::WorkEnd { work } => {
                self.end_acting(task, Actor::Work(work));
                return self.drop_last(task, Key::Work(work));
            }
            EventKind::PromiseEnd { condition, by } => {
                let task = match by {
                    Actor::Task(task) => Some(task),
                    _ => self.acting.get(&by).copied(),
                };
                let Some(task) = task else { return };
                return self.drop_last(task, Key::Promise(condition, by));
            }
            EventKind::Signal { condition } => {
                return self.drop_all(task, Key::Promise(condition, Actor::Task(task)));
            }
            EventKind::PoolGive { pool } => return self.give(task, pool),
            _ => return,
        };
        if let Some(node) = node {
            self.hold(at, Hold { node, shared: false, waited: false, site, key, via: None });
            let last = self.actors.get(task.0 as usize).and_then(Option::as_ref);
            if let Some(Key::Pool(pool)) = last.and_then(|actor| actor.holds.last()).map(|h| h.key)
            {
                self.takers.insert((pool, task));
            }
        }
    }

    /// An element comes back from its holder: its taker, or the task that completed what it was
    /// for.
    fn give(&mut self, task: TaskId, pool: PoolId) {
        let takers = (pool, TaskId(0))..=(pool, TaskId(u32::MAX));
        let own = self.takers.contains(&(pool, task)).then_some(task);
        let taker = own.or_else(|| self.takers.range(takers).next().map(|(_, taker)| *taker));
        let Some(taker) = taker else {
            return;
        };
        if let Some(Some(actor)) = self.actors.get_mut(taker.0 as usize) {
            actor.drop_last(Key::Pool(pool));
            if actor.holds.iter().any(|hold| hold.key == Key::Pool(pool)) {
                return;
            }
        }
        self.takers.remove(&(pool, taker));
    }
}
