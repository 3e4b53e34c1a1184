//! Waits: what a task waits for, and which tasks must act before the wait ends.
//!
//! Key types: [`Wait`], [`Needed`]. A lock needs all its conflicting holders and all conflicting
//! waiters ahead in line, because rwsems are writer-fair. A request or work item that no task has
//! taken yet needs any one server of its queue. A busy server counts with what it does now, because
//! the queue is a FIFO. A condition needs as many of those that promised as its waiter says.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::{
    Actor, LayerRef, LockMode, Needs, Op, Origin, QueueId, RequestId, Resource, Site, TaskId,
};
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
    /// Of a wait for a condition: how many of those that promised must act.
    pub needs: Needs,
}

impl Wait {
    /// Whether some task must act before the wait ends.
    #[must_use]
    pub const fn needs_a_task(&self) -> bool {
        !self.signalled && !matches!(self.resource, Resource::Idle(_) | Resource::Timer)
    }
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
    /// What the task serves in that role, where that is not what is waited for: the request or the
    /// work item that promised, has the element, or carries the request.
    pub through: Option<Actor>,
    /// Tasks of one supplier have one number, and one of them is enough.
    pub supplier: u32,
    /// The units of the condition that the supplier brings.
    pub units: u32,
}

impl Needed {
    /// A task that is a supplier of its own.
    pub(in crate::witness) const fn new(task: TaskId, how: Role, since: u64) -> Self {
        Self { task, how, since, through: None, supplier: 0, units: 1 }
    }
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
    /// In flight below. Only what it was passed down to is known to act on it.
    Below,
}

/// A page that reclaim writes to a swap area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageOut {
    /// The layer of the area.
    pub layer: LayerRef,
    /// Where it was entered.
    pub site: Option<Site>,
    /// Where the allocation is whose reclaim writes the page; none for kswapd.
    pub allocation: Option<Site>,
    /// The event that entered the layer.
    pub seq: u64,
    /// When.
    pub time: Nanos,
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
    /// The page-out that the submitter was in the middle of.
    pub page_out: Option<PageOut>,
    /// The event that submitted it.
    pub seq: u64,
    /// When.
    pub time: Nanos,
    /// How far it is.
    pub progress: Progress,
    /// Who carries it, if the task that served it passed it down.
    pub passed: Option<Actor>,
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

/// An element that a task has to give back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::witness) struct Owed {
    pub(in crate::witness) task: TaskId,
    /// Where it took the element.
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

impl ElementHolder {
    /// Whether it is this task.
    pub(super) fn is(&self, id: TaskId) -> bool {
        matches!(self, Self::Task(owed) if owed.task == id)
    }
}

/// A lock's holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    pub(super) task: TaskId,
    pub(super) mode: LockMode,
    pub(super) seq: u64,
}

/// A task in the line for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiter {
    pub(super) task: TaskId,
    pub(super) mode: LockMode,
    pub(super) seq: u64,
}

/// A lock's holders and its waiters in order.
///
/// # Invariants
///
/// Both lists are in the order of the events that began them, so an entry is found by its event
/// without a look at the others: lines have thousands of tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Lock {
    pub(super) holders: VecDeque<Holder>,
    pub(super) waiters: VecDeque<Waiter>,
}

/// Whether a holder or waiter in mode `a` blocks one in mode `b`.
pub(super) fn conflict(a: LockMode, b: LockMode) -> bool {
    a != LockMode::Shared || b != LockMode::Shared
}

impl Lock {
    /// The tasks that must act before `waiter`, which began to wait at event `seq`, gets the lock.
    pub(super) fn needed(&self, waiter: TaskId, seq: u64) -> impl Iterator<Item = Needed> + '_ {
        let place = self.place(waiter, seq);
        let mode = place.map_or(LockMode::Exclusive, |place| self.waiters[place].mode);
        let holders = self.holders.iter().filter(move |holder| conflict(holder.mode, mode));
        let ahead = self.waiters.range(..place.unwrap_or(0));
        let ahead = ahead.filter(move |other| conflict(other.mode, mode));
        holders
            .map(|holder| Needed::new(holder.task, Role::Holds, holder.seq))
            // Nothing that a waiter did before it queued belongs to this role, only its wait.
            .chain(ahead.map(|other| Needed::new(other.task, Role::AheadInLine, u64::MAX)))
    }

    /// The place in line of `task`, which began to wait at event `seq`.
    pub(super) fn place(&self, task: TaskId, seq: u64) -> Option<usize> {
        let place = self.waiters.binary_search_by_key(&seq, |waiter| waiter.seq).ok()?;
        (self.waiters[place].task == task).then_some(place)
    }

    /// Ends the wait of `task` that began at event `seq`.
    pub(super) fn forget_waiter(&mut self, task: TaskId, seq: u64) {
        if let Some(place) = self.place(task, seq) {
            self.waiters.remove(place);
        }
    }

    /// Ends the hold that event `seq` gave to `task`.
    pub(super) fn forget_holder(&mut self, task: TaskId, seq: u64) {
        if let Ok(place) = self.holders.binary_search_by_key(&seq, |holder| holder.seq)
            && self.holders[place].task == task
        {
            self.holders.remove(place);
        }
    }
}
