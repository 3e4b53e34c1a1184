//! Promises of tasks, requests and work items; requests that were passed down; waits that were
//! over before they began.

use super::check;
use crate::event::{Actor, EventKind, Gfp, LockMode, Resource, Site, TaskId, WaitId};
use crate::witness::script::{Script, promise};

const EXCLUSIVE: LockMode = LockMode::Exclusive;
const SITE: Site = Site { file: "any.rs", line: 1 };

fn promise_by(condition: WaitId, by: Actor) -> EventKind {
    EventKind::Promise { condition, by, units: 1, site: None }
}

/// A task that holds a part of "trans" reclaims with `mask`; the reclaim of another task waits for
/// "trans" under `FS`.
fn through_reclaim(s: &mut Script, mask: Gfp, same: bool) {
    let trans = s.names.add_condition("trans");
    let (holder, other) = (s.task("holder"), s.task("other"));
    s.on(holder, promise(trans, holder));
    s.alloc(holder, Gfp::KERNEL, mask);
    s.reclaim(holder, mask);
    if same {
        s.wait(holder, Resource::Condition(trans), "trans");
        return;
    }
    s.end_reclaim(holder);
    s.alloc(other, Gfp::KERNEL, Gfp::KERNEL);
    s.reclaim(other, Gfp::KERNEL);
    s.wait(other, Resource::Condition(trans), "trans");
}

#[test]
fn a_condition_that_is_held_over_reclaim_and_taken_in_reclaim_is_a_cycle() {
    for same in [true, false] {
        check(&["trans > fs_reclaim"], |s| through_reclaim(s, Gfp::KERNEL, same));
    }
    check(&[], |s| through_reclaim(s, Gfp::NOFS, false));
}

#[test]
fn the_only_task_that_promised_waits_for_itself() {
    check(&["space"], |s| {
        let (space, one) = (s.names.add_condition("space"), s.task("one"));
        s.on(one, promise(space, one));
        s.wait(one, Resource::Condition(space), "space");
    });
}

/// A server takes a lock while `by` has promised; another waits for the condition under that lock.
#[track_caller]
fn check_served(expect: &[&str], story: impl FnOnce(&mut Script, &mut Served)) {
    check(expect, |s| {
        let space = s.names.add_condition("space");
        let (queue, server) = s.queue("disk");
        let (works, worker) = s.queue("q");
        let (maker, writer) = (s.task("maker"), s.task("writer"));
        let lock = s.lock("lock", "l");
        let mut served = Served { space, queue, server, works, worker, maker, lock };
        story(s, &mut served);
        s.take(writer, lock, EXCLUSIVE);
        s.wait(writer, Resource::Condition(space), "space");
    });
}

struct Served {
    space: WaitId,
    queue: crate::event::QueueId,
    server: TaskId,
    works: crate::event::QueueId,
    worker: TaskId,
    maker: TaskId,
    lock: crate::event::LockId,
}

impl Served {
    fn takes(&self, s: &mut Script, task: TaskId) {
        s.take(task, self.lock, EXCLUSIVE);
        s.give_up(task, self.lock);
    }
}

#[test]
fn a_promise_of_a_request_is_held_by_the_task_that_serves_it_while_it_does() {
    for before in [true, false] {
        let story = |while_served: bool| {
            move |s: &mut Script, all: &mut Served| {
                let request = s.submit(all.maker, all.queue);
                let made = promise_by(all.space, Actor::Request(request));
                if before {
                    s.on(all.maker, made);
                }
                s.serve(all.server, all.queue, request);
                if !before {
                    s.on(all.server, made);
                }
                if while_served {
                    all.takes(s, all.server);
                }
                s.on(all.server, EventKind::RequestServed { request });
                if !while_served {
                    all.takes(s, all.server);
                }
            }
        };
        check_served(&["space > l"], story(true));
        check_served(&[], story(false));
    }
}

#[test]
fn a_promise_of_a_work_item_is_held_by_its_worker_until_it_ends() {
    let story = |ends: bool| {
        move |s: &mut Script, all: &mut Served| {
            let work = s.queue_work(all.maker, all.works);
            let by = Actor::Work(work);
            s.on(all.maker, promise_by(all.space, by));
            s.begin_work(all.worker, all.works, work);
            // The worker's own signal does not keep the promise of the item.
            s.on(all.worker, EventKind::Signal { condition: all.space });
            if ends {
                s.on(all.worker, EventKind::PromiseEnd { condition: all.space, by });
            }
            all.takes(s, all.worker);
        }
    };
    check_served(&["space > l"], story(false));
    check_served(&[], story(true));
}

/// A request is passed down to a work item, whose worker takes a lock; another waits for the
/// request under that lock.
fn passed_down(s: &mut Script, passed: bool, complete: bool) {
    let (disk, server) = s.queue("disk");
    let (dio, worker) = s.queue("dio");
    let (maker, lock) = (s.task("maker"), s.lock("lock", "l"));
    let request = s.submit(maker, disk);
    s.serve(server, disk, request);
    let end = s.queue_work(server, dio);
    if passed {
        s.on(server, EventKind::RequestPassed { request, to: Actor::Work(end) });
    }
    s.on(server, EventKind::RequestServed { request });
    s.begin_work(worker, dio, end);
    if complete {
        s.on(worker, EventKind::RequestComplete { request, error: None });
    }
    s.take(worker, lock, EXCLUSIVE);
    s.give_up(worker, lock);
    s.on(worker, EventKind::WorkEnd { work: end });
    let request = s.submit(maker, disk);
    s.take(maker, lock, EXCLUSIVE);
    s.wait(maker, Resource::Request(request), "request");
}

#[test]
fn whoever_carries_a_request_holds_the_requests_of_its_queue_until_it_is_complete() {
    check(&["disk > l"], |s| passed_down(s, true, false));
    check(&[], |s| passed_down(s, false, false));
    check(&[], |s| passed_down(s, true, true));
}

#[test]
fn a_wait_for_a_request_takes_the_items_before_the_one_that_carries_it() {
    let story = |passed: bool| {
        move |s: &mut Script| {
            let (disk, server) = s.queue("disk");
            let (dio, worker) = s.queue("dio");
            let (pusher, log) = (s.task("xfsaild"), s.names.add_condition("log"));
            let conv = s.queue_work(pusher, dio);
            s.begin_work(worker, dio, conv);
            s.on(pusher, promise(log, pusher));
            let request = s.submit(pusher, disk);
            s.wait(pusher, Resource::Request(request), "write");
            s.serve(server, disk, request);
            let work = s.names.add_work("end");
            s.on(server, EventKind::WorkQueued { work, queue: dio });
            if passed {
                s.on(server, EventKind::RequestPassed { request, to: Actor::Work(work) });
            }
            s.on(server, EventKind::RequestServed { request });
            s.wait(worker, Resource::Condition(log), "log space");
        }
    };
    check(&["log > flush of dio"], story(true));
    check(&[], story(false));
}

#[test]
fn a_wait_that_was_over_before_it_began_counts_as_one() {
    let story = |tells: bool| {
        move |s: &mut Script| {
            let lock = s.lock("lock", "l");
            let (queue, server) = s.queue("disk");
            let task = s.task("t");
            let request = s.submit(task, queue);
            s.serve(server, queue, request);
            s.take(server, lock, EXCLUSIVE);
            s.give_up(server, lock);
            s.on(server, EventKind::RequestServed { request });
            s.on(server, EventKind::RequestComplete { request, error: None });
            s.take(task, lock, EXCLUSIVE);
            if tells {
                let resource = Resource::Request(request);
                s.on(task, EventKind::WaitPassed { resource, site: SITE });
            }
        }
    };
    check(&["disk > l"], story(true));
    check(&[], story(false));
}
