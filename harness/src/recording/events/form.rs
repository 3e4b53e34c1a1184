//! The table of event kinds, and their forms.
//!
//! Key type: [`Form`]. The table has one row for each kind of [`EventKind`]; writer and reader are
//! generated from it, and a kind without a row does not compile. A kind's word is its name in
//! kebab-case.

use serde::{Deserialize, Serialize};

use super::coded::Coded;
use super::declared::{Declared, Numbers};
use crate::error::{Errno, Result};
use crate::event::{
    Actor, AllocOutcome, Entered, EventKind, Fact, Gfp, ItemId, LayerRef, Levels, LockId, LockMode,
    Misuse, Needs, Op, Origin, PointId, PoolId, Prime, QueueId, ReclaimKind, ReclaimTarget,
    RequestId, Resource, ScopeKind, ShrinkPass, ShrinkerId, Site, TaskFlags, TaskId, TaskKind,
    WaitId, WaitOutcome, WorkId,
};
use crate::units::{Pages, Sectors};

macro_rules! forms {
    ($($kind:ident { $($field:ident: $ty:ty),* };)*) => {
        /// The form of an event's kind.
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
        pub(super) enum Form {
            $($kind { $($field: <$ty as Coded>::Form),* },)*
        }

        impl Form {
            /// The form of `kind`; what it needs declared is then pending in `numbers`.
            pub(super) fn of(kind: EventKind, numbers: &mut Numbers) -> Self {
                match kind {
                    $(EventKind::$kind { $($field),* } => {
                        Self::$kind { $($field: Coded::encode($field, numbers)),* }
                    })*
                }
            }

            /// The kind whose form this is.
            pub(super) fn kind(self, declared: &mut Declared) -> Result<EventKind> {
                Ok(match self {
                    $(Self::$kind { $($field),* } => {
                        EventKind::$kind { $($field: Coded::decode($field, declared)?),* }
                    })*
                })
            }
        }

        /// Every kind, by name.
        #[cfg(test)]
        pub(super) const KINDS: &[&str] = &[$(stringify!($kind)),*];
    };
}

forms! {
TaskSpawn { parent: TaskId, kind: TaskKind };
TaskExit {};
ScopeEnter { kind: ScopeKind, scope: u32, site: Site, how: Entered };
ScopeExit { kind: ScopeKind, scope: u32 };
ScopeMisuse { what: Misuse, kind: ScopeKind, owner: TaskId, scope: u32, site: Site };
LayerEnter { layer: LayerRef, site: Site };
LayerExit { layer: LayerRef };
AllocBegin { order: u32, requested: Gfp, effective: Gfp, flags: TaskFlags, site: Site };
AllocEnd { outcome: AllocOutcome, left: Pages };
Watermarks { min: Pages, low: Pages, high: Pages };
ScopesJoined {};
AllocConstrained { mask: Gfp };
OutOfMemory {};
OomKill { victim: Option<TaskId> };
ReclaimEnter { kind: ReclaimKind, mask: Gfp };
ReclaimExit { freed: u64, priority: u32 };
ReclaimAcquire { levels: Levels };
ReclaimRelease { levels: Levels };
ShrinkCountBegin { shrinker: ShrinkerId, mask: Gfp };
ShrinkCountEnd { shrinker: ShrinkerId, count: u64 };
ShrinkScanBegin { shrinker: ShrinkerId, mask: Gfp, nr_to_scan: u64 };
ShrinkScanEnd { shrinker: ShrinkerId, freed: Option<u64>, scanned: u64, deferred: bool };
ShrinkPassBegin { shrinker: ShrinkerId, pass: ShrinkPass };
ShrinkPassEnd { shrinker: ShrinkerId, in_memcg: bool, left: u64, owed: u64 };
ShrinkerPanicked { shrinker: ShrinkerId };
PoolAllocBegin { pool: PoolId, mask: Gfp, keeps: u32, site: Site };
PoolAllocEnd { pool: PoolId, got: Option<bool> };
PoolTake { pool: PoolId, site: Option<Site> };
PoolGive { pool: PoolId };
PoolHandOver { pool: PoolId, request: RequestId };
Promise { condition: WaitId, by: Actor, units: u32, site: Option<Site> };
PromiseEnd { condition: WaitId, by: Actor };
Signal { condition: WaitId };
WaitAgain { condition: WaitId };
WaitNeeds { condition: WaitId, needs: Needs };
WaitPassed { resource: Resource, site: Site };
ShrinkerRegistered { shrinker: ShrinkerId, site: Site };
ShrinkerUnregistered { shrinker: ShrinkerId };
Acknowledged { item: ItemId, version: u64, site: Site };
Recovered { item: ItemId, version: u64 };
Declared { fact: Fact };
PolicyMask { target: ReclaimTarget, mask: Gfp };
WorldEnd {};
Prime { step: Prime };
LockAttempt { lock: LockId, mode: LockMode, try_lock: bool, site: Site };
LockAcquired { lock: LockId, mode: LockMode, site: Site };
LockReleased { lock: LockId };
LockHandOver { lock: LockId, request: RequestId };
WaitBegin { resource: Resource, why: &'static str, breakable: bool, site: Site };
WaitEnd { resource: Resource, outcome: WaitOutcome };
QueueServer { queue: QueueId };
RequestSubmit {
    request: RequestId, queue: QueueId, op: Op, sector: Sectors, sectors: Sectors,
    origin: Option<Origin>, site: Site
};
RequestServe { request: RequestId };
RequestPassed { request: RequestId, to: Actor };
RequestServed { request: RequestId };
RequestComplete { request: RequestId, error: Option<Errno> };
WorkQueueMade { queue: QueueId, mem_reclaim: bool };
WorkQueued { work: WorkId, queue: QueueId };
WorkBegin { work: WorkId };
WorkEnd { work: WorkId };
PointReached { point: PointId, fired: bool };
Stall { step_budget: bool };}
