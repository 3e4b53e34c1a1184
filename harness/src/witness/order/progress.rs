//! Waiting for progress: requests, work items, pool elements, conditions, the end of a task.
//!
//! A task that waits for a request takes the requests of its queue. A task that serves a request
//! holds them, because the waiter waits for everything that the server takes meanwhile. The same
//! holds for promised conditions. Work items differ from each other in what they take, so each is a
//! node of its own: a task that waits for one that runs takes that one alone, and a task that waits
//! for one in the queue takes those before it too. Written from docs/kernel/lockdep.md, "What the
//! annotation cannot see".

use super::held::{Hold, Key};
use super::node::{Node, NodeId, NodeKind};
use super::rd03_order::{Order, Want};
use crate::event::{EventKind, LockMode, PoolId, QueueId, Resource, Site, TaskId, WaitId, WorkId};
use crate::witness::{Finding, Moment};

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
        let queue = self.queue(at, NodeKind::Work, at.view.work(work)?.queue)?;
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
                let queue = at.view.request(request).map(|request| request.queue);
                queue.and_then(|queue| self.queue(at, NodeKind::Requests, queue))
            }
            Resource::Work(work) => {
                for item in at.view.works_before(work).chain([work]) {
                    if let Some(node) = self.work_item(at, item) {
                        self.take(at, task, Want::plain(node, Some(site)), out);
                    }
                }
                return;
            }
            Resource::Pool(pool) => self.pool(at, pool),
            Resource::Condition(condition) => self.condition(at, condition),
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
            EventKind::RequestSubmit { request, .. } => {
                return self.waiters(at, Resource::Request(request), out);
            }
            EventKind::WorkQueued { work, .. } => {
                return self.waiters(at, Resource::Work(work), out);
            }
            EventKind::RequestServe { request } => {
                let queue = at.view.request(request).map(|request| request.queue);
                let node = queue.and_then(|queue| self.queue(at, NodeKind::Requests, queue));
                (node, Key::Request(request), None)
            }
            EventKind::WorkBegin { work } => (self.work_item(at, work), Key::Work(work), None),
            EventKind::PoolTake { pool, site } => (self.pool(at, pool), Key::Pool(pool), site),
            EventKind::Promise { condition, site, .. } => {
                (self.condition(at, condition), Key::Promise(condition), site)
            }
            EventKind::RequestServed { request } => {
                return self.drop_last(task, Key::Request(request));
            }
            EventKind::WorkEnd { work } => return self.drop_last(task, Key::Work(work)),
            EventKind::PromiseEnd { condition, .. } => {
                return self.drop_last(task, Key::Promise(condition));
            }
            EventKind::Signal { condition } => {
                return self.drop_all(task, Key::Promise(condition));
            }
            EventKind::PoolGive { pool } => return self.give(task, pool),
            _ => return,
        };
        if let Some(node) = node {
            self.hold(at, Hold { node, shared: false, waited: false, site, key });
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
