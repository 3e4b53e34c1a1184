//! Work queues.
//!
//! Key types: [`WorkQueue`], [`Work`]. Mirrors `kernel/workqueue.c` as far as progress goes: an
//! item is pending at most once, its pending bit is cleared before it runs, one worker runs the
//! items in order, and the worker starts with an empty task context. A queue made with
//! [`WorkQueue::mem_reclaim`] stands for one with a rescuer, so reclaim may wait for it. Here every
//! queue has a worker from the start; a judge (RD08) finds where reclaim waits for another queue.
//!
//! Locking: the queue's items > an item's state.

use std::collections::VecDeque;
use std::sync::Arc;

use reclaimdep_scope::Bracket;

use super::side::{Side, harness_side};
use super::wait::{Completion, WaitQueue, Waiting};
use super::{JoinHandle, Sched, SpinLock};
use crate::event::{EventKind, QueueId, Resource, Site, TaskKind, WorkId};

type WorkFn = dyn Fn() + Send + Sync;

/// A piece of work that can be queued again and again (`struct work_struct`).
#[derive(Clone)]
pub struct Work {
    /// With a number from the second item of its name on: `flush`, `flush/2`. The judges know an
    /// item by its name.
    name: Arc<str>,
    func: Arc<WorkFn>,
    /// The side from which the item was made.
    side: Side,
    at: Arc<SpinLock<ItemState>>,
}

/// Where an item is: queued, running, both (queued again while it runs), or neither.
#[derive(Default)]
struct ItemState {
    pending: Option<(WorkId, Completion)>,
    running: Option<Completion>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Work {
    /// Work that calls `func`.
    pub fn new(name: &str, func: impl Fn() + Send + Sync + 'static) -> Self {
        let side = Side::now();
        let _side = harness_side();
        let number = Sched::of_current().map_or(0, |sched| sched.namesakes(name));
        let name = if number == 0 { name.to_owned() } else { format!("{name}/{}", number + 1) };
        Self { name: name.into(), func: Arc::new(func), side, at: Arc::default() }
    }
}

#[derive(Default)]
struct QueuedItems {
    items: VecDeque<Work>,
    stopping: bool,
}

struct QueueState {
    sched: Sched,
    queue: QueueId,
    state: SpinLock<QueuedItems>,
    wake: WaitQueue,
    worker: SpinLock<Option<JoinHandle<()>>>,
}

/// A queue with its worker.
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
        Self::make(sched, name, false)
    }

    /// The same for a queue that reclaim may wait for (`WQ_MEM_RECLAIM`).
    #[must_use]
    pub fn mem_reclaim(sched: &Sched, name: &str) -> Self {
        Self::make(sched, name, true)
    }

    fn make(sched: &Sched, name: &str, mem_reclaim: bool) -> Self {
        let _side = harness_side();
        let queue = sched.add_queue(name);
        sched.emit(EventKind::WorkQueueMade { queue, mem_reclaim });
        let inner = Arc::new(QueueState {
            sched: sched.clone(),
            queue,
            state: SpinLock::default(),
            wake: WaitQueue::new(sched),
            worker: SpinLock::new(None),
        });
        let this = Self(inner);
        let worker = this.clone();
        let handle =
            sched.spawn(&format!("kworker/{name}"), TaskKind::Server, move || worker.work());
        *this.0.worker.lock() = Some(handle);
        this
    }

    /// Queues `work` unless it is pending or the queue is being destroyed; returns whether it was
    /// queued (`queue_work`).
    pub fn queue(&self, work: &Work) -> bool {
        let _side = harness_side();
        {
            let mut state = self.0.state.lock();
            let mut at = work.at.lock();
            if state.stopping || at.pending.is_some() {
                return false;
            }
            let id = self.0.sched.next_work(&work.name);
            at.pending = Some((id, Completion::new(&self.0.sched, Resource::Work(id))));
            self.0.sched.emit(EventKind::WorkQueued { work: id, queue: self.0.queue });
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
            at.pending.as_ref().map(|(_, done)| done.clone()).or_else(|| at.running.clone())
        };
        if let Some(done) = done {
            done.wait_at("work item", site);
        }
    }

    /// Runs what is queued, then ends the worker (`destroy_workqueue`).
    pub fn destroy(&self) {
        let _side = harness_side();
        self.0.state.lock().stopping = true;
        self.0.wake.wake_all();
        let worker = self.0.worker.lock().take();
        if let Some(worker) = worker {
            worker.join();
        }
    }

    fn work(&self) {
        let QueueState { sched, queue, state, wake, .. } = &*self.0;
        sched.emit(EventKind::QueueServer { queue: *queue });
        loop {
            let idle = Waiting::on(Resource::Idle(*queue), "work");
            let ready = || {
                let state = state.lock();
                !state.items.is_empty() || state.stopping
            };
            let waited = wake.wait_until(idle, ready);
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            let Some(item) = state.lock().items.pop_front() else {
                return;
            };
            // The pending bit is cleared first, so that an item queued while it runs is not lost.
            let (work, done) = {
                let mut at = item.at.lock();
                let (work, done) = at.pending.take().expect("a queued item is pending");
                at.running = Some(done.clone());
                (work, done)
            };
            sched.emit(EventKind::WorkBegin { work });
            let bracket = Bracket::open();
            item.side.call(&*item.func);
            sched.emit(EventKind::WorkEnd { work });
            bracket.close();
            item.at.lock().running = None;
            done.complete();
        }
    }
}
