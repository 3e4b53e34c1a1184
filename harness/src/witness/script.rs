//! Events by hand: what the tests of judges and reports are written in.
//!
//! Key type: [`Script`]. Each call is one event, or the few that always come together. Sites are
//! lines of [`Script::file`], counted by event.

use crate::event::{
    Actor, AllocOutcome, Entered, Event, EventKind, Fact, Gfp, Layer, LayerRef, LockId, LockMode,
    MayWait, Names, Op, Origin, PartId, PartKind, QueueId, ReclaimKind, ReclaimTarget, RequestId,
    Resource, ScopeKind, ShrinkerId, Site, TaskFlags, TaskId, TaskKind, WaitId, WaitOutcome,
    WorkId,
};
use crate::units::{Nanos, Pages, Sectors, Ticks};
use crate::witness::{Breach, Finding, JudgeOptions, OrderGraph, Step, StepKind, Subject, Witness};

/// The stack of the first deadlock, as it was declared.
#[derive(Clone, Copy)]
pub(crate) struct BufioOnLoop {
    pub(crate) fs: PartId,
    pub(crate) device: PartId,
    pub(crate) cache: PartId,
    pub(crate) journal: LockId,
    pub(crate) queue: QueueId,
    pub(crate) worker: TaskId,
    pub(crate) shrinker: ShrinkerId,
}

/// The last step of each finding that names a broken rule.
pub(crate) fn broken_rules(script: &Script) -> Vec<(Breach, Option<Subject>, Step)> {
    let last = |finding: &Finding| {
        let step = *finding.chain.last()?;
        let StepKind::Broke { breach, subject } = step.what else { return None };
        Some((breach, subject, step))
    };
    script.witness.findings().iter().filter_map(last).collect()
}

/// The rules that were found broken, in order.
pub(crate) fn breaches(script: &Script) -> Vec<Breach> {
    broken_rules(script).into_iter().map(|(breach, ..)| breach).collect()
}

/// The task itself promises one unit of the condition.
pub(crate) const fn promise(condition: WaitId, by: TaskId) -> EventKind {
    EventKind::Promise { condition, by: Actor::Task(by), units: 1, site: None }
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) names: Names,
    pub(crate) witness: Witness,
    pub(crate) file: Option<&'static str>,
    seq: u64,
    requests: u32,
    passed: Nanos,
}

impl Script {
    pub(crate) fn on(&mut self, task: TaskId, kind: EventKind) {
        let event = Event { seq: self.seq, time: Nanos(self.seq * 10) + self.passed, task, kind };
        self.seq += 1;
        self.witness.observe(&event, &self.names);
    }

    /// With the judge of order; what the class view alone has is a finding.
    pub(crate) fn ordered() -> Self {
        Self::going_on_from(OrderGraph::default(), true)
    }

    /// The same, after the runs that `graph` was learned in.
    pub(crate) fn going_on_from(graph: OrderGraph, class_view: bool) -> Self {
        Self {
            witness: Witness::new(JudgeOptions {
                order: Some(graph),
                class_view,
                ..JudgeOptions::default()
            }),
            ..Self::default()
        }
    }

    pub(crate) fn give_up(&mut self, task: TaskId, lock: LockId) {
        self.on(task, EventKind::LockReleased { lock });
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ticks: Ticks) {
        self.passed += ticks.nanos();
    }

    /// The task enters a block layer.
    pub(crate) fn layer_of_blocks(&mut self, task: TaskId) {
        let layer = self.names.add_layer(Layer::IO, "vda");
        self.enter(task, layer);
    }

    fn site(&self) -> Site {
        Site { file: self.file.unwrap_or("stack.rs"), line: u32::try_from(self.seq).unwrap() + 1 }
    }

    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.witness.findings().iter().map(|finding| finding.code.name()).collect()
    }

    pub(crate) fn last(&self) -> &Finding {
        self.witness.findings().last().expect("something was found")
    }

    pub(crate) fn task(&mut self, name: &str) -> TaskId {
        self.spawn(name, TaskKind::Task)
    }

    pub(crate) fn spawn(&mut self, name: &str, kind: TaskKind) -> TaskId {
        let task = self.names.add_task(name);
        self.on(task, EventKind::TaskSpawn { parent: TaskId(0), kind });
        task
    }

    /// A device or work queue with one server, which is idle.
    pub(crate) fn queue(&mut self, name: &str) -> (QueueId, TaskId) {
        let queue = self.names.add_queue(name);
        (queue, self.server(queue, name))
    }

    pub(crate) fn server(&mut self, queue: QueueId, name: &str) -> TaskId {
        let server = self.spawn(name, TaskKind::Server);
        self.on(server, EventKind::QueueServer { queue });
        self.wait(server, Resource::Idle(queue), "requests");
        server
    }

    pub(crate) fn lock(&mut self, class: &'static str, instance: &str) -> LockId {
        self.names.add_lock(class, instance)
    }

    pub(crate) fn enter(&mut self, task: TaskId, layer: LayerRef) {
        let site = self.site();
        self.on(task, EventKind::LayerEnter { layer, site });
    }

    pub(crate) fn leave(&mut self, task: TaskId, layer: LayerRef) {
        self.on(task, EventKind::LayerExit { layer });
    }

    pub(crate) fn scope(&mut self, task: TaskId, kind: ScopeKind, scope: u32) {
        self.scope_as(task, kind, scope, Entered::Held);
    }

    pub(crate) fn scope_as(&mut self, task: TaskId, kind: ScopeKind, scope: u32, how: Entered) {
        let site = self.site();
        self.on(task, EventKind::ScopeEnter { kind, scope, site, how });
    }

    pub(crate) fn end_scope(&mut self, task: TaskId, kind: ScopeKind, scope: u32) {
        self.on(task, EventKind::ScopeExit { kind, scope });
    }

    pub(crate) fn alloc(&mut self, task: TaskId, requested: Gfp, effective: Gfp) {
        let site = self.site();
        self.on(
            task,
            EventKind::AllocBegin { order: 0, requested, effective, flags: TaskFlags::EMPTY, site },
        );
    }

    /// Direct reclaim as the allocator does it.
    pub(crate) fn reclaim(&mut self, task: TaskId, mask: Gfp) {
        self.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask });
        self.scope(task, ScopeKind::Noreclaim, 99);
    }

    pub(crate) fn end_reclaim(&mut self, task: TaskId) {
        self.end_scope(task, ScopeKind::Noreclaim, 99);
        self.on(task, EventKind::ReclaimExit { freed: 0, priority: 0 });
        self.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(1 << 20) });
    }

    pub(crate) fn scan(&mut self, task: TaskId, shrinker: ShrinkerId, mask: Gfp) {
        self.on(task, EventKind::ShrinkScanBegin { shrinker, mask, nr_to_scan: 128 });
    }

    pub(crate) fn take(&mut self, task: TaskId, lock: LockId, mode: LockMode) {
        let site = self.site();
        self.on(task, EventKind::LockAttempt { lock, mode, try_lock: false, site });
        self.on(task, EventKind::LockAcquired { lock, mode, site });
    }

    pub(crate) fn want(&mut self, task: TaskId, lock: LockId, mode: LockMode, breakable: bool) {
        let site = self.site();
        self.on(task, EventKind::LockAttempt { lock, mode, try_lock: false, site });
        let resource = Resource::Lock(lock);
        self.on(task, EventKind::WaitBegin { resource, why: "mutex", breakable, site });
    }

    pub(crate) fn wait(&mut self, task: TaskId, resource: Resource, why: &'static str) {
        let site = self.site();
        self.on(task, EventKind::WaitBegin { resource, why, breakable: false, site });
    }

    pub(crate) fn end_wait(&mut self, task: TaskId, resource: Resource, outcome: WaitOutcome) {
        self.on(task, EventKind::WaitEnd { resource, outcome });
    }

    /// A write of block 7.
    pub(crate) fn submit(&mut self, task: TaskId, queue: QueueId) -> RequestId {
        let request = RequestId(self.requests);
        self.requests += 1;
        let (site, origin) = (self.site(), Some(Origin { what: "block", item: 7 }));
        let (sector, sectors) = (Sectors(56), Sectors(8));
        self.on(
            task,
            EventKind::RequestSubmit {
                request,
                queue,
                op: Op::Write,
                sector,
                sectors,
                origin,
                site,
            },
        );
        request
    }

    /// The server stops being idle and takes `request`.
    pub(crate) fn serve(&mut self, server: TaskId, queue: QueueId, request: RequestId) {
        self.end_wait(server, Resource::Idle(queue), WaitOutcome::Satisfied);
        self.on(server, EventKind::RequestServe { request });
    }

    pub(crate) fn queue_work(&mut self, task: TaskId, queue: QueueId) -> WorkId {
        let work = self.names.add_work("flush");
        self.on(task, EventKind::WorkQueued { work, queue });
        work
    }

    pub(crate) fn begin_work(&mut self, worker: TaskId, queue: QueueId, work: WorkId) {
        self.end_wait(worker, Resource::Idle(queue), WaitOutcome::Satisfied);
        self.on(worker, EventKind::WorkBegin { work });
    }

    pub(crate) fn stall(&mut self, step_budget: bool) {
        self.on(TaskId(0), EventKind::Stall { step_budget });
    }

    /// A task in `fs` that holds `journal`, and in NOFS reclaims down to dm-bufio.
    pub(crate) fn reclaimer(&mut self, name: &str, fs: LayerRef, journal: LockId) -> TaskId {
        let task = self.task(name);
        self.file = Some("harness/src/fs/journal.rs");
        self.enter(task, fs);
        self.take(task, journal, LockMode::Exclusive);
        self.scope(task, ScopeKind::Nofs, 1);
        self.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        self.reclaim(task, Gfp::NOFS);
        let shrinker = self.names.add_shrinker("dm-bufio:loop0");
        let bufio = self.names.add_layer(Layer::BUFIO, "loop0");
        self.scan(task, shrinker, Gfp::NOFS);
        self.file = Some("harness/src/bufio/client.rs");
        self.enter(task, bufio);
        task
    }

    /// The worker takes `request` and goes down into `fs`, where it wants `journal`.
    pub(crate) fn worker_needs(
        &mut self,
        worker: TaskId,
        queue: QueueId,
        request: RequestId,
        fs: LayerRef,
        journal: LockId,
    ) {
        let layer = self.names.add_layer(Layer::LOOP, "loop0");
        self.serve(worker, queue, request);
        self.file = Some("harness/src/block/loop_dev.rs");
        self.enter(worker, layer);
        self.file = Some("harness/src/fs/journal.rs");
        self.enter(worker, fs);
        self.want(worker, journal, LockMode::Exclusive, true);
    }

    /// With the oracle, which judges what an allocation could lead to.
    pub(crate) fn oracle() -> Self {
        Self {
            witness: Witness::new(JudgeOptions { oracle: true, ..JudgeOptions::default() }),
            ..Self::default()
        }
    }

    pub(crate) fn declare(&mut self, fact: Fact) {
        self.on(TaskId(0), EventKind::Declared { fact });
    }

    pub(crate) fn part(&mut self, name: &str, kind: PartKind) -> PartId {
        let part = self.names.add_part(name);
        self.declare(Fact::Part { part, kind });
        part
    }

    /// Declares fs:lower, loop0 on a file of it, and a cache on loop0 with a shrinker that waits
    /// so.
    pub(crate) fn bufio_on_loop(&mut self, waits: MayWait) -> BufioOnLoop {
        let journal = self.lock("journal", "fs:lower");
        let (queue, worker) = self.queue("loop0");
        let shrinker = self.names.add_shrinker("dm-bufio:loop0");
        let fs = self.part("fs:lower", PartKind::Filesystem);
        let device = self.part("loop0", PartKind::Device);
        let cache = self.part("bufio:meta", PartKind::Cache);
        let target = ReclaimTarget::Shrinker(shrinker);
        for fact in [
            Fact::Takes { part: fs, lock: journal },
            Fact::Needs { part: device, on: fs },
            Fact::Queues { part: device, queue },
            Fact::Needs { part: cache, on: device },
            Fact::Target { target, part: cache, waits },
        ] {
            self.declare(fact);
        }
        BufioOnLoop { fs, device, cache, journal, queue, worker, shrinker }
    }

    /// The dm-bufio deadlock of 2014.
    pub(crate) fn c01() -> Self {
        let mut s = Self::default();
        s.c01_story();
        s
    }

    pub(crate) fn c01_story(&mut self) {
        let s = self;
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let rsync = s.reclaimer("rsync", fs, journal);
        let (queue, worker) = s.queue("loop0");
        let request = s.submit(rsync, queue);
        s.wait(rsync, Resource::Request(request), "buffer WRITING");
        s.worker_needs(worker, queue, request, fs, journal);
    }
}
