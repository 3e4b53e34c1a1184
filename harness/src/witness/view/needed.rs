//! Which tasks must act before a wait ends.
//!
//! The queries of [`View`]: the holders of a lock and the waiters ahead in line, the server of a
//! request or a work item, the holders of pool elements, the tasks that promised to signal a
//! condition.

use super::state::View;
use super::waits::{ElementHolder, Needed, Progress, Quorum, Role};
use crate::event::{PoolId, QueueId, Resource, TaskId};

impl View {
    /// The tasks that must act before the wait of `waiter` ends, and how many of them.
    pub fn needed(&self, waiter: TaskId) -> (Quorum, impl Iterator<Item = Needed> + '_) {
        let (mut one, mut servers, mut lock, mut any) = (None, &[][..], None, Vec::new());
        let wait = self.wait(waiter);
        match wait.map(|wait| wait.resource) {
            Some(Resource::Lock(id)) => {
                lock = self.locks.get(id.0 as usize);
                let lent = self.lent.get(&id).into_iter().flatten();
                if let Some(request) = lent.filter_map(|id| self.requests.get(id)).next() {
                    (one, servers) = self.server(request.progress, request.queue);
                }
            }
            Some(Resource::Request(id)) => {
                if let Some(request) = self.requests.get(&id) {
                    (one, servers) = self.server(request.progress, request.queue);
                }
            }
            Some(Resource::Work(id)) => {
                if let Some(work) = self.works.get(&id) {
                    (one, servers) = self.server(work.progress, work.queue);
                }
            }
            Some(Resource::Task(task)) => {
                let alive = self.task(task).is_some_and(|task| task.alive);
                one = alive.then_some(Needed { task, how: Role::Exits, since: 0 });
            }
            Some(Resource::Pool(pool)) => any = self.element_holders(pool),
            Some(Resource::Condition(condition)) => {
                let promised = self.promises.get(&condition).into_iter().flatten();
                any.extend(promised.map(|promised| Needed {
                    task: promised.task,
                    how: Role::Promised,
                    since: promised.seq,
                }));
            }
            Some(Resource::Idle(_) | Resource::Timer) | None => {}
        }
        let servers =
            servers.iter().map(|task| Needed { task: *task, how: Role::ServesQueue, since: 0 });
        let since = wait.map_or(0, |wait| wait.seq);
        let holders = lock.into_iter().flat_map(move |lock| lock.needed(waiter, since));
        let quorum = if servers.len() + any.len() > 0 { Quorum::Any } else { Quorum::All };
        (quorum, one.into_iter().chain(servers).chain(holders).chain(any))
    }

    /// The tasks that can give an element back. None if the holder of any element is unknown:
    /// then the wait is not blocked by the holders that are known.
    fn element_holders(&self, pool: PoolId) -> Vec<Needed> {
        let mut known = Vec::new();
        for holder in self.elements.get(&pool).into_iter().flatten() {
            match *holder {
                ElementHolder::Task(taken) => {
                    let since = taken.seq;
                    known.push(Needed { task: taken.task, how: Role::HasElement, since });
                }
                ElementHolder::Request(id) => {
                    let Some(request) = self.requests.get(&id) else { return Vec::new() };
                    let (one, servers) = self.server(request.progress, request.queue);
                    if one.is_none() && servers.is_empty() {
                        return Vec::new();
                    }
                    let queue = servers.iter().map(|task| Needed {
                        task: *task,
                        how: Role::ServesQueue,
                        since: 0,
                    });
                    known.extend(one.into_iter().chain(queue));
                }
            }
        }
        known
    }

    fn server(&self, progress: Progress, queue: QueueId) -> (Option<Needed>, &[TaskId]) {
        match progress {
            Progress::Served { by, since } => {
                (Some(Needed { task: by, how: Role::Serves, since }), &[])
            }
            Progress::Queued => (None, self.servers(queue)),
            Progress::Below => (None, &[]),
        }
    }
}

#[cfg(test)]
mod tests;
