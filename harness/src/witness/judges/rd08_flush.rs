//! RD08: a task on which reclaim depends waits for a work queue that may need memory to make
//! progress.
//!
//! A reclaimer (PF_MEMALLOC) and the worker of a queue made with `WQ_MEM_RECLAIM` may wait only for
//! work of queues that were made with that flag too. Any other queue may have to create a worker
//! first, which takes memory. Waiting for the exit of a queue's worker is waiting for its work.
//! Invariant 19 of docs/kernel/rules.md, "Invariants"; the kernel's own check is
//! `check_flush_dependency`. A queue whose creation was not seen is not judged.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{EventKind, QueueId, Resource, TaskId, WorkId};
use crate::witness::{
    Breach, Finding, FrameKind, Judge, Moment, Reads, Subject, View, broken_rule, is_reclaimer,
};

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

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
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
        out.push(broken_rule(moment, task, breach, subject, Some(site)));
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
mod tests;
