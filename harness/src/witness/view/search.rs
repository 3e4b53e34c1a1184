//! The tasks that wait for a task, and those that it waits for, over any number of hops.
//!
//! The searches of [`View`] that judges ask before they look at each way through the waits. They
//! take in each task and each line of a lock once, and err towards too many: a task that is not in
//! the result has nothing to do with the task that was asked about.

use std::collections::{BTreeMap, BTreeSet};

use super::state::View;
use super::waits::{Progress, Waiter, conflict};
use crate::event::{LockId, LockMode, QueueId, Resource, TaskId};
use crate::witness::FrameKind;

/// What a search for the tasks behind has taken in already.
#[derive(Debug, Default)]
struct Behind {
    /// By lock, the event from which on every waiter was taken in.
    lines: BTreeMap<LockId, u64>,
    queues: BTreeSet<QueueId>,
    pools: bool,
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
            FrameKind::Serving { request } => Some(Resource::Request(request)),
            FrameKind::Working { work } => Some(Resource::Work(work)),
            _ => None,
        });
        let mut serves = !task.serves.is_empty();
        for resource in served.chain([Resource::Task(id)]) {
            serves |= resource != Resource::Task(id);
            if self.waiting.on(resource).any(&mut *each) {
                return true;
            }
        }
        for queue in &task.serves {
            if taken_in.queues.insert(*queue) && self.waiting.at(*queue).any(&mut *each) {
                return true;
            }
        }
        if serves {
            for lock in self.lent.keys() {
                if self.waiting.on(Resource::Lock(*lock)).any(&mut *each) {
                    return true;
                }
            }
        }
        let pools = !taken_in.pools && (serves || self.has_element(id));
        taken_in.pools |= pools;
        if pools && self.waiting.on_pools().any(&mut *each) {
            return true;
        }
        let promised = self.promises.iter().filter(|(_, by)| by.iter().any(|owed| owed.task == id));
        promised
            .map(|(condition, _)| Resource::Condition(*condition))
            .any(|condition| self.waiting.on(condition).any(&mut *each))
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
                    let same = match resource {
                        Resource::Pool(_) | Resource::Condition(_) => Some(resource),
                        _ if self.is_queued(resource) => {
                            self.queue_of(resource).map(Resource::Idle)
                        }
                        _ => None,
                    };
                    if same.is_none_or(|same| shared.insert(same)) {
                        self.needed(at).1.map(|needed| needed.task).for_each(take_in);
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

    /// Whether the request or work item waits for a server.
    fn is_queued(&self, resource: Resource) -> bool {
        let progress = match resource {
            Resource::Request(id) => self.requests.get(&id).map(|request| request.progress),
            Resource::Work(id) => self.works.get(&id).map(|work| work.progress),
            _ => None,
        };
        progress == Some(Progress::Queued)
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
    pub(super) fn queue_of(&self, resource: Resource) -> Option<QueueId> {
        match resource {
            Resource::Request(id) => self.requests.get(&id).map(|request| request.queue),
            Resource::Work(id) => self.works.get(&id).map(|work| work.queue),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
