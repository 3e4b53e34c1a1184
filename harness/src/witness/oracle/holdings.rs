//! What is held around an allocation: by the task that allocates, and by the tasks that wait for
//! it.
//!
//! Key types: [`Holdings`], [`Stuck`]. A task that waits for the allocating task, directly or
//! through others, releases nothing before the allocation is done. A wait that other tasks could
//! end counts only if too many of them are stuck.

use super::stack::Dependency;
use crate::event::{Gfp, LockId, LockMode, QueueId, Site, TaskFlags, TaskId};
use crate::witness::{FrameKind, View, Wait};

/// One allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocation {
    pub(super) task: TaskId,
    pub(super) requested: Gfp,
    pub(super) effective: Gfp,
    pub(super) flags: TaskFlags,
    pub(super) site: Site,
    /// The event with which it began.
    pub(super) begun: u64,
}

/// A task that cannot go on before the allocation is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck {
    pub(super) task: TaskId,
    /// Its wait, and the place of the task that it waits for; none for the task that allocates.
    pub(super) behind: Option<(Wait, usize)>,
}

/// How a task holds a lock or a queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum HeldAs {
    /// A lock, and whether others may share it.
    Lock(LockId, bool),
    /// A request of the queue, which it serves.
    Request(QueueId),
    /// A work item of the queue, which it executes.
    Work(QueueId),
}

/// One thing that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    pub(super) hold: HeldAs,
    pub(super) site: Option<Site>,
    /// Index into [`Holdings::stuck`] of the holder.
    pub(super) by: usize,
}

/// What is held around an allocation.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// The allocating task, then the tasks that wait for it.
    pub(super) stuck: Vec<Stuck>,
    pub(super) held: Vec<Holding>,
    /// The event with which the allocation began.
    begun: u64,
}

impl Holdings {
    /// What is held around an allocation of `task` that began with event `begun`. What the task
    /// took since then, it took in its reclaim, which gives it back before it goes on to anything
    /// else.
    pub(super) fn of(view: &View, task: TaskId, begun: u64) -> Self {
        let mut all = Self { begun, ..Self::default() };
        all.add(view, Stuck { task, behind: None });
        let mut seen = 0;
        while seen < all.stuck.len() {
            seen = all.stuck.len();
            for (waiter, _) in view.tasks() {
                if let Some(stuck) = all.behind(view, waiter) {
                    all.add(view, stuck);
                }
            }
        }
        all
    }

    fn place(&self, task: TaskId) -> Option<usize> {
        self.stuck.iter().position(|stuck| stuck.task == task)
    }

    /// The entry for `waiter`, if it waits for a stuck task and is stuck because of that.
    fn behind(&self, view: &View, waiter: TaskId) -> Option<Stuck> {
        let wait = *view.wait(waiter)?;
        if self.place(waiter).is_some() {
            return None;
        }
        let mut first = None;
        let stuck = view.is_stuck(waiter, |needed| {
            let stuck = |place: &usize| match *place {
                0 => needed.since < self.begun,
                _ => view.holds_up(needed).is_some(),
            };
            let place = self.place(needed.task).filter(stuck);
            first = first.or(place);
            place.is_some()
        });
        first.filter(|_| stuck).map(|place| Stuck { task: waiter, behind: Some((wait, place)) })
    }

    fn add(&mut self, view: &View, stuck: Stuck) {
        let by = self.stuck.len();
        self.stuck.push(stuck);
        let Some(task) = view.task(stuck.task) else {
            return;
        };
        // What a waiter took since its wait began, it gives back whether or not the wait ends.
        let until = stuck.behind.map_or(self.begun, |(wait, _)| wait.seq);
        let locks =
            task.held.iter().filter(|held| held.seq < until).map(|held| {
                (HeldAs::Lock(held.lock, held.mode == LockMode::Shared), Some(held.site))
            });
        let frames = task.frames.iter().filter(|frame| frame.seq < until);
        let served = frames.filter_map(|frame| match frame.kind {
            FrameKind::Serving { request } => {
                Some((HeldAs::Request(view.request(request)?.queue), frame.site))
            }
            FrameKind::Working { work } => Some((HeldAs::Work(view.work(work)?.queue), frame.site)),
            _ => None,
        });
        self.held.extend(locks.chain(served).map(|(hold, site)| Holding { hold, site, by }));
    }

    /// The holding that keeps other tasks from `thing`. A queue with a server that is not stuck is
    /// not held.
    pub(super) fn find(&self, view: &View, thing: Dependency) -> Option<Holding> {
        let found = self.held.iter().find(|held| match (held.hold, thing) {
            (HeldAs::Lock(held, _), Dependency::Lock(lock)) => held == lock,
            (HeldAs::Request(held) | HeldAs::Work(held), Dependency::Queue(queue)) => held == queue,
            _ => false,
        })?;
        let free =
            |queue: QueueId| view.servers(queue).iter().any(|server| self.place(*server).is_none());
        let available = matches!(thing, Dependency::Queue(queue) if free(queue));
        (!available).then_some(*found)
    }
}
