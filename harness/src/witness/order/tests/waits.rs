//! Waiting for progress: requests, work, pools, conditions, exits; and the deadlock of 2014 from
//! two runs without it.

use super::{check, cycles};
use crate::event::{
    Actor, EventKind, Gfp, LockId, LockMode, PoolId, QueueId, ReclaimKind, Resource, Site, TaskId,
    WaitId, WaitOutcome,
};
use crate::witness::OrderGraph;
use crate::witness::script::{Script, promise};

const EXCLUSIVE: LockMode = LockMode::Exclusive;
const SITE: Site = Site { file: "any.rs", line: 1 };

fn write_and_wait(
    s: &mut Script,
    task: TaskId,
    queue: QueueId,
    server: TaskId,
) -> crate::event::RequestId {
    let request = s.submit(task, queue);
    s.wait(task, Resource::Request(request), "request");
    s.serve(server, queue, request);
    request
}

fn done(s: &mut Script, task: TaskId, server: TaskId, request: crate::event::RequestId) {
    s.on(server, EventKind::RequestServed { request });
    s.on(server, EventKind::RequestComplete { request, error: None });
    s.end_wait(task, Resource::Request(request), WaitOutcome::Satisfied);
}

/// A task holds `lock` while it waits for a request, or not; at another time the server takes it.
#[track_caller]
fn check_request(expect: &[&str], held: bool) {
    check(expect, |s| {
        let lock = s.lock("lock", "l");
        let (queue, server) = s.queue("loop0");
        let task = s.task("t");
        if held {
            s.take(task, lock, EXCLUSIVE);
        }
        let request = write_and_wait(s, task, queue, server);
        done(s, task, server, request);
        if held {
            s.give_up(task, lock);
        }
        let request = write_and_wait(s, task, queue, server);
        s.take(server, lock, EXCLUSIVE);
        s.give_up(server, lock);
        done(s, task, server, request);
        // Served no more.
        let other = s.lock("other", "o");
        s.take(server, other, EXCLUSIVE);
        s.take(task, other, EXCLUSIVE);
        write_and_wait(s, task, queue, server);
    });
}

#[test]
fn what_a_server_takes_is_not_held_by_its_waiter() {
    check_request(&["l > loop0"], true);
    check_request(&[], false);
}

#[test]
fn a_server_that_waits_for_its_own_queue_is_found() {
    check(&["loop0"], |s| {
        let (queue, server) = s.queue("loop0");
        let task = s.task("t");
        write_and_wait(s, task, queue, server);
        let own = s.submit(server, queue);
        s.wait(server, Resource::Request(own), "request");
    });
}

#[test]
fn stacked_devices_collide_in_classes_alone() {
    check(&["[loop1]"], |s| {
        let (lower, lower_server) = s.queue("loop0");
        let (upper, upper_server) = s.queue("loop1");
        let task = s.task("t");
        write_and_wait(s, task, upper, upper_server);
        write_and_wait(s, upper_server, lower, lower_server);
    });
}

#[test]
fn a_number_that_is_published_before_its_request_is_waited_for_all_the_same() {
    check(&["loop0 > l"], |s| {
        let lock = s.lock("lock", "l");
        let (queue, server) = s.queue("loop0");
        let (submitter, waiter) = (s.task("submitter"), s.task("waiter"));
        let first = write_and_wait(s, submitter, queue, server);
        s.take(server, lock, EXCLUSIVE);
        s.give_up(server, lock);
        done(s, submitter, server, first);
        s.take(waiter, lock, EXCLUSIVE);
        let next = crate::event::RequestId(first.0 + 1);
        s.wait(waiter, Resource::Request(next), "buffer WRITING");
        assert_eq!(cycles(s).len(), 0, "nobody knows yet whose it will be");
        s.submit(submitter, queue);
    });
}

/// A lock is held over the flush of a work queue, or not; the work takes it.
#[track_caller]
fn check_work(expect: &[&str], held: bool) {
    check(expect, |s| {
        let lock = s.lock("lock", "l");
        let (queue, worker) = s.queue("events");
        let task = s.task("t");
        if held {
            s.take(task, lock, EXCLUSIVE);
        }
        let work = s.queue_work(task, queue);
        s.wait(task, Resource::Work(work), "work item");
        if held {
            s.give_up(task, lock);
        }
        s.begin_work(worker, queue, work);
        s.take(worker, lock, EXCLUSIVE);
        s.give_up(worker, lock);
        s.on(worker, EventKind::WorkEnd { work });
        // No longer in the work.
        let other = s.lock("other", "o");
        s.take(worker, other, EXCLUSIVE);
        s.take(task, other, EXCLUSIVE);
        let again = s.queue_work(task, queue);
        s.wait(task, Resource::Work(again), "work item");
    });
}

#[test]
fn what_a_work_item_takes_is_not_held_by_the_task_that_flushes_it() {
    check_work(&["l > flush of events"], true);
    check_work(&[], false);
}

/// A task holds a lock and flushes an item, before or after the worker takes the lock in the item
/// that was queued first. `servers` serve the queue, and the flushed item runs or is queued.
#[track_caller]
fn check_flush(expect: &[&str], servers: usize, runs: bool) {
    check(expect, |s| {
        let lock = s.lock("lock", "l");
        let (queue, worker) = s.queue("events");
        let other_worker = (servers > 1).then(|| s.server(queue, "events/1"));
        let (task, queuer) = (s.task("t"), s.task("queuer"));
        let (takes, harmless) = (s.names.add_work("takes"), s.names.add_work("harmless"));
        for work in if runs { [harmless, takes] } else { [takes, harmless] } {
            s.on(queuer, EventKind::WorkQueued { work, queue });
        }
        let first = if runs { harmless } else { takes };
        s.begin_work(worker, queue, first);
        s.take(task, lock, EXCLUSIVE);
        s.wait(task, Resource::Work(harmless), "work item");
        if let Some(second) = other_worker {
            s.begin_work(second, queue, harmless);
            s.on(second, EventKind::WorkEnd { work: harmless });
            s.end_wait(task, Resource::Work(harmless), WaitOutcome::Satisfied);
            s.give_up(task, lock);
        }
        if runs {
            s.on(worker, EventKind::WorkEnd { work: harmless });
            s.end_wait(task, Resource::Work(harmless), WaitOutcome::Satisfied);
            s.give_up(task, lock);
            s.begin_work(worker, queue, takes);
        }
        s.take(worker, lock, EXCLUSIVE);
    });
}

#[test]
fn a_flush_depends_on_what_is_queued_before_the_item_and_on_nothing_once_it_runs() {
    check_flush(&["l > takes of events"], 1, false);
    check_flush(&[], 1, true);
    check_flush(&[], 2, false);
}

#[test]
fn an_item_that_flushes_an_item_behind_it_flushes_itself() {
    check(&["outer of events"], |s| {
        let (queue, worker) = s.queue("events");
        let task = s.task("t");
        let (outer, inner) = (s.names.add_work("outer"), s.names.add_work("inner"));
        s.on(task, EventKind::WorkQueued { work: outer, queue });
        s.begin_work(worker, queue, outer);
        s.on(worker, EventKind::WorkQueued { work: inner, queue });
        s.wait(worker, Resource::Work(inner), "work item");
    });
}

/// A task has an element of a pool and takes a lock, under which another waits for an element; or
/// first gives the element back.
#[track_caller]
fn check_pool(expect: &[&str], kept: bool, by: usize) {
    check(expect, |s| {
        let pool: PoolId = s.names.add_pool("bio");
        let lock = s.lock("lock", "l");
        let tasks = [s.task("t"), s.task("other")];
        s.on(tasks[0], EventKind::PoolTake { pool, site: None });
        s.on(tasks[0], EventKind::PoolTake { pool, site: None });
        s.on(tasks[by], EventKind::PoolGive { pool });
        if !kept {
            s.on(tasks[by], EventKind::PoolGive { pool });
        }
        s.take(tasks[0], lock, EXCLUSIVE);
        s.give_up(tasks[0], lock);
        s.take(tasks[1], lock, EXCLUSIVE);
        s.wait(tasks[1], Resource::Pool(pool), "mempool element");
    });
}

#[test]
fn a_holder_of_an_element_does_not_take_what_is_held_for_one() {
    for by in [0, 1] {
        check_pool(&["bio > l"], true, by);
        check_pool(&[], false, by);
    }
}

#[test]
fn what_a_task_takes_is_not_held_by_its_joiner() {
    let story = |held: bool| {
        move |s: &mut Script| {
            let lock = s.lock("lock", "l");
            let (parent, child) = (s.task("parent"), s.task("child"));
            s.take(child, lock, EXCLUSIVE);
            s.give_up(child, lock);
            if held {
                s.take(parent, lock, EXCLUSIVE);
            }
            s.wait(parent, Resource::Task(child), "task exit");
        }
    };
    check(&["child > l"], story(true));
    check(&[], story(false));
}

#[test]
fn a_second_element_of_a_pool_is_no_recursion() {
    check(&[], |s| {
        let pool = s.names.add_pool("bio");
        let task = s.task("t");
        s.on(task, EventKind::PoolTake { pool, site: None });
        s.wait(task, Resource::Pool(pool), "mempool element");
    });
}

/// A task promises log space and takes a lock, under which another waits for log space; or first
/// keeps the promise.
#[track_caller]
fn check_promise(expect: &[&str], ends: Option<fn(WaitId, Actor) -> EventKind>) {
    check(expect, |s| {
        let condition = s.names.add_condition("log space");
        let lock = s.lock("lock", "l");
        let (pusher, writer) = (s.task("pusher"), s.task("writer"));
        s.on(pusher, promise(condition, pusher));
        if let Some(ends) = ends {
            s.on(pusher, promise(condition, pusher));
            s.on(pusher, ends(condition, Actor::Task(pusher)));
        }
        s.take(pusher, lock, EXCLUSIVE);
        s.give_up(pusher, lock);
        s.take(writer, lock, EXCLUSIVE);
        s.wait(writer, Resource::Condition(condition), "log space");
    });
}

#[test]
fn a_task_that_promised_a_condition_does_not_take_what_is_held_for_it() {
    check_promise(&["log space > l"], None);
    check_promise(
        &["log space > l"],
        Some(|condition, by| EventKind::PromiseEnd { condition, by }),
    );
    // A signal keeps every promise, the end of a promise one of two.
    check_promise(&[], Some(|condition, _| EventKind::Signal { condition }));
}

#[test]
fn a_promiser_that_waits_for_another_promiser_is_no_recursion() {
    check(&[], |s| {
        let condition = s.names.add_condition("log space");
        let (one, other) = (s.task("one"), s.task("other"));
        s.on(other, promise(condition, other));
        s.on(one, promise(condition, one));
        s.wait(one, Resource::Condition(condition), "log space");
    });
}

/// rsync makes a file: under the journal it allocates, in NOFS. Memory is plentiful.
fn make_a_file(s: &mut Script, journal: LockId) {
    let rsync = s.task("rsync");
    s.take(rsync, journal, EXCLUSIVE);
    s.alloc(rsync, Gfp::KERNEL, Gfp::NOFS);
    s.give_up(rsync, journal);
}

/// Somebody without a lock reclaims, and writes a dirty buffer to loop0, whose file is on the
/// filesystem.
fn reclaim_elsewhere(s: &mut Script, journal: LockId, mask: Gfp) {
    let (queue, worker) = s.queue("loop0");
    let task = s.task("elsewhere");
    s.reclaim(task, mask);
    let request = write_and_wait(s, task, queue, worker);
    s.take(worker, journal, EXCLUSIVE);
    s.give_up(worker, journal);
    done(s, task, worker, request);
    s.end_reclaim(task);
}

fn journal(s: &mut Script) -> LockId {
    s.lock("journal", "fs:lower")
}

#[test]
fn the_deadlock_of_2014_is_seen_coming_from_two_uneventful_tasks() {
    let story = |mask: Gfp| {
        move |s: &mut Script| {
            let journal = journal(s);
            make_a_file(s, journal);
            reclaim_elsewhere(s, journal, mask);
        }
    };
    let s = check(&["fs:lower > io_reclaim > loop0"], story(Gfp::NOFS));
    assert_eq!(s.codes(), ["RD03"]);
    // The cure: it waits only where FS is allowed.
    check(&[], story(Gfp::KERNEL));
}

#[test]
fn and_from_two_runs_of_one_task_each() {
    for (mask, expect) in [(Gfp::NOFS, 1), (Gfp::KERNEL, 0)] {
        let mut first = Script::going_on_from(OrderGraph::default(), false);
        let lock = journal(&mut first);
        make_a_file(&mut first, lock);
        assert_eq!(first.codes(), [""; 0]);
        // In the next world everything has other numbers.
        let mut next = Script::going_on_from(first.witness.order().unwrap().clone(), false);
        next.lock("unrelated", "u");
        let lock = journal(&mut next);
        reclaim_elsewhere(&mut next, lock, mask);
        assert_eq!(cycles(&next).len(), expect, "{mask}");
        let ago = next
            .witness
            .findings()
            .iter()
            .flat_map(|finding| &finding.order.as_ref().unwrap().edges);
        let ago: Vec<_> = ago.map(|edge| (edge.task_name.clone(), edge.runs_ago)).collect();
        let seen = [("rsync", 1), ("elsewhere", 0), ("loop0", 0)]
            .map(|(name, runs)| (name.to_owned(), runs));
        assert_eq!(ago, seen[..3 * expect]);
    }
}

#[test]
fn a_work_item_whose_number_is_published_before_it_is_queued_is_waited_for_all_the_same() {
    check(&["flush of events > l"], |s| {
        let lock = s.lock("lock", "l");
        let (queue, worker) = s.queue("events");
        let (queuer, waiter) = (s.task("queuer"), s.task("waiter"));
        let first = s.queue_work(queuer, queue);
        s.begin_work(worker, queue, first);
        s.take(worker, lock, EXCLUSIVE);
        s.give_up(worker, lock);
        s.on(worker, EventKind::WorkEnd { work: first });
        s.take(waiter, lock, EXCLUSIVE);
        s.wait(waiter, Resource::Work(crate::event::WorkId(first.0 + 1)), "work item");
        assert_eq!(cycles(s).len(), 0, "nobody knows yet where it will be");
        s.queue_work(queuer, queue);
    });
}

#[test]
fn a_wait_for_a_lock_without_an_attempt_takes_the_lock() {
    check(&["l > m"], |s| {
        let (one, other) = (s.lock("one", "l"), s.lock("other", "m"));
        let task = s.task("t");
        s.take(task, one, EXCLUSIVE);
        s.take(task, other, EXCLUSIVE);
        s.give_up(task, other);
        s.give_up(task, one);
        s.take(task, other, EXCLUSIVE);
        s.wait(task, Resource::Lock(one), "mutex");
    });
}

#[test]
fn a_reader_that_has_to_wait_is_no_writer() {
    check(&[], |s| {
        let (one, other) = (s.lock("one", "l"), s.lock("other", "m"));
        let task = s.task("t");
        for [first, second] in [[one, other], [other, one]] {
            s.take(task, first, LockMode::Shared);
            s.want(task, second, LockMode::Shared, false);
            s.on(
                task,
                EventKind::LockAcquired { lock: second, mode: LockMode::Shared, site: SITE },
            );
            s.give_up(task, second);
            s.give_up(task, first);
        }
    });
}

#[test]
fn an_edge_says_how_each_end_was_taken() {
    let s = check(&["l > m"], |s| {
        let (one, other) = (s.lock("one", "l"), s.lock("other", "m"));
        let task = s.task("t");
        s.take(task, one, EXCLUSIVE);
        s.take(task, other, LockMode::Shared);
        s.give_up(task, other);
        s.give_up(task, one);
        s.take(task, other, EXCLUSIVE);
        s.take(task, one, EXCLUSIVE);
    });
    let told = s
        .last()
        .order
        .as_ref()
        .unwrap()
        .edges
        .iter()
        .map(|edge| (edge.from_shared, edge.to_shared));
    assert_eq!(told.collect::<Vec<_>>(), [(false, true), (false, false)]);
}

/// kswapd promises to refill the reserves and reclaims, in which it takes a lock; a task that holds
/// this lock, or another, reclaims and waits for the reserves.
#[track_caller]
fn check_reserves(expect: &[&str], holds_the_lock: bool) {
    check(expect, |s| {
        let (kswapd, user) = (s.task("kswapd0"), s.task("user"));
        let (lock, other) = (s.lock("lock", "l"), s.lock("other", "o"));
        let reserves = s.names.add_condition("reserves");
        s.on(kswapd, promise(reserves, kswapd));
        s.on(kswapd, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL });
        s.take(kswapd, lock, LockMode::Exclusive);
        s.give_up(kswapd, lock);
        s.on(kswapd, EventKind::ReclaimExit { freed: 0, priority: 0 });
        s.on(kswapd, EventKind::Signal { condition: reserves });
        s.take(user, if holds_the_lock { lock } else { other }, LockMode::Exclusive);
        s.alloc(user, Gfp::KERNEL, Gfp::KERNEL);
        s.reclaim(user, Gfp::KERNEL);
        s.wait(user, Resource::Condition(reserves), "reserves");
    });
}

#[test]
fn a_reclaimer_that_waits_for_kswapd_is_no_recursion_unless_kswapd_takes_what_it_holds() {
    check_reserves(&[], false);
    check_reserves(&["fs_reclaim > l", "reserves > l > fs_reclaim"], true);
}
