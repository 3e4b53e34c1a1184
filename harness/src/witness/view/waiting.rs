//! `Waiting`: the tasks that wait, by the resource that each waits for.
//!
//! Key type: [`Waiting`]. A judge that looked through all tasks for the waiters of one resource
//! would make each event cost as much as there are tasks.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{LockId, PoolId, QueueId, RequestId, Resource, TaskId};

/// Every wait under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    by_resource: BTreeSet<(Resource, TaskId)>,
    /// Those for a request or a work item that is in this queue, or was when it was last seen.
    by_queue: BTreeSet<(QueueId, Resource, TaskId)>,
    queues: BTreeMap<Resource, QueueId>,
}

impl Waiting {
    /// `task` waits for `resource`, which is in `queue` if it is a request or a work item.
    pub(super) fn begin(&mut self, task: TaskId, resource: Resource, queue: Option<QueueId>) {
        self.by_resource.insert((resource, task));
        if let Some(queue) = queue {
            self.queues.insert(resource, queue);
            self.by_queue.insert((queue, resource, task));
        }
    }

    /// `task` waits for `resource` no more.
    pub(super) fn end(&mut self, task: TaskId, resource: Resource) {
        self.by_resource.remove(&(resource, task));
        if let Some(queue) = self.queues.get(&resource).copied() {
            self.by_queue.remove(&(queue, resource, task));
            if self.on(resource).next().is_none() {
                self.queues.remove(&resource);
            }
        }
    }

    /// `resource` was put into `queue`; tasks may wait for it already.
    pub(super) fn queued(&mut self, resource: Resource, queue: QueueId) {
        if self.by_resource.is_empty() {
            return;
        }
        let waiters: Vec<TaskId> = self.on(resource).collect();
        if let Some(before) = self.queues.remove(&resource) {
            for task in &waiters {
                self.by_queue.remove(&(before, resource, *task));
            }
        }
        for task in waiters {
            self.begin(task, resource, Some(queue));
        }
    }

    /// The tasks that wait for `resource`, in order.
    pub(super) fn on(&self, resource: Resource) -> impl Iterator<Item = TaskId> {
        let all = (resource, TaskId(0))..=(resource, TaskId(u32::MAX));
        self.by_resource.range(all).map(|(_, task)| *task)
    }

    /// The tasks that wait for a request or a work item of `queue`.
    pub(super) fn at(&self, queue: QueueId) -> impl Iterator<Item = TaskId> {
        let all = (queue, FIRST, TaskId(0))..=(queue, LAST, TaskId(u32::MAX));
        self.by_queue.range(all).map(|(.., task)| *task)
    }

    /// The tasks that wait for any request, each with its request.
    pub(super) fn on_requests(&self) -> impl Iterator<Item = (RequestId, TaskId)> {
        let request = |number| Resource::Request(RequestId(number));
        let all = (request(0), TaskId(0))..=(request(u32::MAX), TaskId(u32::MAX));
        self.by_resource.range(all).filter_map(|(resource, task)| match resource {
            Resource::Request(id) => Some((*id, *task)),
            _ => None,
        })
    }

    /// The tasks that wait for an element of any pool.
    pub(super) fn on_pools(&self) -> impl Iterator<Item = TaskId> {
        let pool = |number| Resource::Pool(PoolId(number));
        let all = (pool(0), TaskId(0))..=(pool(u32::MAX), TaskId(u32::MAX));
        self.by_resource.range(all).map(|(_, task)| *task)
    }
}

/// The first and the last of all resources in their order.
const FIRST: Resource = Resource::Lock(LockId(0));
const LAST: Resource = Resource::Timer;
