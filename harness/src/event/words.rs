//! The numbers and words that events are made of.
//!
//! Key types: the ids, [`Resource`]. A *resource* is what a task can wait for.

use serde::{Deserialize, Serialize};

use super::Gfp;
use crate::error::Errno;

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
    /// A condition that a task signals: a completion, a wait queue.
    WaitId,
    /// A registered shrinker.
    ShrinkerId,
    /// A failpoint.
    PointId,
    /// A pool of elements kept in reserve.
    PoolId,
    /// Something that is stored and may be lost: a block, a file.
    ItemId,
    /// A part of the stack, as its builder declared it.
    PartId,
}

/// What a task can wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// A lock; its holders must release it.
    Lock(LockId),
    /// A request; its server must complete it.
    Request(RequestId),
    /// A work item; its worker must finish it.
    Work(WorkId),
    /// A task; it must exit.
    Task(TaskId),
    /// A condition; the task that promised to signal it must. Without a promise, that task is not
    /// known.
    Condition(WaitId),
    /// An element of a pool; a task that has one must give it back.
    Pool(PoolId),
    /// Something to do: a server that waits for it is idle, not stuck.
    Idle(QueueId),
    /// Time to pass.
    Timer,
}

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// One holder.
    Exclusive,
    /// One holder, which already holds another lock of the class; this lock is taken as one of this
    /// subclass (`mutex_lock_nested`).
    Nested(u8),
    /// Many holders, none exclusive.
    Shared,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitOutcome {
    /// The resource became available.
    Satisfied,
    /// The time ran out first.
    TimedOut,
    /// The world broke the wait; the waiter saw this error.
    Broken(Errno),
    /// The waiter unwinds: the code that tests what it waits for panicked.
    Abandoned,
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
    /// Forget what the sectors hold.
    Discard,
}

/// The kind of reclaim, which says who runs it and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReclaimKind {
    /// The allocating task itself.
    Direct,
    /// The background reclaimer.
    Kswapd,
    /// The allocating task, because its memory cgroup (memcg) is at its limit.
    Memcg,
    /// The allocating task moves pages together: it calls release hooks, but no shrinker.
    Compaction,
}

/// The pseudo-locks of reclaim, each within the one before: those that an allocation may take, or
/// that reclaim holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Levels {
    /// Reclaim at all.
    pub any: bool,
    /// Reclaim that may start I/O.
    pub io: bool,
    /// Reclaim that may enter a filesystem (`fs_reclaim`).
    pub fs: bool,
}

impl Levels {
    /// Every level.
    pub const ALL: Self = Self { any: true, io: true, fs: true };
}

/// The inputs of a pass over a shrinker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShrinkPass {
    /// Only the memcg's objects.
    pub in_memcg: bool,
    /// Objects that the shrinker says it could free.
    pub freeable: u64,
    /// Objects that earlier passes deferred and that this one took over.
    pub deferred: u64,
    /// Reclaim's priority; 0 is the most it can do.
    pub priority: u32,
    /// Relative cost of bringing an object back; 0 for none.
    pub seeks: u64,
    /// At most twice the cache may be deferred (since 5.13).
    pub bounded: bool,
}

/// A step of a claim about the order in which things are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prime {
    /// The claim begins.
    Begin,
    /// Reclaim with this mask begins, as far as order goes (`fs_reclaim_acquire`).
    Enter(Gfp),
    /// That reclaim ends.
    Leave,
    /// The claim ends.
    End,
}

/// How an allocation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllocOutcome {
    /// Memory was returned.
    Ok,
    /// Memory was returned that is not the world's, so it draws on no reserve.
    Elsewhere,
    /// Nothing was returned.
    Failed,
}

/// Who acts: a task, or the task that serves a request or executes a work item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// This task.
    Task(TaskId),
    /// The task that serves the request; before that, any server of its queue.
    Request(RequestId),
    /// The task that executes the work item; before that, any server of its queue.
    Work(WorkId),
}

/// How many of those that can end a wait must act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Any one of them.
    One,
    /// As many as have this many units together.
    Units(u32),
    /// Every one.
    All,
}

/// What kind of task this is, which decides whether its waiting means anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Part of the test: it is expected to finish.
    Task,
    /// A server: it waits for work until it is told to stop.
    Server,
    /// A server in user space, as of FUSE or nbd: reclaim throttles it as a user task.
    UserServer,
    /// A stand-in for a task of the real kernel, whose events the harness emits.
    Foreign,
}

/// What a request is for, in the submitter's own terms: `block 7` of a buffer cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// What `item` counts: `block`, `page`, `log block`.
    pub what: &'static str,
    /// Which one.
    pub item: u64,
}
