//! Chains as findings have them: facts, order, and what is marked as forbidden.

use crate::event::{Gfp, Layer, LockMode, Resource, ScopeKind, TaskId};
use crate::witness::script::Script;
use crate::witness::{FrameKind, StepKind};

const EXCLUSIVE: LockMode = LockMode::Exclusive;

/// A work item waits for the lock that its flusher holds.
fn flush() -> Script {
    let mut s = Script::default();
    let (lock, task) = (s.lock("a", ""), s.task("flusher"));
    let (queue, worker) = s.queue("events");
    s.take(task, lock, EXCLUSIVE);
    let work = s.queue_work(task, queue);
    s.wait(task, Resource::Work(work), "work item");
    s.begin_work(worker, queue, work);
    s.want(worker, lock, EXCLUSIVE, false);
    s
}

#[test]
fn the_facts_about_a_work_item_are_listed_once() {
    let s = flush();
    let works: Vec<_> =
        s.last().works.iter().map(|(work, facts)| (work.0, facts.queued_by)).collect();
    assert_eq!(works, [(0, TaskId(0))]);
}

#[test]
fn the_facts_about_a_work_item_are_listed_even_if_no_task_waits_for_it() {
    let mut s = Script::default();
    let (lock, task) = (s.lock("a", ""), s.task("queuer"));
    let (queue, worker) = s.queue("events");
    let work = s.queue_work(task, queue);
    s.begin_work(worker, queue, work);
    s.take(worker, lock, EXCLUSIVE);
    s.want(worker, lock, EXCLUSIVE, false);
    assert_eq!(s.last().works.len(), 1, "its worker is in it");
}

#[test]
fn the_facts_about_a_request_are_listed_once() {
    let s = Script::c01();
    let requests: Vec<_> = s.last().requests.iter().map(|(request, _)| request.0).collect();
    assert_eq!(requests, [0], "submitted, waited for and served");
}

#[test]
fn the_steps_of_a_task_are_in_the_order_in_which_they_happened() {
    let s = Script::c01();
    for task in &s.last().tasks {
        let own: Vec<u64> =
            s.last().chain.iter().filter(|step| step.task == *task).map(|step| step.seq).collect();
        assert!(own.is_sorted(), "{task:?}: {own:?}");
    }
}

/// A reclaimer in NOFS deadlocks with the holder of a lock, which entered the filesystem before or
/// after it took that. Whether the entry is marked.
fn marked(before: bool) -> bool {
    let mut s = Script::default();
    let fs = s.names.add_layer(Layer::FS, "lower");
    let (journal, client) = (s.lock("journal", ""), s.lock("client", ""));
    let (holder, waiter) = (s.task("holder"), s.task("waiter"));
    if before {
        s.enter(holder, fs);
    }
    s.take(holder, client, EXCLUSIVE);
    if !before {
        s.enter(holder, fs);
    }
    s.take(waiter, journal, EXCLUSIVE);
    s.scope(waiter, ScopeKind::Nofs, 1);
    s.alloc(waiter, Gfp::KERNEL, Gfp::NOFS);
    s.reclaim(waiter, Gfp::NOFS);
    s.want(waiter, client, EXCLUSIVE, false);
    s.want(holder, journal, EXCLUSIVE, false);
    let finding = s.last();
    assert_eq!(finding.code.name(), "RD04");
    let entry = finding
        .chain
        .iter()
        .find(|step| matches!(step.what, StepKind::Frame(FrameKind::Layer { .. })));
    entry.expect("the holder's entry is told").forbidden.is_some()
}

#[test]
fn an_entry_is_marked_only_in_the_role_in_which_the_chain_came_to_its_task() {
    assert!(marked(false));
    assert!(!marked(true), "it is how the task came there, and forbidden by nobody");
}
