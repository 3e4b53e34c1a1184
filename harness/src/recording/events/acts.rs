//! What one event does by itself: what it begins and ends, what it names, what must be declared.
//!
//! Key items: [`Open`], [`opens`], [`closes`]. `history` keeps the state that they are checked
//! against.

use crate::event::{
    Actor, EventKind, LayerRef, LockId, Names, PoolId, Prime, RequestId, Resource, ScopeKind,
    ShrinkerId, TaskId, WorkId,
};

/// What is wrong with an event; the reader adds the place.
pub(super) type Check = Result<(), String>;

pub(super) fn require(holds: bool, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(what()) }
}

/// What a task is in the middle of. A frame ends where its own event says so, not where its
/// neighbour does, because guards may be dropped in any order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Open {
    Scope(ScopeKind, u32),
    Layer(LayerRef),
    Alloc,
    Reclaim,
    Count(ShrinkerId),
    Scan(ShrinkerId),
    PoolAlloc(PoolId),
    Serving(RequestId),
    Working(WorkId),
    Claim,
}

/// The tasks that an event names beside its own.
pub(super) fn named(kind: EventKind) -> Option<TaskId> {
    match kind {
        EventKind::OomKill { victim } => victim,
        EventKind::ScopeMisuse { owner, .. } => Some(owner),
        EventKind::WaitBegin { resource: Resource::Task(task), .. }
        | EventKind::WaitPassed { resource: Resource::Task(task), .. }
        | EventKind::Promise { by: Actor::Task(task), .. }
        | EventKind::PromiseEnd { by: Actor::Task(task), .. }
        | EventKind::RequestPassed { to: Actor::Task(task), .. } => Some(task),
        _ => None,
    }
}

/// Whether a task that waits for `lock` can do this: get it, end the wait, notice that nothing can
/// go on, or unwind, which closes what it is in the middle of.
pub(super) fn may_follow_in_wait(kind: EventKind, lock: LockId) -> bool {
    match kind {
        EventKind::LockAcquired { lock: acquired, .. } => acquired == lock,
        EventKind::WaitEnd { .. }
        | EventKind::Stall { .. }
        | EventKind::TaskExit
        | EventKind::LockReleased { .. }
        | EventKind::PoolGive { .. }
        | EventKind::PromiseEnd { .. }
        | EventKind::RequestServed { .. }
        | EventKind::RequestComplete { .. }
        | EventKind::ShrinkerUnregistered { .. }
        | EventKind::ScopeMisuse { .. }
        | EventKind::ReclaimRelease { .. } => true,
        kind => closes(kind).is_some(),
    }
}

/// What an event begins.
pub(super) fn opens(kind: EventKind) -> Option<Open> {
    Some(match kind {
        EventKind::ScopeEnter { kind, scope, .. } => Open::Scope(kind, scope),
        EventKind::LayerEnter { layer, .. } => Open::Layer(layer),
        EventKind::AllocBegin { .. } => Open::Alloc,
        EventKind::ReclaimEnter { .. } => Open::Reclaim,
        EventKind::ShrinkCountBegin { shrinker, .. } => Open::Count(shrinker),
        EventKind::ShrinkScanBegin { shrinker, .. } => Open::Scan(shrinker),
        EventKind::PoolAllocBegin { pool, .. } => Open::PoolAlloc(pool),
        EventKind::Prime { step: Prime::Begin } => Open::Claim,
        _ => return None,
    })
}

/// What an event ends.
pub(super) fn closes(kind: EventKind) -> Option<Open> {
    Some(match kind {
        EventKind::ScopeExit { kind, scope } => Open::Scope(kind, scope),
        EventKind::LayerExit { layer } => Open::Layer(layer),
        EventKind::AllocEnd { .. } => Open::Alloc,
        EventKind::ReclaimExit { .. } => Open::Reclaim,
        EventKind::ShrinkCountEnd { shrinker, .. } => Open::Count(shrinker),
        EventKind::ShrinkScanEnd { shrinker, .. } => Open::Scan(shrinker),
        EventKind::PoolAllocEnd { pool, .. } => Open::PoolAlloc(pool),
        EventKind::Prime { step: Prime::End } => Open::Claim,
        _ => return None,
    })
}

/// Whether what the event is about was declared. Tasks are known by their spawn, requests have no
/// names, and a layer is known by its kind.
pub(super) fn declared(kind: EventKind, names: &Names) -> Check {
    let (sort, id, count) = match kind {
        EventKind::LockAttempt { lock, .. }
        | EventKind::LockAcquired { lock, .. }
        | EventKind::LockReleased { lock }
        | EventKind::LockHandOver { lock, .. }
        | EventKind::WaitPassed { resource: Resource::Lock(lock), .. }
        | EventKind::WaitBegin { resource: Resource::Lock(lock), .. } => {
            ("lock", lock.0, names.locks.len())
        }
        EventKind::WaitBegin { resource: Resource::Condition(id), .. }
        | EventKind::WaitPassed { resource: Resource::Condition(id), .. }
        | EventKind::WaitNeeds { condition: id, .. }
        | EventKind::Signal { condition: id }
        | EventKind::WaitAgain { condition: id }
        | EventKind::Promise { condition: id, .. } => ("condition", id.0, names.conditions.len()),
        EventKind::WaitBegin { resource: Resource::Pool(pool), .. }
        | EventKind::WaitPassed { resource: Resource::Pool(pool), .. }
        | EventKind::PoolAllocBegin { pool, .. }
        | EventKind::PoolTake { pool, .. } => ("pool", pool.0, names.pools.len()),
        EventKind::WaitBegin { resource: Resource::Idle(queue), .. }
        | EventKind::WaitPassed { resource: Resource::Idle(queue), .. }
        | EventKind::QueueServer { queue }
        | EventKind::WorkQueueMade { queue, .. }
        | EventKind::RequestSubmit { queue, .. }
        | EventKind::WorkQueued { queue, .. } => ("queue", queue.0, names.queues.len()),
        EventKind::ShrinkerRegistered { shrinker, .. }
        | EventKind::ShrinkCountBegin { shrinker, .. }
        | EventKind::ShrinkScanBegin { shrinker, .. }
        | EventKind::ShrinkPassBegin { shrinker, .. } => {
            ("shrinker", shrinker.0, names.shrinkers.len())
        }
        EventKind::PointReached { point, .. } => ("point", point.0, names.points.len()),
        EventKind::Acknowledged { item, .. } | EventKind::Recovered { item, .. } => {
            ("item", item.0, names.items.len())
        }
        _ => return Ok(()),
    };
    require((id as usize) < count, || format!("{sort} {id} is used before it is declared"))
}
