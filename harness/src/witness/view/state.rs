//! `View`: the world as its events tell it.
//!
//! Key types: [`View`], [`Task`]. The view takes in an event before any judge sees it; `apply.rs`
//! says how.

use std::collections::{BTreeMap, BTreeSet};

use super::frames::{Frame, HeldLock};
use super::promises::{Promised, Promises};
use super::waiting::Waiting;
use super::waits::{
    ElementHolder, Lock, Needed, Owed, Progress, RequestFacts, Role, Wait, WorkItem,
};
use crate::event::{
    Actor, LockId, LockMode, Needs, PoolId, QueueId, RequestId, TaskId, TaskKind, WaitId, WorkId,
};
use crate::units::Pages;

/// One task.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Its role, if its spawning was seen.
    pub kind: Option<TaskKind>,
    /// It is known and has not exited.
    pub alive: bool,
    /// What it is in the middle of, outermost first.
    pub frames: Vec<Frame>,
    /// The locks that it holds, in the order taken.
    pub held: Vec<HeldLock>,
    /// Its open waits, outermost first: the code that tests what a wait is for may wait in turn.
    pub waits: Vec<Wait>,
    pub(super) attempt: Option<(LockId, LockMode)>,
    /// How much it needs in the wait for this condition that it begins next.
    pub(super) wants: Option<(WaitId, Needs)>,
    /// The queues that it serves.
    pub(in crate::witness) serves: Vec<QueueId>,
    /// Whether it ever promised to signal.
    pub(super) promises: bool,
}

impl Task {
    /// What it waits for now: the innermost of its waits. When that ends, the one around it is in
    /// force again.
    #[must_use]
    pub fn wait(&self) -> Option<&Wait> {
        self.waits.last()
    }
}

/// The world rebuilt from its events.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(super) tasks: Vec<Task>,
    pub(super) locks: Vec<Lock>,
    pub(super) servers: Vec<Vec<TaskId>>,
    pub(super) requests: BTreeMap<RequestId, RequestFacts>,
    pub(super) works: BTreeMap<WorkId, WorkItem>,
    pub(super) elements: BTreeMap<PoolId, Vec<ElementHolder>>,
    /// The locks that requests hold.
    pub(super) lent: BTreeMap<LockId, Vec<RequestId>>,
    pub(super) promises: Promises,
    /// The requests in flight that were passed down, by what carries each.
    pub(super) carries: BTreeMap<Actor, Vec<RequestId>>,
    /// What the request or work item promised that the last event ended.
    pub(super) ended: BTreeSet<WaitId>,
    pub(super) waiting: Waiting,
    /// Tasks with a reclaim among their frames.
    pub(super) reclaiming: BTreeSet<TaskId>,
    pub(super) min: Option<Pages>,
    pub(super) low_point: Option<Pages>,
    pub(super) closed: Option<Frame>,
    pub(super) exited: Option<(TaskId, Task)>,
}

impl View {
    /// The task, if any event named it.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(id.0 as usize)
    }

    /// Every task that lives, in order.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.tasks
            .iter()
            .zip(0..)
            .filter(|(task, _)| task.alive)
            .map(|(task, id)| (TaskId(id), task))
    }

    /// How many task numbers are in use; every [`TaskId`] in the view is below.
    #[must_use]
    pub const fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// The request, while it is in flight.
    #[must_use]
    pub fn request(&self, id: RequestId) -> Option<&RequestFacts> {
        self.requests.get(&id)
    }

    /// The work item, until it is finished.
    #[must_use]
    pub fn work(&self, id: WorkId) -> Option<&WorkItem> {
        self.works.get(&id)
    }

    /// The work items that must be finished before this one begins: none for one that runs. Where
    /// several tasks serve the queue, no single item keeps the others from beginning.
    pub fn works_before(&self, id: WorkId) -> impl Iterator<Item = WorkId> + '_ {
        let queued = self.work(id).filter(|work| work.progress == Progress::Queued);
        let queued = queued.filter(|work| self.servers(work.queue).len() == 1);
        queued.into_iter().flat_map(|item| {
            let earlier = move |other: &WorkItem| other.queue == item.queue && other.seq < item.seq;
            self.works().filter(move |(_, other)| earlier(other)).map(|(id, _)| id)
        })
    }

    /// The elements of pools that the task has, and where it took them.
    pub(in crate::witness) fn elements_of(
        &self,
        id: TaskId,
    ) -> impl Iterator<Item = (PoolId, Owed)> + '_ {
        self.elements.iter().flat_map(move |(pool, holders)| {
            holders.iter().filter_map(move |holder| match holder {
                ElementHolder::Task(taken) if taken.task == id => Some((*pool, *taken)),
                _ => None,
            })
        })
    }

    /// The promises of `by`, each with the condition that it is for.
    pub(in crate::witness) fn promises_of(
        &self,
        by: Actor,
    ) -> impl Iterator<Item = (WaitId, Promised)> + '_ {
        let made = move |condition| self.promises.made(condition, by).iter();
        let all = self.promises.by(by);
        all.flat_map(move |condition| made(condition).map(move |made| (condition, *made)))
    }

    /// The promises for `condition`.
    pub(in crate::witness) fn promises_for(
        &self,
        condition: WaitId,
    ) -> impl Iterator<Item = &Promised> {
        self.promises.of(condition)
    }

    /// The requests that `by` carries, which were passed down to it.
    pub(in crate::witness) fn carried_by(&self, by: Actor) -> &[RequestId] {
        self.carries.get(&by).map_or(&[], Vec::as_slice)
    }

    /// The conditions that the last event left with fewer who promised, because it ended a request
    /// or a work item.
    pub(in crate::witness) const fn ended_promises(&self) -> &BTreeSet<WaitId> {
        &self.ended
    }

    /// Every request that is in flight.
    pub fn requests(&self) -> impl Iterator<Item = (RequestId, &RequestFacts)> {
        self.requests.iter().map(|(id, request)| (*id, request))
    }

    /// Every work item that is not finished.
    pub fn works(&self) -> impl Iterator<Item = (WorkId, &WorkItem)> {
        self.works.iter().map(|(id, work)| (*id, work))
    }

    /// The frames of a task; none for one never seen.
    #[must_use]
    pub fn frames(&self, id: TaskId) -> &[Frame] {
        self.task(id).map_or(&[], |task| &task.frames)
    }

    /// The tasks that serve a queue; none for one never seen.
    #[must_use]
    pub fn servers(&self, queue: QueueId) -> &[TaskId] {
        self.servers.get(queue.0 as usize).map_or(&[], |servers| servers)
    }

    /// How far allocations used the reserves: the fewest free pages that any allocation left, and
    /// the min watermark. None if no allocation went below it.
    #[must_use]
    pub fn reserves_drawn(&self) -> Option<(Pages, Pages)> {
        let (low, min) = (self.low_point?, self.min?);
        (low < min).then_some((low, min))
    }

    /// The frame that the last event closed.
    #[must_use]
    pub const fn closed(&self) -> Option<&Frame> {
        self.closed.as_ref()
    }

    /// The task as it was before the last event, if that ended it.
    #[must_use]
    pub fn exited(&self, id: TaskId) -> Option<&Task> {
        self.exited.as_ref().filter(|(exited, _)| *exited == id).map(|(_, task)| task)
    }

    /// Every wait of the task.
    pub(super) fn waits(&self, id: TaskId) -> impl Iterator<Item = &Wait> {
        self.task(id).into_iter().flat_map(|task| &task.waits)
    }

    /// The wait of the task, if another task must act before it ends.
    #[must_use]
    pub fn wait(&self, id: TaskId) -> Option<&Wait> {
        self.task(id)?.wait().filter(|wait| wait.needs_a_task())
    }

    /// The wait that keeps a task from acting in its role. A role that it took inside a wait, such
    /// as a lock that the tested condition takes, is given up whether or not that wait ends.
    #[must_use]
    pub fn holds_up(&self, needed: &Needed) -> Option<&Wait> {
        let within = |wait: &&Wait| needed.how == Role::AheadInLine || wait.seq > needed.since;
        self.wait(needed.task).filter(within)
    }

    /// Whether the task that the last event ended had promised to signal, or served a queue.
    #[must_use]
    pub fn exit_matters(&self) -> bool {
        self.exited.as_ref().is_some_and(|(_, task)| task.promises || !task.serves.is_empty())
    }
}
