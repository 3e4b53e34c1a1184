//! Work queues.
//!
//! Key types: [`WorkQueue`], [`WorkQueueOptions`], [`Work`]. Mirrors `kernel/workqueue.c` as far as
//! progress goes: an item is pending at most once, its pending bit is cleared before it runs, and a
//! worker starts with an empty task context. The workers take the items in order; a queue has one
//! worker unless it is made with more. A queue made with [`WorkQueue::mem_reclaim`] stands for one
//! with a rescuer, so reclaim may wait for it. A queue has its workers from the start, or a manager
//! makes them on demand ([`WorkQueueOptions::new_worker`]); a judge (RD08) finds where reclaim
//! waits for a queue that may need memory.
//!
//! | module | holds |
//! |---|---|
//! | `item` | [`Work`]: an item, and where it is |
//! | `servers` | the tasks that serve a queue: workers, the manager that makes them, the rescuer |
//!
//! Locking: the queue's items > an item's state.

mod item;
mod servers;

use std::collections::VecDeque;
use std::sync::Arc;

use reclaimdep_scope::Snapshot;

pub use self::item::Work;
use self::item::{Pending, Taken};
use super::side::harness_side;
use super::wait::{Completion, WaitQueue};
use super::{JoinHandle, Sched, SpinLock};
use crate::event::{EventKind, QueueId, Resource, Site, WorkId};

/// The most workers of one queue (`WQ_MAX_ACTIVE` of older kernels).
const MAX_WORKERS: u32 = 512;

type MakeWorker = dyn Fn() + Send + Sync;

/// How a work queue is made.
#[derive(Clone)]
#[non_exhaustive]
pub struct WorkQueueOptions {
    mem_reclaim: bool,
    workers: u32,
    /// With the line that set it.
    new_worker: Option<(Arc<MakeWorker>, Site)>,
}

impl Default for WorkQueueOptions {
    /// One worker, which exists from the start, and no rescuer.
    fn default() -> Self {
        Self { mem_reclaim: false, workers: 1, new_worker: None }
    }
}

impl std::fmt::Debug for WorkQueueOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mem_reclaim, workers, new_worker } = self;
        f.debug_struct("WorkQueueOptions")
            .field("mem_reclaim", mem_reclaim)
            .field("workers", workers)
            .field("on_demand", &new_worker.is_some())
            .finish_non_exhaustive()
    }
}

impl WorkQueueOptions {
    /// Whether reclaim may wait for the queue (`WQ_MEM_RECLAIM`).
    #[must_use]
    pub const fn mem_reclaim(mut self, on: bool) -> Self {
        self.mem_reclaim = on;
        self
    }

    /// How many workers the queue has at most, from 1 to 512; other numbers count as the nearest of
    /// these. The workers of `name` are the tasks `kworker/name`, `kworker/name/2` and so on.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers.clamp(1, MAX_WORKERS);
        self
    }

    /// The workers are made on demand: where items wait and no worker is idle, the manager of the
    /// queue, the task `kworker/name/manager`, calls `make` and then starts a worker. `make` stands
    /// for the creation of a thread, so it usually allocates with GFP_KERNEL. Until it returns, the
    /// manager is the only task that can serve the queue's first item. A queue of
    /// [`WorkQueueOptions::mem_reclaim`] has a rescuer as well, the task `rescuer/name`, which
    /// serves the items that wait meanwhile.
    #[must_use]
    #[track_caller]
    pub fn new_worker(mut self, make: impl Fn() + Send + Sync + 'static) -> Self {
        self.new_worker = Some((Arc::new(make), Site::here()));
        self
    }
}

#[derive(Default)]
struct QueuedItems {
    items: VecDeque<Work>,
    /// The items that run, in the order in which they began.
    running: Vec<(WorkId, Completion)>,
    stopping: bool,
    /// Workers that exist, and how many of them execute an item.
    workers: u32,
    busy: u32,
    /// The manager makes a worker now.
    making: bool,
    /// The creation of a worker that waits for the manager, as the item that it is in events.
    creation: Option<WorkId>,
    /// The manager has ended: every worker exists, or the queue is destroyed.
    complete: bool,
}

struct QueueState {
    sched: Sched,
    name: String,
    queue: QueueId,
    options: WorkQueueOptions,
    state: SpinLock<QueuedItems>,
    wake: WaitQueue,
    servers: SpinLock<Vec<JoinHandle<()>>>,
}

/// A queue with its workers.
#[derive(Clone)]
pub struct WorkQueue(Arc<QueueState>);

impl std::fmt::Debug for WorkQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkQueue").field("queue", &self.0.queue).finish_non_exhaustive()
    }
}

impl WorkQueue {
    /// A queue called `name`, with its worker started (`alloc_workqueue`). Its progress may need
    /// memory, so a reclaimer, or the worker of a queue that reclaim may wait for, must not wait
    /// for it.
    #[must_use]
    pub fn new(sched: &Sched, name: &str) -> Self {
        Self::with(sched, name, WorkQueueOptions::default())
    }

    /// The same for a queue that reclaim may wait for (`WQ_MEM_RECLAIM`).
    #[must_use]
    pub fn mem_reclaim(sched: &Sched, name: &str) -> Self {
        Self::with(sched, name, WorkQueueOptions::default().mem_reclaim(true))
    }

    /// A queue called `name` as `options` say.
    #[must_use]
    pub fn with(sched: &Sched, name: &str, options: WorkQueueOptions) -> Self {
        let _side = harness_side();
        let queue = sched.add_queue(name);
        sched.emit(EventKind::WorkQueueMade { queue, mem_reclaim: options.mem_reclaim });
        let this = Self(Arc::new(QueueState {
            sched: sched.clone(),
            name: name.to_owned(),
            queue,
            options,
            state: SpinLock::default(),
            wake: WaitQueue::new(sched),
            servers: SpinLock::default(),
        }));
        this.start();
        this
    }

    /// Queues `work` unless it is pending or the queue is being destroyed; returns whether it was
    /// queued (`queue_work`).
    pub fn queue(&self, work: &Work) -> bool {
        self.add(work, Snapshot::default(), Site { file: "", line: 0 })
    }

    /// The same for an item that runs in the scopes that are open on the running task now, wherever
    /// it runs.
    #[track_caller]
    pub fn queue_in_scopes(&self, work: &Work) -> bool {
        self.queue_in_scopes_at(work, Site::here())
    }

    /// As [`WorkQueue::queue_in_scopes`], for a call at `site`.
    pub(crate) fn queue_in_scopes_at(&self, work: &Work, site: Site) -> bool {
        self.add(work, Snapshot::take(), site)
    }

    fn add(&self, work: &Work, scopes: Snapshot, site: Site) -> bool {
        let _side = harness_side();
        let QueueState { sched, queue, .. } = &*self.0;
        {
            let mut state = self.0.state.lock();
            let mut at = work.at.lock();
            if state.stopping || at.pending.is_some() {
                return false;
            }
            self.plan_creation(&mut state);
            let id = sched.next_work(&work.name);
            let done = Completion::new(sched, Resource::Work(id));
            at.pending = Some(Pending { id, done, scopes, site });
            sched.emit(EventKind::WorkQueued { work: id, queue: *queue });
            state.items.push_back(work.clone());
        }
        self.0.wake.wake_all();
        true
    }

    /// Waits until the last queueing of `work`, if it is pending or runs, has finished
    /// (`flush_work`).
    #[track_caller]
    pub fn flush(&self, work: &Work) {
        self.flush_at(work, Site::here());
    }

    /// As [`WorkQueue::flush`], for a call at `site`.
    pub(crate) fn flush_at(&self, work: &Work, site: Site) {
        let done = {
            let at = work.at.lock();
            at.pending.as_ref().map(|pending| pending.done.clone()).or_else(|| at.running.clone())
        };
        if let Some(done) = done {
            done.wait_at("work item", site);
        }
    }

    /// Waits until every item that was queued before the call has finished (`flush_workqueue`): for
    /// each in turn, in the order of the queue.
    #[track_caller]
    pub fn flush_queue(&self) {
        self.flush_queue_at(Site::here());
    }

    /// As [`WorkQueue::flush_queue`], for a call at `site`.
    pub(crate) fn flush_queue_at(&self, site: Site) {
        let before: Vec<Completion> = {
            let _side = harness_side();
            let state = self.0.state.lock();
            let running = state.running.iter().map(|(_, done)| done.clone());
            let pending = |item: &Work| Some(item.at.lock().pending.as_ref()?.done.clone());
            running.chain(state.items.iter().filter_map(pending)).collect()
        };
        for done in before.into_iter().filter(|done| !done.is_done()) {
            done.wait_at("work queue", site);
        }
    }

    /// Runs `work` on the running task if it is still queued, and waits for it if a worker executes
    /// it; returns whether it ran here (`cancel_work` and a call).
    #[track_caller]
    pub fn run_here(&self, work: &Work) -> bool {
        self.run_here_at(work, Site::here())
    }

    /// As [`WorkQueue::run_here`], for a call at `site`.
    pub(crate) fn run_here_at(&self, work: &Work, site: Site) -> bool {
        self.0.sched.point();
        loop {
            let running = work.at.lock().running.clone();
            if let Some(running) = running {
                running.wait_at("work item", site);
            }
            let (queued, taken) = {
                let _side = harness_side();
                let mut state = self.0.state.lock();
                let place = state.items.iter().position(|item| item.is(work));
                let free = place.filter(|_| work.at.lock().running.is_none());
                (place.is_some(), free.and_then(|place| Self::take(&mut state, place)))
            };
            if let Some(taken) = taken {
                self.execute(taken);
                return true;
            }
            if !queued {
                self.flush_at(work, site);
                return false;
            }
        }
    }

    /// Runs what is queued, then ends the servers (`destroy_workqueue`).
    pub fn destroy(&self) {
        let _side = harness_side();
        self.0.state.lock().stopping = true;
        self.0.wake.wake_all();
        loop {
            // The manager comes first: it adds workers.
            let next = {
                let mut servers = self.0.servers.lock();
                if servers.is_empty() { None } else { Some(servers.remove(0)) }
            };
            let Some(server) = next else {
                return;
            };
            server.join();
        }
    }

    /// Takes the item at `place` out of the queue. The pending bit is cleared first, so that an
    /// item queued while it runs is not lost.
    fn take(state: &mut QueuedItems, place: usize) -> Option<Taken> {
        let item = state.items.remove(place)?;
        let pending = {
            let mut at = item.at.lock();
            let pending = at.pending.take().expect("a queued item is pending");
            at.running = Some(pending.done.clone());
            pending
        };
        state.running.push((pending.id, pending.done.clone()));
        Some(Taken { item, pending })
    }
}
