//! `Finding`: one thing that is wrong, and every step of the way to it.
//!
//! Key types: [`Finding`], [`Step`], [`StepKind`]. Numbers and sites only; `report` turns them into
//! words with the world's names.

use crate::event::{
    Actor, ItemId, LayerRef, LockId, LockMode, Misuse, Needs, PoolId, RequestId, Resource,
    ScopeKind, ShrinkerId, Site, TaskId, WaitId, WorkId,
};
use crate::units::Nanos;
use crate::witness::{Breach, Code, Cycle, FrameKind, RequestFacts, Restriction, Role, WorkItem};

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// The event at which it was found.
    pub seq: u64,
    /// When that was.
    pub time: Nanos,
    /// The tasks in it, in the order of the chain.
    pub tasks: Vec<TaskId>,
    /// Every step, task by task.
    pub chain: Vec<Step>,
    /// Tasks of the cycle whose wait the world may break.
    pub breakable: Vec<TaskId>,
    /// What each task of the cycle waits for, in order; then the other servers of a queue in it.
    pub cycle: Vec<(TaskId, Resource)>,
    /// The requests that the chain names.
    pub requests: Vec<(RequestId, RequestFacts)>,
    /// The work items that the chain names.
    pub works: Vec<(WorkId, WorkItem)>,
    /// The cycle of an order that cannot be kept (RD03).
    pub order: Option<Box<Cycle>>,
}

/// One step of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The task that the step belongs to.
    pub task: TaskId,
    /// What the task did or is in the middle of.
    pub what: StepKind,
    /// Where, if the event has a source line.
    pub site: Option<Site>,
    /// When.
    pub time: Nanos,
    /// The event that began it.
    pub seq: u64,
    /// What forbids this step, if it is an entry that should not have been.
    pub forbidden: Option<Restriction>,
}

/// What a broken rule is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// A shrinker.
    Shrinker(ShrinkerId),
    /// A lock.
    Lock(LockId),
    /// A pool.
    Pool(PoolId),
    /// A request.
    Request(RequestId),
    /// A work item.
    Work(WorkId),
    /// Something that is stored.
    Item(ItemId),
    /// A scope of the task.
    Scope {
        /// What it forbids.
        kind: ScopeKind,
        /// Which of the task.
        scope: u32,
    },
}

/// What a step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// The task is in the middle of this.
    Frame(FrameKind),
    /// The task holds a lock.
    Holds {
        /// Which.
        lock: LockId,
        /// How.
        mode: LockMode,
    },
    /// The task has an element of a pool.
    HasElement {
        /// Which pool.
        pool: PoolId,
    },
    /// The task promised to signal a condition.
    Promised {
        /// Which.
        condition: WaitId,
        /// The task, or the request or work item that it serves.
        by: Actor,
        /// The units that the signal brings.
        units: u32,
    },
    /// The task wrote a page to a swap area, and has left that layer since.
    PagedOut {
        /// The layer of the area.
        layer: LayerRef,
        /// Where the allocation is whose reclaim wrote the page; none for kswapd.
        allocation: Option<Site>,
    },
    /// The task submitted a request.
    Submitted {
        /// Which.
        request: RequestId,
    },
    /// The task waits.
    Wait {
        /// For what.
        resource: Resource,
        /// A short description from the code that waits.
        why: &'static str,
        /// Whether the world may break the wait.
        breakable: bool,
        /// Of a wait for a condition: how many of those that promised must act.
        needs: Needs,
    },
    /// The task does not wait.
    Running,
    /// A scope was used wrongly here.
    Misused {
        /// What is wrong.
        what: Misuse,
        /// What the scope forbids.
        kind: ScopeKind,
        /// Whose scope it is.
        owner: TaskId,
        /// Which scope of that task; 0 where it is not known.
        scope: u32,
    },
    /// A rule between allocator, reclaimer and shrinker was broken here.
    Broke {
        /// Which.
        breach: Breach,
        /// What the rule was broken for, if more than the task.
        subject: Option<Subject>,
    },
    /// One edge of the order's cycle.
    Ordered {
        /// Its place in the cycle.
        edge: u32,
    },
    /// The edge to the next task: the wait before this step needs it.
    Needs {
        /// What is waited for.
        resource: Resource,
        /// The task that must act.
        on: TaskId,
        /// In what role.
        how: Role,
        /// Only steps of that task after this event belong to the role.
        since: u64,
        /// The request or work item through which it must act, where that is not what is waited
        /// for.
        through: Option<Actor>,
        /// The units of the condition that it brings.
        units: u32,
    },
    /// Another task that the same wait needs: the one before is not enough, or all of them are
    /// stuck where one would be.
    AlsoNeeds {
        /// What is waited for.
        resource: Resource,
        /// The task that must act.
        on: TaskId,
        /// In what role.
        how: Role,
        /// As in [`StepKind::Needs`].
        through: Option<Actor>,
        /// The units of the condition that it brings.
        units: u32,
    },
}
