//! The view, rebuilt event by event.

use super::*;
use crate::event::{
    Gfp, Layer, LockId, Op, QueueId, ReclaimKind, ScopeKind, ShrinkerId, TaskKind, WaitOutcome,
    WorkId,
};
use crate::units::{Nanos, Sectors};
use crate::witness::script::Script;
use crate::witness::{Needed, Role};

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

/// A view of one event of each of these kinds, all of task 0.
fn after(kinds: impl IntoIterator<Item = EventKind>) -> View {
    let mut view = View::default();
    for (kind, seq) in kinds.into_iter().zip(1..) {
        view.apply(&Event { seq, time: Nanos(seq), task: TaskId(0), kind });
    }
    view
}

#[test]
fn a_task_lives_from_its_first_event_to_its_exit() {
    let mut s = Script::default();
    let (one, two) = (s.task("one"), s.task("two"));
    s.on(one, EventKind::TaskExit);
    let alive: Vec<TaskId> = view(&s).tasks().map(|(id, _)| id).collect();
    assert_eq!(alive, [two]);
    assert_eq!(view(&s).task_count(), 2);
    assert_eq!(view(&s).task(two).unwrap().kind, Some(TaskKind::Task));
    assert!(view(&s).task(TaskId(2)).is_none());
}

#[test]
fn a_task_that_exits_is_shown_as_it_was_until_the_next_event() {
    let mut s = Script::default();
    let (lock, one, two) = (s.lock("a", ""), s.task("one"), s.task("two"));
    s.take(one, lock, WRITE);
    s.on(one, EventKind::TaskExit);
    assert_eq!(view(&s).exited(one).unwrap().held.len(), 1);
    assert!(view(&s).exited(two).is_none());
    s.take(two, lock, WRITE);
    assert!(view(&s).exited(one).is_none());
}

#[test]
fn a_task_that_exits_holds_nothing_and_stands_in_no_line() {
    let mut s = Script::default();
    let lock = s.lock("a", "");
    let [holder, ahead, waiter] = ["holder", "ahead", "waiter"].map(|name| s.task(name));
    s.take(holder, lock, WRITE);
    s.want(ahead, lock, WRITE, false);
    s.want(waiter, lock, WRITE, false);
    assert_eq!(needed(&s, waiter), [(holder, Role::Holds), (ahead, Role::AheadInLine)]);
    s.on(holder, EventKind::TaskExit);
    assert_eq!(needed(&s, waiter), [(ahead, Role::AheadInLine)]);
    s.on(ahead, EventKind::TaskExit);
    assert_eq!(needed(&s, waiter), []);
}

#[test]
fn a_task_that_exits_serves_no_queue_and_the_others_still_do() {
    let mut s = Script::default();
    let (queue, first) = s.queue("loop0");
    let (second, waiter) = (s.server(queue, "loop0/1"), s.task("waiter"));
    let request = s.submit(waiter, queue);
    s.wait(waiter, Resource::Request(request), "request");
    assert_eq!(needed(&s, waiter), [(first, Role::ServesQueue), (second, Role::ServesQueue)]);
    s.on(first, EventKind::TaskExit);
    assert_eq!(needed(&s, waiter), [(second, Role::ServesQueue)]);
}

#[test]
fn a_server_that_says_so_twice_is_one() {
    let mut s = Script::default();
    let (queue, server) = s.queue("loop0");
    s.on(server, EventKind::QueueServer { queue });
    let waiter = s.task("waiter");
    let request = s.submit(waiter, queue);
    s.wait(waiter, Resource::Request(request), "request");
    assert_eq!(needed(&s, waiter), [(server, Role::ServesQueue)]);
}

#[test]
fn a_lock_that_is_handed_over_ends_the_wait_for_it_and_no_other() {
    let mut s = Script::default();
    let (a, b, task) = (s.lock("a", ""), s.lock("b", ""), s.task("t"));
    s.want(task, a, WRITE, false);
    s.on(task, EventKind::LockAcquired { lock: b, mode: WRITE, site: SITE });
    assert!(view(&s).wait(task).is_some());
    s.on(task, EventKind::LockAcquired { lock: a, mode: WRITE, site: SITE });
    assert!(view(&s).wait(task).is_none());
}

#[test]
fn the_end_of_a_wait_ends_that_and_no_other() {
    let mut s = Script::default();
    let (a, b, task) = (s.lock("a", ""), s.lock("b", ""), s.task("t"));
    s.want(task, a, WRITE, false);
    s.end_wait(task, Resource::Lock(b), WaitOutcome::Satisfied);
    assert!(view(&s).wait(task).is_some());
    s.end_wait(task, Resource::Lock(a), WaitOutcome::Satisfied);
    assert!(view(&s).wait(task).is_none());
}

#[test]
fn a_wait_that_has_ended_stands_in_no_line() {
    let mut s = Script::default();
    let lock = s.lock("a", "");
    let [holder, ahead, waiter] = ["holder", "ahead", "waiter"].map(|name| s.task(name));
    s.take(holder, lock, WRITE);
    s.want(ahead, lock, WRITE, true);
    s.want(waiter, lock, WRITE, false);
    s.end_wait(ahead, Resource::Lock(lock), WaitOutcome::Broken(crate::error::Errno::EDEADLK));
    assert_eq!(needed(&s, waiter), [(holder, Role::Holds)]);
}

#[test]
fn a_wait_within_another_keeps_the_place_in_line_of_the_outer_one() {
    let mut s = Script::default();
    let (a, b) = (s.lock("a", ""), s.lock("b", ""));
    let [holder, first, second] = ["holder", "first", "second"].map(|name| s.task(name));
    s.take(holder, a, WRITE);
    s.want(first, a, WRITE, false);
    s.want(second, a, WRITE, false);
    s.want(first, b, WRITE, false);
    assert_eq!(needed(&s, first), [], "it waits for the other lock now");
    assert_eq!(needed(&s, second), [(holder, Role::Holds), (first, Role::AheadInLine)]);
    s.on(first, EventKind::LockAcquired { lock: b, mode: WRITE, site: SITE });
    s.end_wait(first, Resource::Lock(b), WaitOutcome::Satisfied);
    assert_eq!(needed(&s, first), [(holder, Role::Holds)], "the outer wait is in force again");
}

#[test]
fn a_wait_inside_a_wait_for_the_same_ends_before_it() {
    let mut s = Script::default();
    let (condition, task) = (s.names.add_condition("log space"), s.task("t"));
    let resource = Resource::Condition(condition);
    let open = |s: &Script| view(s).task(task).unwrap().waits.len();
    s.wait(task, resource, "outer");
    s.wait(task, resource, "inner");
    assert_eq!((open(&s), view(&s).wait(task).unwrap().why), (2, "inner"));
    s.end_wait(task, resource, WaitOutcome::Abandoned);
    assert_eq!((open(&s), view(&s).wait(task).unwrap().why), (1, "outer"));
    s.end_wait(task, resource, WaitOutcome::Satisfied);
    assert_eq!(open(&s), 0);
}

#[test]
fn an_outer_wait_that_ends_first_leaves_the_inner_one() {
    let mut s = Script::default();
    let (lock, task) = (s.lock("a", ""), s.task("t"));
    s.wait(task, Resource::Timer, "nap");
    s.want(task, lock, WRITE, false);
    s.end_wait(task, Resource::Timer, WaitOutcome::TimedOut);
    assert_eq!(view(&s).wait(task).unwrap().resource, Resource::Lock(lock));
}

#[test]
fn of_too_many_waits_of_a_task_the_outermost_are_forgotten() {
    let site = SITE;
    for (begun, kept) in [(MAX_WAITS, MAX_WAITS), (MAX_WAITS + 1, MAX_WAITS)] {
        let wait =
            EventKind::WaitBegin { resource: Resource::Timer, why: "", breakable: true, site };
        let view = after(std::iter::repeat_n(wait, begun));
        assert_eq!(view.task(TaskId(0)).unwrap().waits.len(), kept);
    }
}

#[test]
fn a_release_gives_back_the_last_hold_of_that_lock() {
    let mut s = Script::default();
    let (a, b, task) = (s.lock("a", ""), s.lock("b", ""), s.task("t"));
    for lock in [a, b, a] {
        s.take(task, lock, READ);
    }
    s.give_up(task, a);
    let held: Vec<LockId> =
        view(&s).task(task).unwrap().held.iter().map(|held| held.lock).collect();
    assert_eq!(held, [a, b]);
    s.give_up(task, LockId(7));
    assert_eq!(view(&s).task(task).unwrap().held.len(), 2, "one that is not held changes nothing");
}

#[test]
fn a_request_is_queued_then_served_then_below_then_gone() {
    let mut s = Script::default();
    let (queue, server) = s.queue("loop0");
    let task = s.task("t");
    let request = s.submit(task, queue);
    let progress = |s: &Script| view(s).request(request).map(|request| request.progress);
    assert_eq!(progress(&s), Some(Progress::Queued));
    s.serve(server, queue, request);
    assert!(matches!(progress(&s), Some(Progress::Served { by, .. }) if by == server));
    s.on(server, EventKind::RequestServed { request });
    assert_eq!(progress(&s), Some(Progress::Below));
    assert_eq!(view(&s).requests().map(|(id, _)| id).collect::<Vec<_>>(), [request]);
    s.on(server, EventKind::RequestComplete { request, error: None });
    assert_eq!(progress(&s), None);
}

#[test]
fn a_work_item_is_queued_then_executed_then_gone() {
    let mut s = Script::default();
    let (queue, worker) = s.queue("events");
    let task = s.task("t");
    let work = s.queue_work(task, queue);
    let progress = |s: &Script| view(s).work(work).map(|work| work.progress);
    assert_eq!(progress(&s), Some(Progress::Queued));
    s.begin_work(worker, queue, work);
    assert!(matches!(progress(&s), Some(Progress::Served { by, .. }) if by == worker));
    assert_eq!(view(&s).works().map(|(id, _)| id).collect::<Vec<_>>(), [work]);
    s.on(worker, EventKind::WorkEnd { work });
    assert_eq!(progress(&s), None);
}

/// Frames of every kind, two of each where they have a number, and what closes the first of the
/// two.
fn frames() -> Vec<([EventKind; 2], EventKind)> {
    let (mask, site, how) = (Gfp::KERNEL, SITE, crate::event::Entered::Held);
    let kind = ScopeKind::Nofs;
    let layer = |instance| crate::event::LayerRef { layer: Layer::FS, instance };
    let [one, two] = [ShrinkerId(1), ShrinkerId(2)];
    let count = |shrinker| EventKind::ShrinkCountBegin { shrinker, mask };
    let scan = |shrinker| EventKind::ShrinkScanBegin { shrinker, mask, nr_to_scan: 1 };
    let serve = |id| EventKind::RequestServe { request: RequestId(id) };
    let work = |id| EventKind::WorkBegin { work: WorkId(id) };
    let scope = |scope| EventKind::ScopeEnter { kind, scope, site, how };
    let enter = |instance| EventKind::LayerEnter { layer: layer(instance), site };
    let reclaim = EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask };
    vec![
        ([scope(1), scope(2)], EventKind::ScopeExit { kind, scope: 1 }),
        ([enter(1), enter(2)], EventKind::LayerExit { layer: layer(1) }),
        ([count(one), count(two)], EventKind::ShrinkCountEnd { shrinker: one, count: 0 }),
        ([count(one), count(two)], EventKind::ShrinkerPanicked { shrinker: one }),
        (
            [scan(one), scan(two)],
            EventKind::ShrinkScanEnd { shrinker: one, freed: None, scanned: 0, deferred: false },
        ),
        ([serve(1), serve(2)], EventKind::RequestServed { request: RequestId(1) }),
        ([work(1), work(2)], EventKind::WorkEnd { work: WorkId(1) }),
        ([reclaim, count(one)], EventKind::ReclaimExit { freed: 0, priority: 0 }),
    ]
}

#[test]
fn a_frame_closes_where_its_own_event_says_so() {
    for (opened, closed) in frames() {
        let view = after(opened.into_iter().chain([closed]));
        let left: Vec<u64> = view.frames(TaskId(0)).iter().map(|frame| frame.seq).collect();
        assert_eq!(left, [2], "{closed:?}");
        assert_eq!(view.closed().map(|frame| frame.seq), Some(1), "{closed:?}");
    }
}

#[test]
fn a_frame_that_was_never_opened_closes_nothing() {
    for (opened, closed) in frames() {
        let view = after([opened[1], closed]);
        assert_eq!((view.frames(TaskId(0)).len(), view.closed()), (1, None), "{closed:?}");
    }
}

#[test]
fn no_more_frames_are_kept_than_the_bound() {
    let site = SITE;
    let layer = crate::event::LayerRef { layer: Layer::FS, instance: 0 };
    for (entered, kept) in [(MAX_FRAMES, MAX_FRAMES), (MAX_FRAMES + 1, MAX_FRAMES)] {
        let view = after(std::iter::repeat_n(EventKind::LayerEnter { layer, site }, entered));
        assert_eq!(view.frames(TaskId(0)).len(), kept);
    }
}

#[test]
fn tasks_beyond_the_bound_are_not_kept() {
    for (id, kept) in [(MAX_ID - 1, true), (MAX_ID, false)] {
        let mut view = View::default();
        let kind = EventKind::Stall { step_budget: false };
        view.apply(&Event { seq: 0, time: Nanos(0), task: TaskId(id), kind });
        assert_eq!(view.task(TaskId(id)).is_some_and(|task| task.alive), kept, "{id}");
    }
}

#[test]
fn of_too_many_requests_the_oldest_are_forgotten() {
    let submit = |id| EventKind::RequestSubmit {
        request: RequestId(id),
        queue: QueueId(0),
        op: Op::Write,
        sector: Sectors(0),
        sectors: Sectors(8),
        origin: None,
        site: SITE,
    };
    let bound = u32::try_from(MAX_IN_FLIGHT).unwrap();
    let full = after((0..bound).map(submit));
    assert!(full.request(RequestId(0)).is_some());
    let over = after((0..=bound).map(submit));
    assert!(over.request(RequestId(0)).is_none() && over.request(RequestId(1)).is_some());
}
