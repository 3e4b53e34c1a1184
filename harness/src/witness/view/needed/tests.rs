//! Who must act before a wait ends, and how many of those.

use crate::event::{
    Actor, EventKind, LockMode, Needs, PoolId, QueueId, RequestId, Resource, Site, TaskId,
};
use crate::witness::script::{Script, promise};
use crate::witness::{Needed, Role, View};

const SITE: Site = Site { file: "stack.rs", line: 1 };
const WRITE: LockMode = LockMode::Exclusive;
const READ: LockMode = LockMode::Shared;

fn view(s: &Script) -> &View {
    s.witness.view()
}

/// Who must act before the task's wait ends, and as what.
fn needed(s: &Script, task: TaskId) -> Vec<(TaskId, Role)> {
    view(s).needed(task).1.map(|Needed { task, how, .. }| (task, how)).collect()
}

#[test]
fn a_join_needs_the_task_that_is_joined_while_it_lives() {
    let mut s = Script::default();
    let (child, parent) = (s.task("child"), s.task("parent"));
    s.wait(parent, Resource::Task(child), "task exit");
    assert_eq!(needed(&s, parent), [(child, Role::Exits)]);
    s.on(child, EventKind::TaskExit);
    assert_eq!(needed(&s, parent), []);
}

#[test]
fn readers_need_no_readers_and_all_else_conflicts() {
    for (held, wanted, conflict) in [(READ, READ, false), (READ, WRITE, true), (WRITE, READ, true)]
    {
        let mut s = Script::default();
        let (lock, holder, waiter) = (s.lock("a", ""), s.task("holder"), s.task("waiter"));
        s.take(holder, lock, held);
        s.want(waiter, lock, wanted, false);
        assert_eq!(needed(&s, waiter).len(), usize::from(conflict), "{held:?} keeps {wanted:?}");
    }
}

#[test]
fn a_lock_needs_all_its_holders_and_a_queue_any_of_its_servers() {
    let mut s = Script::default();
    let lock = s.lock("a", "");
    let (queue, _) = s.queue("loop0");
    let [one, other, waiter] = ["one", "other", "waiter"].map(|name| s.task(name));
    s.take(one, lock, READ);
    s.take(other, lock, READ);
    s.want(waiter, lock, WRITE, false);
    assert_eq!(view(&s).needed(waiter).0, Needs::All);
    let request = s.submit(waiter, queue);
    s.wait(waiter, Resource::Request(request), "request");
    assert_eq!(view(&s).needed(waiter).0, Needs::One);
}

#[test]
fn readers_in_line_need_no_readers_ahead_but_writers() {
    let mut s = Script::default();
    let lock = s.lock("a", "");
    let [holder, reader, writer, last] =
        ["holder", "reader", "writer", "last"].map(|name| s.task(name));
    s.take(holder, lock, WRITE);
    s.want(reader, lock, READ, false);
    s.want(writer, lock, WRITE, false);
    s.want(last, lock, READ, false);
    assert_eq!(needed(&s, last), [(holder, Role::Holds), (writer, Role::AheadInLine)]);
}

#[test]
fn a_wait_without_an_attempt_at_that_lock_is_exclusive() {
    let mut s = Script::default();
    let (a, b) = (s.lock("a", ""), s.lock("b", ""));
    let (holder, waiter) = (s.task("holder"), s.task("waiter"));
    s.take(holder, a, READ);
    // It was another lock that it asked for shared.
    s.on(waiter, EventKind::LockAttempt { lock: b, mode: READ, try_lock: false, site: SITE });
    s.wait(waiter, Resource::Lock(a), "rwsem");
    assert_eq!(needed(&s, waiter), [(holder, Role::Holds)]);
}

#[test]
fn a_wait_for_time_or_for_new_work_needs_no_task() {
    for resource in [Resource::Timer, Resource::Idle(QueueId(0))] {
        let mut s = Script::default();
        s.queue("loop0");
        let task = s.task("t");
        s.wait(task, resource, "time");
        assert!(view(&s).wait(task).is_none() && needed(&s, task).is_empty(), "{resource:?}");
    }
}

/// Two elements of a pool are out: one with a request, one with a task.
fn pool() -> (Script, PoolId, [TaskId; 3], RequestId) {
    let mut s = Script::default();
    let pool = s.names.add_pool("bio");
    let (queue, server) = s.queue("vda");
    let (one, other) = (s.task("one"), s.task("other"));
    s.on(one, EventKind::PoolTake { pool, site: None });
    s.on(other, EventKind::PoolTake { pool, site: None });
    let request = s.submit(one, queue);
    s.on(one, EventKind::PoolHandOver { pool, request });
    (s, pool, [server, one, other], request)
}

fn waits_for_element(mut s: Script, pool: PoolId) -> Vec<(TaskId, Role)> {
    let waiter = s.task("waiter");
    s.wait(waiter, Resource::Pool(pool), "mempool element");
    let needed = needed(&s, waiter);
    assert_eq!(view(&s).needed(waiter).0, Needs::One);
    // Without known holders the wait is not stuck.
    assert_eq!(view(&s).is_stuck(waiter, |_| true), !needed.is_empty());
    needed
}

#[test]
fn an_element_that_was_handed_over_comes_back_through_the_server_of_the_request() {
    let (s, pool, [server, _, other], _) = pool();
    assert_eq!(
        waits_for_element(s, pool),
        [(other, Role::HasElement), (server, Role::ServesQueue)]
    );
    let (mut s, pool, [server, _, other], request) = self::pool();
    s.serve(server, QueueId(0), request);
    assert_eq!(waits_for_element(s, pool), [(other, Role::HasElement), (server, Role::Serves)]);
}

#[test]
fn a_wait_for_an_element_with_an_unknown_holder_has_no_edge() {
    let (mut s, pool, [server, ..], request) = pool();
    s.serve(server, QueueId(0), request);
    s.on(server, EventKind::RequestServed { request });
    assert_eq!(waits_for_element(s, pool), [], "it is below, where no task is known to act on it");
}

#[test]
fn a_task_that_gave_an_element_back_does_not_have_it() {
    let (mut s, pool, [server, _, other], _) = pool();
    s.on(other, EventKind::PoolGive { pool });
    assert_eq!(waits_for_element(s, pool), [(server, Role::ServesQueue)]);
}

#[test]
fn an_element_given_back_by_another_is_that_of_a_complete_request() {
    let (mut s, pool, [server, _, other], request) = pool();
    s.serve(server, QueueId(0), request);
    s.on(server, EventKind::RequestServed { request });
    s.on(server, EventKind::RequestComplete { request, error: None });
    s.on(server, EventKind::PoolGive { pool });
    assert_eq!(waits_for_element(s, pool), [(other, Role::HasElement)]);
}

#[test]
fn an_element_given_back_by_any_task_is_one_fewer() {
    let (mut s, pool, [server, ..], _) = pool();
    s.on(server, EventKind::PoolGive { pool });
    assert_eq!(waits_for_element(s, pool).len(), 1);
}

#[test]
fn a_task_ends_only_its_own_promise() {
    let mut s = Script::default();
    let condition = s.names.add_condition("log space");
    let [one, other, waiter] = ["one", "other", "waiter"].map(|name| s.task(name));
    s.on(one, promise(condition, one));
    s.on(other, promise(condition, other));
    s.on(one, EventKind::PromiseEnd { condition, by: Actor::Task(one) });
    s.wait(waiter, Resource::Condition(condition), "log space");
    assert_eq!(needed(&s, waiter), [(other, Role::Promised)]);
}
