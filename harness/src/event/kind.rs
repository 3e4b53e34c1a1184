//! `EventKind`: everything that can happen in a world; `words` has the types of its fields.

use super::{
    Actor, AllocOutcome, Entered, Fact, Gfp, ItemId, LayerRef, Levels, LockId, LockMode, Misuse,
    Needs, Op, Origin, PointId, PoolId, QueueId, ReclaimKind, ReclaimTarget, RequestId, Resource,
    ScopeKind, ShrinkPass, ShrinkerId, Site, TaskFlags, TaskId, TaskKind, WaitId, WaitOutcome,
    WorkId,
};
use crate::{error::Errno, units::Pages, units::Sectors};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "a variant with one number is about the thing of that number")]
pub enum EventKind {
    /// A task was spawned.
    TaskSpawn {
        /// The task that spawned it.
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
        /// How it was entered: held, for life, inherited, on behalf of another task.
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
        layer: LayerRef,
        /// Where.
        site: Site,
    },
    /// The task left a layer.
    LayerExit { layer: LayerRef },
    /// An allocation began.
    AllocBegin {
        /// Pages as a power of two.
        order: u32,
        /// The mask the caller wrote.
        requested: Gfp,
        /// The mask after the task's scopes.
        effective: Gfp,
        /// The task's flag word, from which the one follows from the other.
        flags: TaskFlags,
        /// Where.
        site: Site,
    },
    /// The allocation ended.
    AllocEnd {
        /// How.
        outcome: AllocOutcome,
        /// Pages that were free right after.
        left: Pages,
    },
    /// The watermarks of the world's memory, emitted once before its first allocation.
    Watermarks {
        /// The ordinary request stops here.
        min: Pages,
        /// kswapd is woken here.
        low: Pages,
        /// kswapd stops here.
        high: Pages,
    },
    /// Under the policy a NOFS scope removes I/O too; emitted once, before the first allocation.
    ScopesJoined,
    /// The task's next allocation is limited to this mask (`gfp_allowed_mask`).
    AllocConstrained {
        /// The rest of its request, before scopes.
        mask: Gfp,
    },
    /// The last attempt failed: the OOM killer is next, and NOFAIL may use every reserve.
    OutOfMemory,
    /// The OOM killer ran.
    OomKill {
        /// The task that it chose; none where no task could be killed.
        victim: Option<TaskId>,
    },
    /// The task became a reclaimer.
    ReclaimEnter {
        /// Why it reclaims.
        kind: ReclaimKind,
        /// What reclaim may do.
        mask: Gfp,
    },
    /// Reclaim ended.
    ReclaimExit {
        /// Objects and pages that it claims to have freed.
        freed: u64,
        /// The priority that it reached; 0 is the most it can do.
        priority: u32,
    },
    /// The task takes the pseudo-locks of reclaim until its reclaim ends (`fs_reclaim_acquire`).
    ReclaimAcquire {
        /// Which, as its mask and flags are now.
        levels: Levels,
    },
    /// It gives them up (`fs_reclaim_release`).
    ReclaimRelease {
        /// Which, as its mask and flags are now.
        levels: Levels,
    },
    /// A shrinker is asked how much it could free.
    ShrinkCountBegin {
        shrinker: ShrinkerId,
        /// The mask of the reclaim; the answer must not depend on it.
        mask: Gfp,
    },
    /// The shrinker answered.
    ShrinkCountEnd {
        shrinker: ShrinkerId,
        /// Its answer.
        count: u64,
    },
    /// A shrinker's scan is called.
    ShrinkScanBegin {
        shrinker: ShrinkerId,
        /// What it may do.
        mask: Gfp,
        /// How many objects to look at.
        nr_to_scan: u64,
    },
    /// The shrinker returned.
    ShrinkScanEnd {
        shrinker: ShrinkerId,
        /// Objects freed, or none for SHRINK_STOP.
        freed: Option<u64>,
        /// Objects that it looked at.
        scanned: u64,
        /// It announced that it leaves the freeing to another task.
        deferred: bool,
    },
    /// A pass over a shrinker that has something to free begins; it took what was deferred.
    ShrinkPassBegin {
        shrinker: ShrinkerId,
        /// The inputs of its arithmetic.
        pass: ShrinkPass,
    },
    /// The pass ended.
    ShrinkPassEnd {
        shrinker: ShrinkerId,
        /// Only the memcg's objects.
        in_memcg: bool,
        /// Objects that this pass defers.
        left: u64,
        /// All that is deferred now.
        owed: u64,
    },
    /// A shrinker panicked; it is not called again.
    ShrinkerPanicked { shrinker: ShrinkerId },
    /// The task wants an element of a pool.
    PoolAllocBegin {
        pool: PoolId,
        /// The mask the caller wrote.
        mask: Gfp,
        /// Elements that the pool keeps in reserve.
        keeps: u32,
        /// Where.
        site: Site,
    },
    /// The task has an element, or gave up.
    PoolAllocEnd {
        pool: PoolId,
        /// Whether it has one; none where the task unwinds.
        got: Option<bool>,
    },
    /// The task took an element of a pool, from its reserve or from memory.
    PoolTake {
        pool: PoolId,
        /// Where it was asked for; none where a recording does not say.
        site: Option<Site>,
    },
    /// The task gave an element back.
    PoolGive { pool: PoolId },
    /// The task wants a lock.
    LockAttempt {
        lock: LockId,
        /// How.
        mode: LockMode,
        /// Whether it fails rather than waits.
        try_lock: bool,
        /// Where.
        site: Site,
    },
    /// The task has the lock.
    LockAcquired {
        lock: LockId,
        /// How.
        mode: LockMode,
        /// Where it was asked for.
        site: Site,
    },
    /// The task gave the lock up.
    LockReleased { lock: LockId },
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
    QueueServer { queue: QueueId },
    /// The task submitted a request.
    RequestSubmit {
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
    RequestServe { request: RequestId },
    /// The task passed the request down. Once the task no longer serves it, a wait for it needs
    /// whoever acts for `to`.
    RequestPassed {
        request: RequestId,
        /// Who carries it: usually a request below, or a work item.
        to: Actor,
    },
    /// The task no longer serves the request; it may still be in flight below.
    RequestServed { request: RequestId },
    /// A request is complete.
    RequestComplete {
        request: RequestId,
        /// Its error, if it failed.
        error: Option<Errno>,
    },
    /// A work queue was made.
    WorkQueueMade {
        queue: QueueId,
        /// Reclaim may wait for it: it makes progress without memory (`WQ_MEM_RECLAIM`).
        mem_reclaim: bool,
    },
    /// A work item was queued.
    WorkQueued {
        work: WorkId,
        /// Where it waits.
        queue: QueueId,
    },
    /// The task began to execute a work item.
    WorkBegin { work: WorkId },
    /// The task finished the work item.
    WorkEnd { work: WorkId },
    /// A claim about order: what the task does in it counts as claimed, not as seen.
    Prime {
        /// Which step of it.
        step: super::Prime,
    },
    /// A failpoint was passed.
    PointReached {
        point: PointId,
        /// Whether it did something.
        fired: bool,
    },
    /// The request carries an element of a pool, which its completion gives back.
    PoolHandOver {
        pool: PoolId,
        /// To which request.
        request: RequestId,
    },
    /// From now on the request holds the lock, which the task has just released: its completion
    /// releases it.
    LockHandOver {
        /// Which lock.
        lock: LockId,
        /// To which request.
        request: RequestId,
    },
    /// A promise to signal a condition; only those that promised need to.
    Promise {
        condition: WaitId,
        /// Who promises. A request or a work item can be promised for before it is submitted or
        /// queued; its end ends the promise.
        by: Actor,
        /// How many units the signal brings.
        units: u32,
        /// Where; none where a recording does not say.
        site: Option<Site>,
    },
    /// The last promise that this one made of the condition ended without a signal.
    PromiseEnd {
        condition: WaitId,
        /// Who promised.
        by: Actor,
    },
    /// The task signalled the condition: every promise that the task itself made of it is kept,
    /// and every task that waits for it tests it again.
    Signal { condition: WaitId },
    /// The task tested the condition after a signal, and waits on.
    WaitAgain { condition: WaitId },
    /// The task needs this much of those that promised: in the wait for the condition that is open,
    /// or else in the one that it begins next. A wait of which no event says so needs one of them.
    WaitNeeds {
        condition: WaitId,
        /// How many must act.
        needs: Needs,
    },
    /// The task came to a wait that was over before it began. Only in runs that ask for it.
    WaitPassed {
        /// For what it would have waited.
        resource: Resource,
        /// Where.
        site: Site,
    },
    /// A shrinker was registered.
    ShrinkerRegistered {
        /// Which.
        shrinker: ShrinkerId,
        /// Where.
        site: Site,
    },
    /// The shrinker was unregistered.
    ShrinkerUnregistered {
        /// Which.
        shrinker: ShrinkerId,
    },
    /// This version of an item was acknowledged as durable.
    Acknowledged {
        /// Which item.
        item: ItemId,
        /// Which version: later ones are larger.
        version: u64,
        /// Where.
        site: Site,
    },
    /// After a crash, this version of an item was found; 0 for none.
    Recovered {
        /// Which item.
        item: ItemId,
        /// Which version.
        version: u64,
    },
    /// The builder of the stack declares a fact about it.
    Declared {
        /// The fact, which holds from now on.
        fact: Fact,
    },
    /// The policy's decision on a target, for the allocation that the task begins next.
    PolicyMask {
        /// The target.
        target: ReclaimTarget,
        /// What reclaim may do there.
        mask: Gfp,
    },
    /// The world ended and its stack was taken down.
    WorldEnd,
    /// Nothing can go on: every task waits and no timer is pending, or the step budget is spent.
    Stall {
        /// Whether the step budget ended the run.
        step_budget: bool,
    },
}
