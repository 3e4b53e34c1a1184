//! How many of those that can end a wait must act, and through what.

use super::{WRITE, check, edges};
use crate::event::{
    Actor, EventKind, LockId, Needs, QueueId, RequestId, Resource, TaskId, WaitId, WaitOutcome,
    WorkId,
};
use crate::witness::script::{Script, promise};
use crate::witness::{Role, StepKind};

/// A waiter that holds a lock, and a condition.
struct Story<'a> {
    s: &'a mut Script,
    held: LockId,
    space: WaitId,
    waiter: TaskId,
}

impl<'a> Story<'a> {
    fn new(s: &'a mut Script) -> Self {
        let (held, space) = (s.lock("held", ""), s.names.add_condition("space"));
        let waiter = s.task("waiter");
        s.take(waiter, held, WRITE);
        Self { s, held, space, waiter }
    }

    fn promise(&mut self, on: TaskId, by: Actor, units: u32) {
        let condition = self.space;
        self.s.on(on, EventKind::Promise { condition, by, units, site: None });
    }

    /// A task that promises `units`.
    fn holder(&mut self, name: &str, units: u32) -> TaskId {
        let task = self.s.task(name);
        self.promise(task, Actor::Task(task), units);
        task
    }

    /// The task waits for what the waiter holds.
    fn block(&mut self, task: TaskId) {
        self.s.want(task, self.held, WRITE, false);
    }

    fn wait(&mut self, needs: Needs) {
        let condition = self.space;
        if needs != Needs::One {
            self.s.on(self.waiter, EventKind::WaitNeeds { condition, needs });
        }
        self.s.wait(self.waiter, Resource::Condition(condition), "space");
    }

    /// The server takes a request that blocks it.
    fn block_server(&mut self, server: TaskId, queue: QueueId) {
        let request = self.s.submit(self.waiter, queue);
        self.s.serve(server, queue, request);
        self.block(server);
    }
}

/// Holders of so many units each, of which the first `stuck` wait for the waiter.
#[track_caller]
fn check_units(expect: &[&str], needs: Needs, units: &[u32], stuck: usize) -> Script {
    check(expect, |s| {
        let mut story = Story::new(s);
        let name = |place| format!("holder {place}");
        let holders: Vec<TaskId> =
            units.iter().enumerate().map(|(place, n)| story.holder(&name(place), *n)).collect();
        for holder in &holders[..stuck] {
            story.block(*holder);
        }
        story.wait(needs);
    })
}

#[test]
fn a_wait_for_units_is_stuck_when_those_that_go_on_have_too_few() {
    check_units(&["RD04"], Needs::Units(6), &[4, 4], 1);
    check_units(&[], Needs::Units(4), &[4, 4], 1);
    check_units(&["RD04"], Needs::Units(4), &[4, 4], 2);
    check_units(&["RD04"], Needs::Units(5), &[1, 4, 0], 1);
    check_units(&[], Needs::Units(0), &[4], 1);
    check_units(&[], Needs::Units(9), &[4, 4], 0);
}

#[test]
fn a_flag_needs_one_and_a_count_to_zero_everybody() {
    check_units(&[], Needs::One, &[1, 1, 1], 2);
    check_units(&["RD04"], Needs::One, &[1, 1, 1], 3);
    check_units(&["RD04"], Needs::All, &[1, 1, 1], 1);
    check_units(&[], Needs::All, &[1, 1, 1], 0);
}

#[test]
fn every_supplier_that_is_stuck_is_told_where_one_would_not_be_enough() {
    let told = |needs, stuck| {
        let s = check_units(&["RD04"], needs, &[4, 4], stuck);
        let on = |what| match what {
            StepKind::Needs { on, units, how: Role::Promised, .. } => Some((on.0, units, true)),
            StepKind::AlsoNeeds { on, units, how: Role::Promised, .. } => {
                Some((on.0, units, false))
            }
            _ => None,
        };
        s.last().chain.iter().filter_map(|step| on(step.what)).collect::<Vec<_>>()
    };
    assert_eq!(told(Needs::Units(6), 2), [(1, 4, true), (2, 4, false)]);
    assert_eq!(told(Needs::Units(6), 1), [(1, 4, true)]);
    assert_eq!(told(Needs::All, 2).len(), 1, "one of them is enough to block the wait");
}

#[test]
fn the_judge_looks_when_a_waiter_says_that_it_needs_more() {
    check(&["RD04"], |s| {
        let mut story = Story::new(s);
        let stuck = story.holder("stuck", 4);
        story.holder("other", 4);
        story.block(stuck);
        story.wait(Needs::One);
        assert_eq!(story.s.codes(), [""; 0], "one of the holders is enough so far");
        let (condition, needs) = (story.space, Needs::Units(6));
        story.s.on(story.waiter, EventKind::WaitNeeds { condition, needs });
    });
}

#[test]
fn a_waiter_that_tested_again_needs_the_same_unless_it_says_so() {
    let story = |now: Option<Needs>| {
        move |s: &mut Script| {
            let mut story = Story::new(s);
            let stuck = story.holder("stuck", 4);
            let other = story.holder("other", 4);
            story.wait(Needs::Units(6));
            let condition = story.space;
            story.s.on(other, EventKind::Signal { condition });
            story.promise(other, Actor::Task(other), 4);
            if let Some(needs) = now {
                story.s.on(story.waiter, EventKind::WaitNeeds { condition, needs });
            }
            story.s.on(story.waiter, EventKind::WaitAgain { condition });
            story.block(stuck);
        }
    };
    check(&["RD04"], story(None));
    check(&[], story(Some(Needs::Units(4))));
    check(&[], story(Some(Needs::One)));
}

#[test]
fn a_request_that_promised_is_stuck_when_each_of_its_servers_is() {
    let story = |stuck: usize| {
        move |s: &mut Script| {
            let (queue, first) = s.queue("disk");
            let second = s.server(queue, "disk/2");
            let mut story = Story::new(s);
            for server in &[first, second][..stuck] {
                story.block_server(*server, queue);
            }
            let request = story.s.submit(story.waiter, queue);
            story.promise(story.waiter, Actor::Request(request), 1);
            story.wait(Needs::One);
        }
    };
    check(&[], story(1));
    let s = check(&["RD04"], story(2));
    let through = |what| match what {
        StepKind::Needs { through, .. } => through,
        _ => None,
    };
    let first = s.last().chain.iter().find_map(|step| through(step.what));
    assert_eq!(first, Some(Actor::Request(RequestId(2))));
}

#[test]
fn a_promise_of_a_request_whose_server_is_stuck_closes_the_cycle() {
    let story = |blocked: bool| {
        move |s: &mut Script| {
            let (queue, server) = s.queue("disk");
            let mut story = Story::new(s);
            story.wait(Needs::One);
            let other = story.s.task("other");
            let request = story.s.submit(other, queue);
            story.s.serve(server, queue, request);
            if blocked {
                story.block(server);
            }
            story.promise(other, Actor::Request(request), 1);
        }
    };
    check(&["RD04"], story(true));
    check(&[], story(false));
}

/// The worker of "q" runs an item that waits for what another item promised.
fn item_behind(s: &mut Script, other_queue: bool, queued_first: bool) {
    let (queue, worker) = s.queue("q");
    let (other, _) = s.queue("other");
    let (space, maker) = (s.names.add_condition("space"), s.task("maker"));
    let running = s.queue_work(maker, queue);
    s.begin_work(worker, queue, running);
    let item = s.names.add_work("item");
    let queued =
        EventKind::WorkQueued { work: item, queue: if other_queue { other } else { queue } };
    if queued_first {
        s.on(maker, queued);
    }
    let by = Actor::Work(item);
    s.on(maker, EventKind::Promise { condition: space, by, units: 1, site: None });
    s.wait(worker, Resource::Condition(space), "space");
    if !queued_first {
        assert_eq!(s.codes(), [""; 0], "nobody knows where the item will be queued");
        s.on(maker, queued);
    }
}

#[test]
fn an_item_that_promised_is_stuck_behind_the_item_that_waits() {
    for queued_first in [true, false] {
        check(&["RD04"], |s| item_behind(s, false, queued_first));
        check(&[], |s| item_behind(s, true, queued_first));
    }
}

/// "xfsaild" promised log space and waits for a write, whose completion is an item on "dio"; the
/// worker of "dio" runs an item that waits for log space.
fn passed_down(s: &mut Script, to: Option<Actor>, other_queue: bool, waits_first: bool) {
    let (disk, server) = s.queue("disk");
    let (dio, worker) = s.queue("dio");
    let (other, _) = s.queue("conv");
    let (log, pusher) = (s.names.add_condition("log"), s.task("xfsaild"));
    let conv = s.queue_work(pusher, dio);
    s.begin_work(worker, dio, conv);
    s.on(pusher, promise(log, pusher));
    s.wait(worker, Resource::Condition(log), "log space");
    let request = s.submit(pusher, disk);
    if waits_first {
        s.wait(pusher, Resource::Request(request), "write");
    }
    s.serve(server, disk, request);
    let end = s.names.add_work("end");
    s.on(server, EventKind::WorkQueued { work: end, queue: if other_queue { other } else { dio } });
    if let Some(to) = to {
        s.on(server, EventKind::RequestPassed { request, to });
    }
    s.on(server, EventKind::RequestServed { request });
    s.wait(server, Resource::Idle(disk), "requests");
    if !waits_first {
        s.wait(pusher, Resource::Request(request), "write");
    }
}

#[test]
fn a_request_that_was_passed_down_needs_whoever_carries_it() {
    let end = Actor::Work(WorkId(1));
    for waits_first in [true, false] {
        let s = check(&["RD04"], |s| passed_down(s, Some(end), false, waits_first));
        let [worker, pusher] = [1, 3];
        assert_eq!(edges(&s), [(worker, pusher), (pusher, worker)]);
        check(&[], |s| passed_down(s, Some(end), true, waits_first));
        check(&[], |s| passed_down(s, None, false, waits_first));
    }
}

#[test]
fn a_request_can_be_passed_down_more_than_once_and_even_in_a_ring() {
    let story = |ring: bool| {
        move |s: &mut Script| {
            let (queue, server) = s.queue("disk");
            let mut story = Story::new(s);
            let requests = [(); 3].map(|()| story.s.submit(story.waiter, queue));
            let below = |place: usize| Actor::Request(requests[place]);
            for (place, request) in requests.iter().enumerate().take(2) {
                let to = below(place + 1);
                story.s.on(story.waiter, EventKind::RequestPassed { request: *request, to });
            }
            if ring {
                let (request, to) = (requests[2], below(0));
                story.s.on(story.waiter, EventKind::RequestPassed { request, to });
            }
            story.block_server(server, queue);
            story.s.wait(story.waiter, Resource::Request(requests[0]), "request");
        }
    };
    check(&["RD04"], story(false));
    check(&[], story(true));
}

#[test]
fn the_end_of_a_request_or_an_item_that_had_promised_leaves_those_that_are_stuck() {
    #[track_caller]
    fn check_end(expect: &[&str], end: impl Fn(&mut Story<'_>, RequestId, WorkId)) {
        check(expect, |s| {
            let (queue, server) = s.queue("disk");
            let (works, worker) = s.queue("q");
            let mut story = Story::new(s);
            let stuck = story.holder("stuck", 1);
            let request = story.s.submit(stuck, queue);
            story.s.serve(server, queue, request);
            let work = story.s.queue_work(stuck, works);
            story.s.begin_work(worker, works, work);
            story.promise(stuck, Actor::Request(request), 1);
            story.promise(stuck, Actor::Work(work), 1);
            story.block(stuck);
            story.wait(Needs::One);
            assert_eq!(story.s.codes(), [""; 0], "the server and the worker go on");
            end(&mut story, request, work);
        });
    }
    let complete = |story: &mut Story<'_>, request| {
        story.s.on(TaskId(0), EventKind::RequestServed { request });
        story.s.on(TaskId(0), EventKind::RequestComplete { request, error: None });
    };
    let worked = |story: &mut Story<'_>, work| story.s.on(TaskId(1), EventKind::WorkEnd { work });
    let ended = |story: &mut Story<'_>, by| {
        let condition = story.space;
        story.s.on(TaskId(1), EventKind::PromiseEnd { condition, by });
    };
    check_end(&[], |story, request, _| complete(story, request));
    check_end(&[], |story, _, work| worked(story, work));
    check_end(&["RD04"], |story, request, work| {
        complete(story, request);
        worked(story, work);
    });
    check_end(&["RD04"], |story, request, work| {
        worked(story, work);
        complete(story, request);
    });
    check_end(&["RD04"], |story, request, work| {
        ended(story, Actor::Work(work));
        ended(story, Actor::Request(request));
    });
}

#[test]
fn what_nobody_is_known_to_act_on_may_still_bring_its_units() {
    let story = |needs: Needs| {
        move |s: &mut Script| {
            let mut story = Story::new(s);
            let stuck = story.holder("stuck", 4);
            let nowhere = Actor::Work(story.s.names.add_work("later"));
            story.promise(stuck, nowhere, 4);
            story.block(stuck);
            story.wait(needs);
        }
    };
    check(&[], story(Needs::One));
    check(&[], story(Needs::Units(4)));
    check(&["RD04"], story(Needs::Units(5)));
    check(&["RD04"], story(Needs::All));
}

#[test]
fn a_server_that_is_stuck_while_another_could_serve_is_no_part_of_the_cycle() {
    check(&["RD04"], |s| {
        let (queue, first) = s.queue("disk");
        s.server(queue, "disk/2");
        let mut story = Story::new(s);
        story.block_server(first, queue);
        let request = story.s.submit(story.waiter, queue);
        story.promise(story.waiter, Actor::Request(request), 1);
        story.wait(Needs::All);
        assert_eq!(story.s.codes(), [""; 0], "the second server can serve it");
        story.s.end_wait(story.waiter, Resource::Condition(story.space), WaitOutcome::Satisfied);
        let stuck = story.holder("stuck", 1);
        story.block(stuck);
        story.wait(Needs::All);
        let named = story.s.last().tasks.contains(&first);
        assert!(!named, "the chain leads through the task that is really needed");
    });
}
