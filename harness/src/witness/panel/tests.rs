//! All judges together: what is kept, what is returned, and that any events at all are judged and
//! described without a panic.

use super::*;
use crate::error::Errno;
use crate::event::{
    Actor, AllocOutcome, Entered, EventKind, Fact, Gfp, ItemId, Layer, LayerRef, Levels, LockId,
    LockMode, MayWait, Misuse, Needs, Op, PartId, PartKind, PointId, PoolId, Prime, QueueId,
    ReclaimKind, ReclaimTarget, RequestId, Resource, ScopeKind, ScopeRef, ShrinkPass, ShrinkerId,
    Site, TaskFlags, TaskId, TaskKind, WaitId, WaitOutcome, WorkId,
};
use crate::report::{Report, describe};
use crate::sched::SplitMix64;
use crate::units::{Nanos, Pages, Sectors};
use crate::witness::StepKind;
use crate::witness::script::{Script, promise};

const EVENTS: u64 = 20_000;

/// The judge of order, for which the cycles of the class view alone are findings.
fn class_view() -> JudgeOptions {
    JudgeOptions { order: Some(OrderGraph::default()), class_view: true, ..JudgeOptions::default() }
}

/// Any event at all, about few things, so that they meet; sometimes about the largest number.
fn garbage(random: &mut SplitMix64) -> (TaskId, EventKind) {
    let site = Site { file: "any.rs", line: 1 };
    let mut n = || {
        if random.below(200) == 0 { u32::MAX } else { random.below(6) }
    };
    let task = TaskId(n());
    let (lock, queue, request, work, shrinker) =
        (LockId(n()), QueueId(n()), RequestId(n()), WorkId(n()), ShrinkerId(n()));
    let layer =
        LayerRef { layer: [Layer::FS, Layer::IO, Layer::LOOP][n() as usize % 3], instance: n() };
    let layers: &[Layer] = &[Layer::FS];
    let kinds = [ScopeKind::Nofs, ScopeKind::Noio, ScopeKind::Noreclaim, ScopeKind::Forbid(layers)];
    let kind = kinds[n() as usize % kinds.len()];
    let origin = ScopeRef { task: n(), seq: n() };
    let how = [Entered::Held, Entered::Permanent, Entered::Inherited, Entered::OnBehalf(origin)]
        [n() as usize % 4];
    let mask = [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO][n() as usize % 3];
    let mode = [LockMode::Exclusive, LockMode::Shared, LockMode::Nested(1)][n() as usize % 3];
    let resources = [
        Resource::Lock(lock),
        Resource::Request(request),
        Resource::Work(work),
        Resource::Task(TaskId(n())),
        Resource::Condition(WaitId(0)),
        Resource::Pool(PoolId(n())),
        Resource::Idle(queue),
        Resource::Timer,
    ];
    let resource = resources[n() as usize % resources.len()];
    let (scope, sectors) = (n(), Sectors(u64::MAX));
    let (pool, size) = (PoolId(n()), [0, 1, 200, u64::MAX][n() as usize % 4]);
    let pass = ShrinkPass {
        in_memcg: false,
        freeable: size,
        deferred: size,
        priority: n(),
        seeks: u64::from(n()),
        bounded: true,
    };
    let (part, on) = (PartId(n()), PartId(n()));
    let targets =
        [ReclaimTarget::Shrinker(shrinker), ReclaimTarget::Swap(part), ReclaimTarget::Pages(part)];
    let target = targets[n() as usize % 3];
    let waits = [MayWait::Never, MayWait::WithIo, MayWait::WithFs][n() as usize % 3];
    let sort = [PartKind::Filesystem, PartKind::Device, PartKind::Server][n() as usize % 3];
    let facts = [
        Fact::Part { part, kind: sort },
        Fact::Gone { part },
        Fact::Needs { part, on },
        Fact::NeedsNoMore { part, on },
        Fact::Takes { part, lock },
        Fact::Queues { part, queue },
        Fact::Target { target, part, waits },
        Fact::LeftHeld { item: ItemId(n()) },
    ];
    let fact = facts[n() as usize % facts.len()];
    let kinds = [
        EventKind::Declared { fact },
        EventKind::PolicyMask { target, mask },
        EventKind::TaskSpawn { parent: task, kind: TaskKind::Task },
        EventKind::TaskExit,
        EventKind::ScopeEnter { kind, scope, site, how },
        EventKind::ScopeExit { kind, scope },
        EventKind::ScopeMisuse { what: Misuse::Stale, kind, owner: task, scope, site },
        EventKind::LayerEnter { layer, site },
        EventKind::LayerExit { layer },
        EventKind::AllocBegin {
            order: 0,
            requested: mask,
            effective: mask,
            flags: TaskFlags::EMPTY,
            site,
        },
        EventKind::AllocEnd { outcome: AllocOutcome::Failed, left: Pages(0) },
        EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask },
        EventKind::ReclaimExit { freed: 0, priority: 0 },
        EventKind::ShrinkScanBegin { shrinker, mask, nr_to_scan: 1 },
        EventKind::ShrinkScanEnd { shrinker, freed: None, scanned: 0, deferred: false },
        EventKind::LockAttempt { lock, mode, try_lock: false, site },
        EventKind::LockAcquired { lock, mode, site },
        EventKind::LockReleased { lock },
        EventKind::WaitBegin { resource, why: "any", breakable: true, site },
        EventKind::WaitEnd { resource, outcome: WaitOutcome::Broken(Errno::EDEADLK) },
        EventKind::QueueServer { queue },
        EventKind::RequestSubmit {
            request,
            queue,
            op: Op::Write,
            sector: sectors,
            sectors,
            origin: None,
            site,
        },
        EventKind::RequestServe { request },
        EventKind::RequestServed { request },
        EventKind::RequestComplete { request, error: None },
        EventKind::WorkQueued { work, queue },
        EventKind::WorkBegin { work },
        EventKind::WorkEnd { work },
        EventKind::Stall { step_budget: true },
        EventKind::Watermarks { min: Pages(8), low: Pages(10), high: Pages(12) },
        EventKind::ScopesJoined,
        EventKind::AllocConstrained { mask },
        EventKind::OutOfMemory,
        EventKind::OomKill { victim: Some(task) },
        EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask },
        EventKind::ReclaimAcquire { levels: Levels::ALL },
        EventKind::ReclaimRelease { levels: Levels { fs: false, ..Levels::ALL } },
        EventKind::ShrinkCountBegin { shrinker, mask },
        EventKind::ShrinkCountEnd { shrinker, count: size },
        EventKind::ShrinkPassBegin { shrinker, pass },
        EventKind::ShrinkScanEnd { shrinker, freed: Some(size), scanned: size, deferred: false },
        EventKind::ShrinkPassEnd { shrinker, in_memcg: false, left: size, owed: size },
        EventKind::ShrinkerPanicked { shrinker },
        EventKind::ShrinkerRegistered { shrinker, site },
        EventKind::ShrinkerUnregistered { shrinker },
        EventKind::PoolAllocBegin { pool, mask, keeps: 1, site },
        EventKind::PoolAllocEnd { pool, got: Some(false) },
        EventKind::PoolTake { pool, site: None },
        EventKind::PoolGive { pool },
        EventKind::PoolHandOver { pool, request },
        promise(WaitId(0), task),
        EventKind::Promise {
            condition: WaitId(0),
            by: Actor::Request(request),
            units: 2,
            site: None,
        },
        EventKind::PromiseEnd { condition: WaitId(0), by: Actor::Request(request) },
        EventKind::WaitNeeds { condition: WaitId(0), needs: Needs::All },
        EventKind::RequestPassed { request, to: Actor::Task(task) },
        EventKind::WaitPassed { resource: Resource::Condition(WaitId(0)), site },
        EventKind::Signal { condition: WaitId(0) },
        EventKind::WaitAgain { condition: WaitId(0) },
        EventKind::WorkQueueMade { queue, mem_reclaim: mode == LockMode::Shared },
        EventKind::Prime { step: Prime::Begin },
        EventKind::Prime { step: Prime::Enter(mask) },
        EventKind::Prime { step: Prime::Leave },
        EventKind::Prime { step: Prime::End },
        EventKind::PointReached { point: PointId(0), fired: true },
        EventKind::Acknowledged { item: ItemId(0), version: size, site },
        EventKind::Recovered { item: ItemId(0), version: size },
        EventKind::WorldEnd,
    ];
    let place = random.below(u32::try_from(kinds.len()).expect("there are few"));
    (task, kinds[place as usize])
}

#[test]
fn any_events_in_any_order_are_judged_and_described() {
    for seed in 0..8 {
        let mut random = SplitMix64(seed);
        let mut witness = Witness::new(JudgeOptions { oracle: true, ..class_view() });
        let names = Names::default();
        for seq in 0..EVENTS {
            let (task, kind) = garbage(&mut random);
            witness.observe(&Event { seq, time: Nanos(seq), task, kind }, &names);
        }
        assert!(!witness.findings().is_empty(), "seed {seed}: garbage has cycles in it");
        let findings = witness.findings().iter().map(|f| describe(f, &Default::default()));
        let report = Report::new("garbage", "model", "v3.10", findings.collect());
        assert!(
            report.to_text().lines().all(|line| line.len() <= 110),
            "seed {seed}: no line is too long"
        );
    }
}

#[test]
fn a_judge_misses_nothing_by_what_it_says_it_reads() {
    for seed in 0..4 {
        let mut random = SplitMix64(seed);
        let names = Names::default();
        let [mut some, mut all] =
            [(); 2].map(|()| Witness::new(JudgeOptions { lints: true, ..class_view() }));
        all.panel.read_all();
        for seq in 0..EVENTS / 4 {
            let (task, kind) = garbage(&mut random);
            let event = Event { seq, time: Nanos(seq), task, kind };
            let (found, expect) = (some.observe(&event, &names), all.observe(&event, &names));
            assert_eq!(format!("{found:?}"), format!("{expect:?}"), "seed {seed}, {event:?}");
        }
        assert!(!some.findings().is_empty(), "seed {seed}: nothing was found at all");
    }
}

/// One finding of RD06 each.
fn misuses(s: &mut Script, task: TaskId, count: usize) {
    for line in 1..=u32::try_from(count).unwrap() {
        let site = Site { file: "x.rs", line };
        let (what, kind) = (Misuse::OutOfOrder, ScopeKind::Nofs);
        s.on(task, EventKind::ScopeMisuse { what, kind, owner: task, scope: 1, site });
    }
}

#[test]
fn a_run_with_too_many_findings_keeps_the_first() {
    for (made, kept) in [(MAX_FINDINGS, MAX_FINDINGS), (MAX_FINDINGS + 3, MAX_FINDINGS)] {
        let mut s = Script::default();
        let task = s.task("t");
        misuses(&mut s, task, made);
        assert_eq!(s.witness.findings().len(), kept);
        assert_eq!(s.last().chain.last().unwrap().site.unwrap().line as usize, kept);
    }
}

#[test]
fn of_several_findings_at_one_event_the_first_are_kept() {
    let mut s = Script::default();
    let task = s.task("t");
    misuses(&mut s, task, MAX_FINDINGS - 1);
    for scope in [4, 5, 6] {
        s.scope(task, ScopeKind::Nofs, scope);
    }
    s.on(task, EventKind::TaskExit);
    assert_eq!(s.witness.findings().len(), MAX_FINDINGS);
    let last = s.last().chain.last().unwrap().what;
    assert!(
        matches!(last, StepKind::Misused { what: Misuse::LeakedAtExit, scope: 4, .. }),
        "{last:?}"
    );
}

#[test]
fn a_deadlock_is_kept_whatever_was_found_before() {
    let mut s = Script::default();
    let (lock, task) = (s.lock("a", ""), s.task("t"));
    misuses(&mut s, task, MAX_FINDINGS + 1);
    s.take(task, lock, LockMode::Exclusive);
    s.want(task, lock, LockMode::Exclusive, true);
    assert_eq!(s.last().code, Code::RD04);
    assert_eq!(s.witness.findings().len(), MAX_FINDINGS + 1);
}

#[test]
fn findings_are_returned_by_the_event_that_shows_them() {
    let mut witness = Witness::default();
    let site = Site { file: "x.rs", line: 1 };
    let kind = EventKind::ScopeMisuse {
        what: Misuse::Stale,
        kind: ScopeKind::Nofs,
        owner: TaskId(0),
        scope: 1,
        site,
    };
    let mut told = |seq| {
        let event = Event { seq, time: Nanos(seq), task: TaskId(0), kind };
        witness
            .observe(&event, &Names::default())
            .iter()
            .map(|finding| finding.seq)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(3), [3]);
    assert_eq!(told(4), [0; 0], "nothing new");
    assert_eq!(witness.into_findings().len(), 1);
}

#[test]
fn order_is_learned_only_where_it_is_asked_for() {
    let mut s = Script::default();
    assert!(s.witness.order().is_none() && s.witness.aside().is_empty());
    s.witness = Witness::new(JudgeOptions {
        order: Some(OrderGraph::default()),
        ..JudgeOptions::default()
    });
    let (a, b, task) = (s.lock("a", "A"), s.lock("b", "B"), s.task("t"));
    s.take(task, a, LockMode::Exclusive);
    s.take(task, b, LockMode::Exclusive);
    assert!(s.witness.order().is_some_and(|graph| !graph.is_empty()));
}
