//! The tasks that wait for a task, and those that it waits for, over any number of hops.
//!
//! The searches of [`View`] that judges ask before they look at each way through the waits. They
//! take in each task and each line of a lock once, and err towards too many: a task that is not in
//! the result has nothing to do with the task that was asked about.

use std::collections::{BTreeMap, BTreeSet};

use super::needed::Servers;
use super::state::View;
use super::waits::{ElementHolder, Waiter, conflict};
use crate::event::{Actor, LockId, LockMode, QueueId, RequestId, Resource, TaskId};
use crate::witness::FrameKind;

/// What a search for the tasks behind has taken in already.
#[derive(Debug, Default)]
struct Behind {
    /// By lock, the event from which on every waiter was taken in.
    lines: BTreeMap<LockId, u64>,
    queues: BTreeSet<QueueId>,
    pools: bool,
    /// What requests and work items promised, and the requests that were passed down.
    served: bool,
}

/// How far a search for the tasks ahead has taken in the line of a lock.
#[derive(Debug, Default)]
struct Line {
    /// Places before this one.
    all: usize,
    /// Of places before this one, the exclusive waiters.
    exclusive: usize,
    /// Holders: the exclusive ones, and all.
    holders: [bool; 2],
}

impl View {
    /// Whether any task may wait for what `task` holds, serves or promised, or for its place in
    /// line.
    pub(in crate::witness) fn is_waited_for(&self, task: TaskId) -> bool {
        self.each_behind(task, &mut Behind::default(), &mut |_| true)
    }

    /// `tasks` and every task behind them: those that wait for them, for the tasks that wait for
    /// them, and so on.
    pub(in crate::witness) fn all_behind(
        &self,
        tasks: impl IntoIterator<Item = TaskId>,
    ) -> BTreeSet<TaskId> {
        let mut found: BTreeSet<TaskId> = tasks.into_iter().collect();
        let mut open: Vec<TaskId> = found.iter().copied().collect();
        let mut taken_in = Behind::default();
        while let Some(task) = open.pop() {
            self.each_behind(task, &mut taken_in, &mut |task| {
                if found.insert(task) {
                    open.push(task);
                }
                false
            });
        }
        found
    }

    /// Calls `each` with the tasks that may wait for `task`, until it returns true; says whether it
    /// did.
    fn each_behind(
        &self,
        id: TaskId,
        taken_in: &mut Behind,
        each: &mut dyn FnMut(TaskId) -> bool,
    ) -> bool {
        let Some(task) = self.task(id) else {
            return false;
        };
        let held = task.held.iter().map(|held| (held.lock, 0));
        let waits = self.waits(id).filter_map(|wait| match wait.resource {
            Resource::Lock(lock) => Some((lock, wait.seq + 1)),
            _ => None,
        });
        for (lock, since) in held.chain(waits) {
            if self.behind_in_line(lock, since, taken_in).any(|waiter| each(waiter.task)) {
                return true;
            }
        }
        let served = task.frames.iter().filter_map(|frame| match frame.kind {
            FrameKind::Serving { request } => Some(Actor::Request(request)),
            FrameKind::Working { work } => Some(Actor::Work(work)),
            _ => None,
        });
        let mut serves = !task.serves.is_empty();
        for actor in served.chain([Actor::Task(id)]) {
            serves |= actor != Actor::Task(id) || !self.carried_by(actor).is_empty();
            if self.each_depending(actor, &mut |resource| self.waiting.on(resource).any(&mut *each))
            {
                return true;
            }
        }
        for queue in &task.serves {
            if taken_in.queues.insert(*queue) && self.waiting.at(*queue).any(&mut *each) {
                return true;
            }
        }
        if !task.serves.is_empty()
            && !std::mem::replace(&mut taken_in.served, true)
            && self.each_behind_served(each)
        {
            return true;
        }
        let pools = !taken_in.pools && (serves || self.has_element(id));
        taken_in.pools |= pools;
        pools && self.waiting.on_pools().any(&mut *each)
    }

    /// Calls `each` with the tasks that wait for something that any request or work item in a queue
    /// may have promised or carry.
    fn each_behind_served(&self, each: &mut dyn FnMut(TaskId) -> bool) -> bool {
        let passed = |id: RequestId| self.requests.get(&id).is_some_and(|r| r.passed.is_some());
        let mut requests = self.waiting.on_requests().filter(|(id, _)| passed(*id));
        if !self.carries.is_empty() && requests.any(|(_, task)| each(task)) {
            return true;
        }
        let conditions = self.promises.by_served().map(Resource::Condition);
        let locks = self.lent.keys().map(|lock| Resource::Lock(*lock));
        conditions.chain(locks).any(|resource| self.waiting.on(resource).any(&mut *each))
    }

    /// Calls `each` with what `actor` must act for: itself, what it promised, and the same of the
    /// requests that it carries. Ends when `each` returns true, and says whether it did.
    pub(in crate::witness) fn each_depending(
        &self,
        actor: Actor,
        each: &mut dyn FnMut(Resource) -> bool,
    ) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![actor]);
        while let Some(actor) = open.pop() {
            let itself = match actor {
                Actor::Task(task) => Resource::Task(task),
                Actor::Request(request) => Resource::Request(request),
                Actor::Work(work) => Resource::Work(work),
            };
            let promised = self.promises.by(actor).map(Resource::Condition);
            // A request may give back elements of pools.
            let owed = |holders: &[ElementHolder]| match actor {
                Actor::Request(id) => holders.contains(&ElementHolder::Request(id)),
                Actor::Task(_) | Actor::Work(_) => false,
            };
            let waited = self.pools_are_waited_for();
            let pools = self.elements.iter().filter(|(_, holders)| waited && owed(holders));
            let pools = pools.map(|(pool, _)| Resource::Pool(*pool));
            let holds = |holders: &[RequestId]| match actor {
                Actor::Request(id) => holders.contains(&id),
                Actor::Task(_) | Actor::Work(_) => false,
            };
            let locks = self.lent.iter().filter(|(_, holders)| holds(holders));
            let locks = locks.map(|(lock, _)| Resource::Lock(*lock));
            if std::iter::once(itself).chain(promised).chain(pools).chain(locks).any(&mut *each) {
                return true;
            }
            let carried = self.carried_by(actor).iter().map(|id| Actor::Request(*id));
            open.extend(carried.filter(|carried| seen.insert(*carried)));
        }
        false
    }

    /// The waiters for `lock` that came at event `since` or later and were not taken in yet.
    fn behind_in_line(
        &self,
        lock: LockId,
        since: u64,
        taken_in: &mut Behind,
    ) -> impl Iterator<Item = &Waiter> {
        let line = self.locks.get(lock.0 as usize).filter(|lock| !lock.waiters.is_empty());
        line.into_iter().flat_map(move |lock_state| {
            let known = taken_in.lines.entry(lock).or_insert(u64::MAX);
            let place = |seq| lock_state.waiters.partition_point(|waiter| waiter.seq < seq);
            let (begin, end) = (place(since.min(*known)), place(*known));
            *known = since.min(*known);
            lock_state.waiters.range(begin..end)
        })
    }

    fn has_element(&self, id: TaskId) -> bool {
        self.waiting.on_pools().next().is_some()
            && self.elements.values().flatten().any(|holder| holder.is(id))
    }

    /// Every task that `start` waits for, over any number of hops, if `start` is one of them: only
    /// then can it be part of a deadlock.
    pub(in crate::witness) fn all_ahead(&self, start: TaskId) -> Option<Vec<TaskId>> {
        let mut seen = vec![false; self.task_count()];
        let mut found = Vec::new();
        let mut lines: BTreeMap<LockId, Line> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        let (mut at, mut next) = (start, 0);
        loop {
            let take_in = |task: TaskId| {
                if seen.get(task.0 as usize) == Some(&false) {
                    seen[task.0 as usize] = true;
                    found.push(task);
                }
            };
            match self.wait(at).map(|wait| (wait.resource, wait.seq)) {
                Some((Resource::Lock(lock), seq)) => {
                    if self.lent.contains_key(&lock) {
                        self.needed(at).1.map(|needed| needed.task).for_each(take_in);
                    } else {
                        self.ahead_in_line(at, seq, lock, lines.entry(lock).or_default(), take_in);
                    }
                }
                // Waiters for elements of one pool, and those for the servers of one queue, wait
                // for the same tasks.
                Some((resource, _)) => {
                    let actor = match resource {
                        Resource::Request(id) => Some(Actor::Request(id)),
                        Resource::Work(id) => Some(Actor::Work(id)),
                        _ => None,
                    };
                    let servers = actor.map(|actor| self.servers_of(actor));
                    let same = match (resource, servers) {
                        (Resource::Pool(_) | Resource::Condition(_), _) => Some(resource),
                        (_, Some(Servers { of, queue: [_, ..], .. })) => {
                            self.queue_of(of).map(Resource::Idle)
                        }
                        _ => None,
                    };
                    if same.is_none_or(|same| shared.insert(same)) {
                        if let Resource::Condition(condition) = resource {
                            self.all_promisers(condition).for_each(take_in);
                        } else {
                            self.needed(at).1.map(|needed| needed.task).for_each(take_in);
                        }
                    }
                }
                None => {}
            }
            let Some(task) = found.get(next) else {
                break;
            };
            (at, next) = (*task, next + 1);
        }
        seen.get(start.0 as usize).copied().unwrap_or(false).then_some(found)
    }

    /// Calls `take_in` with the holders and the waiters that `task` waits for in the line of
    /// `lock`, except those that were taken in from there before.
    fn ahead_in_line(
        &self,
        task: TaskId,
        seq: u64,
        lock: LockId,
        line: &mut Line,
        mut take_in: impl FnMut(TaskId),
    ) {
        let Some(lock) = self.locks.get(lock.0 as usize) else {
            return;
        };
        let place = lock.place(task, seq);
        let mode = place.map_or(LockMode::Exclusive, |place| lock.waiters[place].mode);
        let place = place.unwrap_or(0);
        let shared = mode == LockMode::Shared;
        if !line.holders[1] && !std::mem::replace(&mut line.holders[usize::from(!shared)], true) {
            let holders = lock.holders.iter().filter(|holder| conflict(holder.mode, mode));
            holders.for_each(|holder| take_in(holder.task));
        }
        let begin = if shared { line.all.max(line.exclusive) } else { line.all };
        if begin < place {
            let ahead = lock.waiters.range(begin..place);
            ahead.filter(|other| conflict(other.mode, mode)).for_each(|other| take_in(other.task));
            *(if shared { &mut line.exclusive } else { &mut line.all }) = place;
        }
    }

    /// Every task that waits for another.
    pub(in crate::witness) fn waiting_tasks(&self) -> BTreeSet<TaskId> {
        self.tasks().map(|(id, _)| id).filter(|id| self.wait(*id).is_some()).collect()
    }

    /// The tasks that wait for `resource`, in order.
    pub(in crate::witness) fn waiters(&self, resource: Resource) -> impl Iterator<Item = TaskId> {
        self.waiting.on(resource)
    }

    /// Whether any task waits for an element of a pool.
    pub(in crate::witness) fn pools_are_waited_for(&self) -> bool {
        self.waiting.on_pools().next().is_some()
    }

    /// The tasks that hold `lock`, in the order in which they got it.
    pub(in crate::witness) fn holders(&self, lock: LockId) -> impl Iterator<Item = TaskId> {
        let lock = self.locks.get(lock.0 as usize);
        lock.into_iter().flat_map(|lock| &lock.holders).map(|holder| holder.task)
    }

    /// Whether any task reclaims.
    pub(in crate::witness) fn reclaims(&self) -> bool {
        !self.reclaiming.is_empty()
    }

    /// The queue of a request or a work item.
    pub(super) fn queue_of(&self, actor: Actor) -> Option<QueueId> {
        match actor {
            Actor::Request(id) => self.requests.get(&id).map(|request| request.queue),
            Actor::Work(id) => self.works.get(&id).map(|work| work.queue),
            Actor::Task(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
