//! RD08: somebody on whom reclaim depends waits for a work queue that may need memory to get on.
//!
//! A reclaimer (PF_MEMALLOC) and the worker of a queue made with `WQ_MEM_RECLAIM` wait only for
//! work of queues made so: another queue may have to make a worker first, which takes memory.
//! Waiting for the end of a queue's worker is waiting for its work. Invariant 19 of the project's
//! description of reclaim, section 9; the kernel's own check is `check_flush_dependency`. Queues of
//! which it was not said are not judged.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::frames::{FrameKind, is_reclaimer};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, QueueId, Resource, TaskId, WorkId};

/// The judge of invariant 19.
#[derive(Debug, Default)]
pub(super) struct Flush {
    found: BTreeSet<(TaskId, QueueId)>,
    /// Whether reclaim may wait for the queue.
    safe: BTreeMap<QueueId, bool>,
    workers: BTreeMap<TaskId, QueueId>,
}

impl Judge for Flush {
    fn reads(&self) -> Reads {
        Reads::WORK.and(Reads::REQUESTS).and(Reads::WAITS)
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let task = event.task;
        let (resource, site) = match event.kind {
            EventKind::WorkQueueMade { queue, mem_reclaim } => {
                self.safe.insert(queue, mem_reclaim);
                return;
            }
            EventKind::QueueServer { queue } => {
                self.workers.insert(task, queue);
                return;
            }
            EventKind::WaitBegin { resource, site, .. } => (resource, site),
            _ => return,
        };
        let Some((queue, subject)) = self.waited_for(resource, view) else {
            return;
        };
        if !self.must_not_wait(task, view) || !self.found.insert((task, queue)) {
            return;
        }
        let breach = Breach::WaitsForUnsafeQueue;
        let mut chain = Chain::new(view);
        chain.task(task, None);
        chain.ends_with(StepKind::Broke { breach, subject }, Some(site), event);
        out.push(chain.finish(breach.code(), event));
    }
}

impl Flush {
    /// The queue behind `resource`, if reclaim may not wait for it.
    fn waited_for(&self, resource: Resource, view: &View) -> Option<(QueueId, Option<Subject>)> {
        let (queue, subject) = match resource {
            Resource::Work(work) => (view.work(work)?.queue, Some(Subject::Work(work))),
            Resource::Task(worker) => (*self.workers.get(&worker)?, None),
            _ => return None,
        };
        (self.safe.get(&queue) == Some(&false)).then_some((queue, subject))
    }

    fn must_not_wait(&self, task: TaskId, view: &View) -> bool {
        let frames = view.frames(task);
        let safe = |work: WorkId| {
            view.work(work).is_some_and(|work| self.safe.get(&work.queue) == Some(&true))
        };
        let works = |kind| matches!(kind, FrameKind::Working { work } if safe(work));
        frames.iter().any(|frame| is_reclaimer(frame.kind) || works(frame.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Gfp, ScopeKind};
    use crate::witness::script::Script;

    /// A queue with its worker, said to be reclaim-safe or not, or nothing said.
    fn queue(s: &mut Script, maker: TaskId, safe: Option<bool>) -> (QueueId, TaskId) {
        let (queue, worker) = s.queue("wq");
        if let Some(mem_reclaim) = safe {
            s.on(maker, EventKind::WorkQueueMade { queue, mem_reclaim });
        }
        (queue, worker)
    }

    /// How often a wait of `cp` for work of a queue is found, after `first` happened to it.
    #[track_caller]
    fn check(expect: usize, safe: Option<bool>, first: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        let (queue, _) = queue(&mut s, task, safe);
        first(&mut s, task);
        let work = s.queue_work(task, queue);
        s.wait(task, Resource::Work(work), "work item");
        assert_eq!(s.codes(), vec!["RD08"; expect]);
    }

    #[test]
    fn a_reclaimer_waits_for_no_queue_that_may_need_memory() {
        check(1, Some(false), |s, task| s.scope(task, ScopeKind::Noreclaim, 1));
        check(1, Some(false), |s, task| s.reclaim(task, Gfp::KERNEL));
        check(0, Some(true), |s, task| s.reclaim(task, Gfp::KERNEL));
        check(0, None, |s, task| s.reclaim(task, Gfp::KERNEL));
    }

    #[test]
    fn anybody_else_may() {
        check(0, Some(false), |s, task| s.scope(task, ScopeKind::Nofs, 1));
    }

    #[test]
    fn a_worker_that_reclaim_may_wait_for_waits_for_none_either() {
        for (own, expect) in [(Some(true), 1), (Some(false), 0)] {
            let mut s = Script::default();
            let task = s.task("cp");
            let ((own, worker), (other, _)) =
                (queue(&mut s, task, own), queue(&mut s, task, Some(false)));
            let (mine, theirs) = (s.queue_work(task, own), s.queue_work(task, other));
            s.begin_work(worker, own, mine);
            s.wait(worker, Resource::Work(theirs), "work item");
            assert_eq!(s.codes(), vec!["RD08"; expect]);
        }
    }

    #[test]
    fn waiting_for_the_end_of_a_worker_is_waiting_for_its_work() {
        let mut s = Script::default();
        let task = s.task("cp");
        let (_, worker) = queue(&mut s, task, Some(false));
        s.reclaim(task, Gfp::KERNEL);
        s.wait(task, Resource::Task(worker), "task exit");
        assert_eq!(s.codes(), ["RD08"]);
    }
}
