//! Everything observable, as plain data; the one thing that both columns know.
//!
//! Key types: [`Event`], [`EventKind`], [`Resource`], [`Names`], [`Observer`]. The simulated kernel
//! emits events through [`crate::sched::Sched::emit`]; judges read them. Events are `Copy` and carry
//! numbers; [`Names`] says what the numbers are called; a [`Trace`] is the list of choices that made
//! the run. Nothing here holds an address.
//!
//! A *resource* is what a task can wait for. Who must act before the wait ends follows from the
//! events alone: a lock's holders from acquire and release, a request's server from
//! [`EventKind::RequestServe`] or, before it is served, from the servers of its queue, a work item's
//! worker likewise.

use serde::{Deserialize, Serialize};

mod names;
mod trace;

pub use names::{LockName, Names};
pub use trace::{Choice, Trace};

pub use reclaimdep_scope::{Entered, Gfp, Layer, LayerRef, Misuse, ScopeKind, ScopeRef, Site};

use crate::error::Errno;
use crate::units::{Nanos, Sectors};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);
    )*};
}

ids! {
    /// A task of the world; 0 is the one that runs the test's closure.
    TaskId,
    /// A lock instance.
    LockId,
    /// A queue that requests or work items wait in for a server: a device, a work queue.
    QueueId,
    /// One I/O.
    RequestId,
    /// A work item.
    WorkId,
    /// A condition that somebody signals: a completion, a wait queue.
    WaitId,
    /// A registered shrinker.
    ShrinkerId,
    /// A failpoint.
    PointId,
}

/// What a task can wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// A lock; its holders must release it.
    Lock(LockId),
    /// A request; its server must complete it.
    Request(RequestId),
    /// A work item; its worker must finish it.
    Work(WorkId),
    /// A task; it must exit.
    Task(TaskId),
    /// A condition whose signaller is not known.
    Condition(WaitId),
    /// Something to do: a server that waits for it is idle, not stuck.
    Idle(QueueId),
    /// Time to pass.
    Timer,
}

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockMode {
    /// One holder.
    Exclusive,
    /// Many holders, none exclusive.
    Shared,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitOutcome {
    /// The resource came.
    Satisfied,
    /// The time ran out first.
    TimedOut,
    /// The world broke the wait; the waiter saw this error.
    Broken(Errno),
}

/// What a request asks of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Read sectors.
    Read,
    /// Write sectors.
    Write,
    /// Make what was written durable.
    Flush,
}

/// Who runs reclaim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReclaimKind {
    /// The allocating task itself.
    Direct,
    /// The background reclaimer.
    Kswapd,
}

/// How an allocation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocOutcome {
    /// Memory was returned.
    Ok,
    /// Nothing was returned.
    Failed,
}

/// What kind of task this is, which decides whether its waiting means anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskKind {
    /// Part of the test: it is expected to finish.
    Task,
    /// A server: it waits for work until it is told to stop.
    Server,
    /// A stand-in for a task of the real kernel, which the harness speaks for.
    Foreign,
}

/// Who asked for a request, in the submitter's own terms: `block 7` of a buffer cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// What `item` counts: `block`, `page`, `log block`.
    pub what: &'static str,
    /// Which one.
    pub item: u64,
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Position in the world's history, from 0.
    pub seq: u64,
    /// When.
    pub time: Nanos,
    /// On which task, or on whose behalf.
    pub task: TaskId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A task came to be; `parent` made it.
    TaskSpawn {
        /// The maker.
        parent: TaskId,
        /// Its role.
        kind: TaskKind,
    },
    /// The task ended.
    TaskExit,
    /// The task entered its `scope`-th scope.
    ScopeEnter {
        /// What the scope forbids.
        kind: ScopeKind,
        /// Which scope of this task.
        scope: u32,
        /// Where.
        site: Site,
        /// How it came to be: held, for life, inherited, on behalf of another task.
        how: Entered,
    },
    /// The task left a scope.
    ScopeExit {
        /// What the scope forbade.
        kind: ScopeKind,
        /// Which scope of this task.
        scope: u32,
    },
    /// The task used a scope wrongly.
    ScopeMisuse {
        /// What is wrong.
        what: Misuse,
        /// What the scope forbids.
        kind: ScopeKind,
        /// Whose scope it is.
        owner: TaskId,
        /// Which scope of that task; 0 where it is not known.
        scope: u32,
        /// Where it was entered, or used.
        site: Site,
    },
    /// The task entered a layer.
    LayerEnter {
        /// Which.
        layer: LayerRef,
        /// Where.
        site: Site,
    },
    /// The task left a layer.
    LayerExit {
        /// Which.
        layer: LayerRef,
    },
    /// An allocation began.
    AllocBegin {
        /// Pages as a power of two.
        order: u32,
        /// The mask the caller wrote.
        requested: Gfp,
        /// The mask after the task's scopes.
        effective: Gfp,
        /// Where.
        site: Site,
    },
    /// The allocation ended.
    AllocEnd {
        /// How.
        outcome: AllocOutcome,
    },
    /// The task became a reclaimer.
    ReclaimEnter {
        /// Who it reclaims for.
        kind: ReclaimKind,
        /// What reclaim may do.
        mask: Gfp,
    },
    /// Reclaim ended.
    ReclaimExit {
        /// Objects and pages it says it freed.
        freed: u64,
    },
    /// A shrinker was asked how much it could free.
    ShrinkCount {
        /// Which shrinker.
        shrinker: ShrinkerId,
        /// Its answer.
        count: u64,
    },
    /// A shrinker was told to free.
    ShrinkScanBegin {
        /// Which shrinker.
        shrinker: ShrinkerId,
        /// What it may do.
        mask: Gfp,
        /// How many objects to look at.
        nr_to_scan: u64,
    },
    /// The shrinker returned.
    ShrinkScanEnd {
        /// Which shrinker.
        shrinker: ShrinkerId,
        /// Objects freed, or none for SHRINK_STOP.
        freed: Option<u64>,
    },
    /// The task wants a lock.
    LockAttempt {
        /// Which.
        lock: LockId,
        /// How.
        mode: LockMode,
        /// It will not wait.
        try_lock: bool,
        /// Where.
        site: Site,
    },
    /// The task has the lock.
    LockAcquired {
        /// Which.
        lock: LockId,
        /// How.
        mode: LockMode,
        /// Where it was asked for.
        site: Site,
    },
    /// The task gave the lock up.
    LockReleased {
        /// Which.
        lock: LockId,
    },
    /// The task starts to wait.
    WaitBegin {
        /// For what.
        resource: Resource,
        /// In the waiter's terms: `buffer WRITING`, `mutex`.
        why: &'static str,
        /// Whether the world may end the wait with an error.
        breakable: bool,
        /// Where.
        site: Site,
    },
    /// The wait is over.
    WaitEnd {
        /// For what it was.
        resource: Resource,
        /// How it ended.
        outcome: WaitOutcome,
    },
    /// This task serves a queue from now on.
    QueueServer {
        /// Which.
        queue: QueueId,
    },
    /// The task submitted a request.
    RequestSubmit {
        /// Which.
        request: RequestId,
        /// To which device's queue.
        queue: QueueId,
        /// What it asks.
        op: Op,
        /// First sector.
        sector: Sectors,
        /// How many.
        sectors: Sectors,
        /// In the submitter's terms.
        origin: Option<Origin>,
        /// Where.
        site: Site,
    },
    /// The task began to serve a request.
    RequestServe {
        /// Which.
        request: RequestId,
    },
    /// The task no longer serves the request; it may still be in flight below.
    RequestServed {
        /// Which.
        request: RequestId,
    },
    /// A request is complete.
    RequestComplete {
        /// Which.
        request: RequestId,
        /// Its error, if it failed.
        error: Option<Errno>,
    },
    /// A work item was queued.
    WorkQueued {
        /// Which.
        work: WorkId,
        /// Where it waits.
        queue: QueueId,
    },
    /// The task began to execute a work item.
    WorkBegin {
        /// Which.
        work: WorkId,
    },
    /// The task finished the work item.
    WorkEnd {
        /// Which.
        work: WorkId,
    },
    /// A failpoint was passed.
    PointReached {
        /// Which.
        point: PointId,
        /// Whether it did something.
        fired: bool,
    },
    /// Nothing can go on: every task waits and no timer is pending, or the step budget is spent.
    Stall {
        /// Whether it is the budget that ended the run.
        step_budget: bool,
    },
}

/// What the world asks the scheduler to do after an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// Go on.
    Go,
    /// End this task's breakable wait with `EDEADLK`.
    Break(TaskId),
    /// Nothing can go on: unwind every task.
    Abort,
}

/// Whoever hears every event of a world, in order.
pub trait Observer: Send {
    /// Called once for each event, under the world's event lock: it must not call back.
    fn observe(&mut self, event: &Event, names: &Names) -> Reaction;
}
