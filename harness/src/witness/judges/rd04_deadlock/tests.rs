//! RD04 on scripted events: cycles of every kind, and near misses.

mod suppliers;

use crate::error::Errno;
use crate::event::{
    Actor, EventKind, LockId, LockMode, RequestId, Resource, TaskId, TaskKind, WaitId, WaitOutcome,
    WorkId,
};
use crate::witness::script::{Script, promise};
use crate::witness::{Step, StepKind};

mod handed_over;

const WRITE: LockMode = LockMode::Exclusive;
const READ: LockMode = LockMode::Shared;

#[track_caller]
fn check(expect: &[&str], story: impl FnOnce(&mut Script)) -> Script {
    let mut s = Script::default();
    story(&mut s);
    assert_eq!(s.codes(), expect);
    s
}

#[test]
fn two_locks_in_opposite_order() {
    let s = check(&["RD04"], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let (one, two) = (s.task("one"), s.task("two"));
        s.take(one, a, WRITE);
        s.take(two, b, WRITE);
        s.want(one, b, WRITE, false);
        s.want(two, a, WRITE, true);
    });
    assert_eq!(s.last().breakable, [TaskId(1)]);
    assert_eq!(s.last().cycle.len(), 2);
}

#[test]
fn two_locks_in_the_same_order_are_legal() {
    check(&[], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let (one, two) = (s.task("one"), s.task("two"));
        s.take(one, a, WRITE);
        s.want(two, a, WRITE, false);
        s.take(one, b, WRITE);
    });
}

#[test]
fn a_lock_taken_twice_is_a_cycle_of_one() {
    let s = check(&["RD04"], |s| {
        let (a, one) = (s.lock("a", ""), s.task("one"));
        s.take(one, a, WRITE);
        s.want(one, a, WRITE, false);
    });
    assert_eq!(s.last().tasks, [TaskId(0)]);
}

#[test]
fn a_reader_behind_a_writer_waits_for_the_reader_that_the_writer_waits_for() {
    let story = |writer: bool| {
        move |s: &mut Script| {
            let (sem, other) = (s.lock("sem", ""), s.lock("other", ""));
            let (holder, second, third) = (s.task("holder"), s.task("writer"), s.task("reader"));
            s.take(holder, sem, READ);
            s.take(third, other, WRITE);
            s.want(holder, other, WRITE, false);
            if writer {
                s.want(second, sem, WRITE, false);
            }
            s.want(third, sem, READ, false);
        }
    };
    check(&["RD04"], story(true));
    check(&[], story(false));
}

#[test]
fn a_queue_is_stuck_only_when_all_its_servers_are() {
    let story = |free: bool| {
        move |s: &mut Script| {
            let a = s.lock("a", "");
            let one = s.task("one");
            let (queue, first) = s.queue("loop0");
            let second = s.server(queue, "loop0/1");
            s.take(one, a, WRITE);
            for server in if free { vec![first] } else { vec![first, second] } {
                let other = s.submit(one, queue);
                s.serve(server, queue, other);
                s.want(server, a, WRITE, false);
            }
            let request = s.submit(one, queue);
            s.wait(one, Resource::Request(request), "request");
        }
    };
    let s = check(&["RD04"], story(false));
    assert_eq!(s.last().tasks, [TaskId(0), TaskId(1), TaskId(2)]);
    check(&[], story(true));
}

#[test]
fn a_request_behind_another_waits_for_its_turn() {
    check(&["RD04"], |s| {
        let a = s.lock("a", "");
        let (one, two) = (s.task("one"), s.task("two"));
        let (queue, server) = s.queue("loop0");
        s.take(one, a, WRITE);
        let ahead = s.submit(two, queue);
        s.serve(server, queue, ahead);
        s.want(server, a, WRITE, false);
        let request = s.submit(one, queue);
        s.wait(one, Resource::Request(request), "request");
    });
}

#[test]
fn a_server_that_waits_for_its_own_queue() {
    let s = check(&["RD04"], |s| {
        let (queue, server) = s.queue("loop0");
        let one = s.task("one");
        let request = s.submit(one, queue);
        s.serve(server, queue, request);
        let own = s.submit(server, queue);
        s.wait(server, Resource::Request(own), "request");
    });
    assert_eq!(s.last().tasks.len(), 1);
}

#[test]
fn an_idle_server_is_not_stuck() {
    check(&[], |s| {
        let (queue, _) = s.queue("loop0");
        let one = s.task("one");
        let request = s.submit(one, queue);
        s.wait(one, Resource::Request(request), "request");
    });
}

#[test]
fn work_that_needs_what_its_flusher_holds() {
    check(&["RD04"], |s| {
        let (a, one) = (s.lock("a", ""), s.task("one"));
        let (queue, worker) = s.queue("events");
        s.take(one, a, WRITE);
        let work = s.queue_work(one, queue);
        s.wait(one, Resource::Work(work), "work item");
        s.begin_work(worker, queue, work);
        s.want(worker, a, WRITE, false);
    });
}

#[test]
fn a_request_whose_number_was_published_before_its_submission() {
    check(&["RD04"], |s| {
        let a = s.lock("a", "");
        let (one, two) = (s.task("one"), s.task("two"));
        let (queue, server) = s.queue("loop0");
        s.take(two, a, WRITE);
        let ahead = s.submit(one, queue);
        s.serve(server, queue, ahead);
        s.want(server, a, WRITE, false);
        s.wait(two, Resource::Request(RequestId(1)), "request");
        s.submit(one, queue);
    });
}

#[test]
fn a_join_of_a_task_that_waits_for_the_joiner() {
    check(&["RD04"], |s| {
        let a = s.lock("a", "");
        let (one, two) = (s.task("one"), s.task("two"));
        s.take(one, a, WRITE);
        s.want(two, a, WRITE, false);
        s.wait(one, Resource::Task(two), "task exit");
    });
}

#[test]
fn a_broken_wait_is_no_edge_any_more() {
    let story = |broken: bool| {
        move |s: &mut Script| {
            let (a, b, c) = (s.lock("a", ""), s.lock("b", ""), s.lock("c", ""));
            let (one, two, three) = (s.task("one"), s.task("two"), s.task("three"));
            s.take(one, a, WRITE);
            s.take(two, b, WRITE);
            s.take(three, c, WRITE);
            s.want(two, c, WRITE, true);
            s.want(one, b, WRITE, false);
            if broken {
                s.end_wait(two, Resource::Lock(c), WaitOutcome::Broken(Errno::EDEADLK));
            }
            s.want(three, a, WRITE, false);
        }
    };
    check(&[], story(true));
    check(&["RD04"], story(false));
}

#[test]
fn the_same_cycle_is_found_once() {
    check(&["RD04"], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let (one, two) = (s.task("one"), s.task("two"));
        s.take(one, a, WRITE);
        s.take(two, b, WRITE);
        for _ in 0..2 {
            s.want(one, b, WRITE, false);
            s.want(two, a, WRITE, true);
            s.end_wait(two, Resource::Lock(a), WaitOutcome::Broken(Errno::EDEADLK));
            s.end_wait(one, Resource::Lock(b), WaitOutcome::Broken(Errno::EDEADLK));
        }
    });
}

#[test]
fn a_task_that_comes_behind_a_deadlock_is_not_another() {
    check(&["RD04"], |s| {
        let a = s.lock("a", "");
        let (one, two) = (s.task("one"), s.task("two"));
        s.take(one, a, WRITE);
        s.want(one, a, WRITE, false);
        s.want(two, a, WRITE, false);
    });
}

#[test]
fn a_cycle_through_a_foreign_worker() {
    let s = check(&["RD04"], |s| {
        let (a, one) = (s.lock("a", ""), s.task("one"));
        let device = s.names.add_queue("loop0");
        let kernel = s.spawn("kworker/loop0", TaskKind::Foreign);
        let (fuse, handler) = s.queue("fuse/1");
        s.take(one, a, WRITE);
        let write = s.submit(one, device);
        s.wait(one, Resource::Request(write), "request");
        s.serve(kernel, device, write);
        let call = s.submit(kernel, fuse);
        s.wait(kernel, Resource::Request(call), "fuse reply");
        s.serve(handler, fuse, call);
        s.want(handler, a, WRITE, true);
    });
    assert_eq!(s.last().cycle.len(), 3);
}

#[test]
fn a_request_is_stuck_only_when_no_server_of_its_queue_waits_for_a_task_that_can_go_on() {
    let story = |goes_on: bool| {
        move |s: &mut Script| {
            let (a, b) = (s.lock("a", ""), s.lock("b", ""));
            let (one, two) = (s.task("one"), s.task("two"));
            let (queue, first) = s.queue("loop0");
            let second = s.server(queue, "loop0/1");
            s.take(one, a, WRITE);
            s.take(if goes_on { two } else { one }, b, WRITE);
            for (server, lock) in [(first, a), (second, b)] {
                let other = s.submit(two, queue);
                s.serve(server, queue, other);
                s.want(server, lock, WRITE, false);
            }
            let request = s.submit(one, queue);
            s.wait(one, Resource::Request(request), "request");
        }
    };
    check(&[], story(true));
    check(&["RD04"], story(false));
}

#[test]
fn a_number_is_published_before_its_request_while_others_wait_for_other_things() {
    check(&["RD04"], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let (bystander, one, two) = (s.task("bystander"), s.task("one"), s.task("two"));
        let (queue, server) = s.queue("loop0");
        s.take(one, b, WRITE);
        s.want(bystander, b, WRITE, false);
        s.take(two, a, WRITE);
        let ahead = s.submit(one, queue);
        s.serve(server, queue, ahead);
        s.want(server, a, WRITE, false);
        s.wait(two, Resource::Request(RequestId(1)), "request");
        s.submit(one, queue);
    });
}

#[test]
fn a_work_item_whose_number_was_published_before_it_was_queued() {
    check(&["RD04"], |s| {
        let a = s.lock("a", "");
        let (one, two) = (s.task("one"), s.task("two"));
        let (queue, worker) = s.queue("events");
        s.take(two, a, WRITE);
        let ahead = s.queue_work(one, queue);
        s.begin_work(worker, queue, ahead);
        s.want(worker, a, WRITE, false);
        s.wait(two, Resource::Work(WorkId(ahead.0 + 1)), "work item");
        s.queue_work(one, queue);
    });
}

#[test]
fn what_keeps_the_other_servers_of_a_queue_is_part_of_the_deadlock() {
    let s = check(&["RD04"], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let (one, three) = (s.task("one"), s.task("three"));
        let (queue, first) = s.queue("loop0");
        let second = s.server(queue, "loop0/1");
        s.take(one, a, WRITE);
        s.take(three, b, WRITE);
        s.want(three, a, WRITE, false);
        for (server, lock) in [(first, a), (second, b)] {
            let other = s.submit(one, queue);
            s.serve(server, queue, other);
            s.want(server, lock, WRITE, false);
        }
        let request = s.submit(one, queue);
        s.wait(one, Resource::Request(request), "request");
    });
    assert_eq!(
        s.last().tasks,
        [0, 2, 3, 1].map(TaskId),
        "one and its servers; then the task that blocks the second server"
    );
}

#[test]
fn a_lock_is_stuck_when_one_of_its_readers_is() {
    check(&["RD04"], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let [free, reader, writer] = ["free", "reader", "writer"].map(|name| s.task(name));
        s.take(free, a, READ);
        s.take(reader, a, READ);
        s.take(writer, b, WRITE);
        s.want(reader, b, WRITE, false);
        s.want(writer, a, WRITE, false);
    });
}

/// The edges of the chain: each waiter with the task that it needs.
fn edges(s: &Script) -> Vec<(u32, u32)> {
    let edge = |step: &Step| match step.what {
        StepKind::Needs { on, .. } => Some((step.task.0, on.0)),
        _ => None,
    };
    s.last().chain.iter().filter_map(edge).collect()
}

#[test]
fn the_edges_go_round_the_cycle_and_then_from_the_other_servers() {
    let s = check(&["RD04"], |s| {
        let (a, b) = (s.lock("a", ""), s.lock("b", ""));
        let (one, three) = (s.task("one"), s.task("three"));
        let (queue, other) = s.queue("loop0");
        let second = s.server(queue, "loop0/1");
        s.take(one, a, WRITE);
        s.take(three, b, WRITE);
        s.want(three, a, WRITE, false);
        // The shortest way round is through the second server; the first waits for one more task.
        for (server, lock) in [(other, b), (second, a)] {
            let ahead = s.submit(one, queue);
            s.serve(server, queue, ahead);
            s.want(server, lock, WRITE, false);
        }
        let request = s.submit(one, queue);
        s.wait(one, Resource::Request(request), "request");
    });
    let [one, three, other, second] = [0, 1, 2, 3];
    assert_eq!(edges(&s), [(one, second), (second, one), (other, three), (three, one)]);
}

/// "waiter" holds `held` and waits for log space, which "commit" promised. In the wait its
/// condition takes `log` from "commit", which `goes_on` then lets do something.
#[track_caller]
fn check_nested(expect: &[&str], goes_on: impl FnOnce(&mut Script, [TaskId; 2], WaitId)) -> Script {
    check(expect, |s| {
        let space = s.names.add_condition("log space");
        let (held, log) = (s.lock("held", ""), s.lock("log", ""));
        let [waiter, commit] = ["waiter", "commit"].map(|name| s.task(name));
        s.on(commit, promise(space, commit));
        s.take(waiter, held, WRITE);
        s.take(commit, log, WRITE);
        s.wait(waiter, Resource::Condition(space), "log space");
        s.want(waiter, log, WRITE, false);
        goes_on(s, [waiter, commit], space);
    })
}

/// "commit" hands `log` over to the condition of "waiter".
fn hand_over(s: &mut Script, [waiter, commit]: [TaskId; 2]) {
    let (log, site) = (LockId(1), crate::event::Site { file: "any.rs", line: 1 });
    s.give_up(commit, log);
    s.on(waiter, EventKind::LockAcquired { lock: log, mode: WRITE, site });
    s.end_wait(waiter, Resource::Lock(log), WaitOutcome::Satisfied);
}

#[test]
fn a_lock_that_the_condition_of_a_wait_takes_is_part_of_the_cycle() {
    let s = check_nested(&["RD04"], |s, [_, commit], _| s.want(commit, LockId(0), WRITE, false));
    let waits = s.last().chain.iter().filter(|step| matches!(step.what, StepKind::Wait { .. }));
    assert_eq!(waits.count(), 3, "both waits of the waiter are told, and that of commit");
    assert!(s.last().cycle.contains(&(TaskId(0), Resource::Lock(LockId(1)))));
}

#[test]
fn the_outer_wait_is_in_force_again_when_the_inner_one_ends() {
    let s = check_nested(&["RD04"], |s, tasks, _| {
        hand_over(s, tasks);
        s.give_up(tasks[0], LockId(1));
        s.want(tasks[1], LockId(0), WRITE, false);
    });
    assert!(s.last().cycle.contains(&(TaskId(0), Resource::Condition(WaitId(0)))));
}

#[test]
fn a_cycle_that_the_end_of_an_inner_wait_closes_is_found_then() {
    check(&["RD04"], |s| {
        let space = s.names.add_condition("log space");
        let (held, log) = (s.lock("held", ""), s.lock("log", ""));
        let [waiter, commit, third] = ["waiter", "commit", "third"].map(|name| s.task(name));
        s.on(commit, promise(space, commit));
        s.take(waiter, held, WRITE);
        s.take(third, log, WRITE);
        s.wait(waiter, Resource::Condition(space), "log space");
        s.want(waiter, log, WRITE, false);
        s.want(commit, held, WRITE, false);
        assert_eq!(s.codes(), [""; 0], "the third task can give the lock up");
        hand_over(s, [waiter, third]);
    });
}

#[test]
fn a_lock_that_a_condition_holds_while_it_is_tested_is_given_up_soon() {
    check_nested(&[], |s, tasks, _| {
        hand_over(s, tasks);
        s.want(tasks[1], LockId(1), WRITE, false);
    });
}

#[test]
fn a_promise_that_was_kept_closes_no_cycle_and_a_new_one_does() {
    let story = |promises_again: bool| {
        move |s: &mut Script, tasks: [TaskId; 2], condition| {
            let [waiter, commit] = tasks;
            s.on(commit, EventKind::Signal { condition });
            hand_over(s, tasks);
            s.give_up(waiter, LockId(1));
            if promises_again {
                s.on(commit, promise(condition, commit));
            }
            s.on(waiter, EventKind::WaitAgain { condition });
            s.want(commit, LockId(0), WRITE, false);
        }
    };
    check_nested(&[], story(false));
    check_nested(&["RD04"], story(true));
}

/// Two tasks promised; "stuck" waits for what the waiter holds, and the other ends its promise.
#[track_caller]
fn check_two_promises(expect: &[&str], ends: impl FnOnce(&mut Script, [TaskId; 2], WaitId)) {
    check(expect, |s| {
        let condition = s.names.add_condition("log space");
        let held = s.lock("held", "");
        let [waiter, stuck, other] = ["waiter", "stuck", "other"].map(|name| s.task(name));
        for promiser in [stuck, other] {
            s.on(promiser, promise(condition, promiser));
        }
        s.take(waiter, held, WRITE);
        s.wait(waiter, Resource::Condition(condition), "log space");
        s.want(stuck, held, WRITE, false);
        assert_eq!(s.codes(), [""; 0], "one promise is enough");
        ends(s, [waiter, other], condition);
    });
}

#[test]
fn the_last_promise_but_that_of_a_stuck_task_ends() {
    check_two_promises(&["RD04"], |s, [_, other], condition| {
        s.on(other, EventKind::PromiseEnd { condition, by: Actor::Task(other) });
    });
    check_two_promises(&["RD04"], |s, [_, other], _| s.on(other, EventKind::TaskExit));
    // After a signal the waiter may find what it waits for.
    check_two_promises(&[], |s, [_, other], condition| {
        s.on(other, EventKind::Signal { condition });
    });
    check_two_promises(&["RD04"], |s, [waiter, other], condition| {
        s.on(other, EventKind::Signal { condition });
        s.on(waiter, EventKind::WaitAgain { condition });
    });
}
