//! RD08: waits for work queues from reclaim.

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
