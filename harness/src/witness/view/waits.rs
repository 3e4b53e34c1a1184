//! Waits: what a task waits for, and which tasks must act before the wait ends.
//!
//! Key types: [`Wait`], [`Needed`], [`Quorum`]. A lock needs all its conflicting holders and all
//! conflicting waiters ahead in line, because rwsems are writer-fair. A request or work item that
//! no task has taken yet needs any one server of its queue. A busy server counts with what it does
//! now, because the queue is a FIFO.

use serde::{Deserialize, Serialize};

use crate::event::{LockMode, Op, Origin, QueueId, RequestId, Resource, Site, TaskId};
use crate::units::{Nanos, Sectors};

/// A task's present wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// For what.
    pub resource: Resource,
    /// A short description from the code that waits.
    pub why: &'static str,
    /// Whether the world may end it with an error.
    pub breakable: bool,
    /// Where.
    pub site: Site,
    /// The event that began it.
    pub seq: u64,
    /// When.
    pub time: Nanos,
    /// The condition was signalled, and the task has not tested it since.
    pub signalled: bool,
}

impl Wait {
    /// Whether some task must act before the wait ends.
    #[must_use]
    pub const fn needs_a_task(&self) -> bool {
        !self.signalled && !matches!(self.resource, Resource::Idle(_) | Resource::Timer)
    }
}

/// How many of the needed tasks must act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quorum {
    /// Every one: a single stuck task blocks the wait.
    All,
    /// One is enough: the wait is blocked when all are stuck.
    Any,
}

/// A task that must act before a wait ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needed {
    /// The task.
    pub task: TaskId,
    /// In what role.
    pub how: Role,
    /// Only frames opened after this event belong to that role.
    pub since: u64,
}

/// Why a task must act.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// It holds the lock.
    Holds,
    /// It wants the same lock and came first.
    AheadInLine,
    /// It serves the request or executes the work item.
    Serves,
    /// It serves the queue that the request or work item is in.
    ServesQueue,
    /// It must exit.
    Exits,
    /// It has an element of the pool.
    HasElement,
    /// It promised to signal the condition.
    Promised,
}

/// How far a request or work item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// In its queue.
    Queued,
    /// A task has it.
    Served {
        /// Which.
        by: TaskId,
        /// The event with which it began.
        since: u64,
    },
    /// In flight below, where no task is known to act on it.
    Below,
}

/// A request that is not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestFacts {
    /// The task that submitted it.
    pub submitter: TaskId,
    /// To which queue.
    pub queue: QueueId,
    /// What it asks.
    pub op: Op,
    /// First sector.
    pub sector: Sectors,
    /// How many.
    pub sectors: Sectors,
    /// What it is for, as the submitter calls it.
    pub origin: Option<Origin>,
    /// Where it was submitted.
    pub site: Site,
    /// The event that submitted it.
    pub seq: u64,
    /// When.
    pub time: Nanos,
    /// How far it is.
    pub progress: Progress,
}

/// A work item that is not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkItem {
    /// The task that queued it.
    pub queued_by: TaskId,
    /// Where.
    pub queue: QueueId,
    /// The event that queued it.
    pub seq: u64,
    /// How far it is.
    pub progress: Progress,
}

/// What a task owes: an element that it has to give back, or a signal that it promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::witness) struct Owed {
    pub(in crate::witness) task: TaskId,
    /// Where it took the element, or promised.
    pub(in crate::witness) site: Option<Site>,
    pub(in crate::witness) seq: u64,
    pub(in crate::witness) time: Nanos,
}

/// The holder of an element of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ElementHolder {
    /// A task, since this event.
    Task(Owed),
    /// A request: the task that completes it gives the element back.
    Request(RequestId),
}

/// A lock's holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    pub(super) task: TaskId,
    pub(super) mode: LockMode,
    pub(super) seq: u64,
}

/// A lock's holders and its waiters in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Lock {
    pub(super) holders: Vec<Holder>,
    pub(super) waiters: Vec<(TaskId, LockMode)>,
}

/// Whether a holder or waiter in mode `a` blocks one in mode `b`.
fn conflict(a: LockMode, b: LockMode) -> bool {
    a != LockMode::Shared || b != LockMode::Shared
}

impl Lock {
    /// The tasks that must act before `waiter` gets the lock.
    pub(super) fn needed(&self, waiter: TaskId) -> impl Iterator<Item = Needed> + '_ {
        let place = self.waiters.iter().position(|(task, _)| *task == waiter);
        let mode = place.map_or(LockMode::Exclusive, |place| self.waiters[place].1);
        let holders = self.holders.iter().filter(move |holder| conflict(holder.mode, mode));
        let ahead = self.waiters[..place.unwrap_or(0)]
            .iter()
            .filter(move |(_, other)| conflict(*other, mode));
        holders
            .map(|holder| Needed { task: holder.task, how: Role::Holds, since: holder.seq })
            // Nothing that a waiter did before it queued belongs to this role, only its wait.
            .chain(ahead.map(|(task, _)| Needed {
                task: *task,
                how: Role::AheadInLine,
                since: u64::MAX,
            }))
    }

    pub(super) fn forget_waiter(&mut self, task: TaskId) {
        self.waiters.retain(|(waiter, _)| *waiter != task);
    }

    pub(super) fn forget_holder(&mut self, task: TaskId) {
        if let Some(place) = self.holders.iter().rposition(|holder| holder.task == task) {
            self.holders.remove(place);
        }
    }
}
