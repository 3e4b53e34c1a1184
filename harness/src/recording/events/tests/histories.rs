//! An impossible history is refused with its place; a possible one is read to its end.

use super::*;

const SITE: Site = Site { file: "x.rs", line: 1 };
const LOCK: LockId = LockId(0);
const REQUEST: RequestId = RequestId(0);

/// Names for every number below 2.
fn all_names() -> Names {
    let mut names = Names::default();
    for _ in 0..2 {
        names.add_task("t");
        names.add_queue("q");
        names.add_work("w");
        names.add_condition("c");
        names.add_shrinker("s");
        names.add_pool("p");
        names.add_lock("l", "i");
    }
    names
}

/// The error of reading `kinds`, each on its task; tasks 0 and 1 are spawned first.
fn read(kinds: &[(u32, EventKind)]) -> Result<usize, String> {
    let spawn = EventKind::TaskSpawn { parent: TaskId(0), kind: TaskKind::Task };
    let kinds = [(0, spawn), (1, spawn)].into_iter().chain(kinds.iter().copied());
    let event = |((task, kind), seq)| Event { seq, time: Nanos(seq), task: TaskId(task), kind };
    let events: Vec<Event> = kinds.zip(0..).map(event).collect();
    let file = write(&events, &all_names());
    let read: Result<Vec<Event>, _> = EventReader::new(&file[..]).unwrap().collect();
    read.map(|events| events.len()).map_err(|error| error.to_string())
}

/// The last of `kinds` is refused, and the error says `says`.
#[track_caller]
fn check(kinds: &[(u32, EventKind)], says: &str) {
    let (_, before) = kinds.split_last().expect("an event");
    assert_eq!(read(before), Ok(before.len() + 2));
    let message = read(kinds).expect_err("it is refused");
    let place = format!("event {}: ", kinds.len() + 1);
    assert!(message.starts_with("line ") && message.contains(", byte "), "{message}");
    assert!(message.contains(&place) && message.contains(says), "{says}: {message}");
}

fn attempt(mode: LockMode) -> EventKind {
    EventKind::LockAttempt { lock: LOCK, mode, try_lock: false, site: SITE }
}

fn acquired(mode: LockMode) -> EventKind {
    EventKind::LockAcquired { lock: LOCK, mode, site: SITE }
}

fn begin(resource: Resource) -> EventKind {
    EventKind::WaitBegin { resource, why: "why", breakable: false, site: SITE }
}

fn end(resource: Resource) -> EventKind {
    EventKind::WaitEnd { resource, outcome: WaitOutcome::Satisfied }
}

fn submit() -> EventKind {
    EventKind::RequestSubmit {
        request: REQUEST,
        queue: QueueId(0),
        op: Op::Read,
        sector: Sectors(0),
        sectors: Sectors(1),
        origin: None,
        site: SITE,
    }
}

#[test]
fn tasks_act_between_their_spawn_and_their_exit() {
    let site = SITE;
    let layer = LayerRef { layer: Layer::FS, instance: 0 };
    let spawn = |parent| EventKind::TaskSpawn { parent: TaskId(parent), kind: TaskKind::Task };
    check(&[(2, EventKind::TaskExit)], "acts before it was spawned");
    check(
        &[(1, EventKind::TaskExit), (1, EventKind::LayerEnter { layer, site })],
        "after its exit",
    );
    check(&[(1, EventKind::TaskExit), (1, EventKind::TaskExit)], "after its exit");
    check(&[(1, spawn(0))], "spawned twice");
    check(&[(1, EventKind::TaskExit), (2, spawn(1))], "does not live");
    check(&[(0, begin(Resource::Task(TaskId(7))))], "no task 7");
    let wait = Resource::Task(TaskId(1));
    check(&[(0, begin(wait)), (0, end(wait))], "still lives");
}

#[test]
fn a_lock_has_one_holder_or_several_that_share_it() {
    let (exclusive, shared) = (LockMode::Exclusive, LockMode::Shared);
    let take = |task, mode| [(task, attempt(mode)), (task, acquired(mode))];
    let released = EventKind::LockReleased { lock: LOCK };
    check(&[(0, acquired(exclusive))], "did not ask for");
    check(&[(0, attempt(shared)), (0, acquired(exclusive))], "did not ask for");
    check(&[take(0, exclusive), take(1, exclusive)].concat(), "which task 0 holds");
    check(&[take(0, shared), take(1, exclusive)].concat(), "which task 0 holds");
    check(&[take(0, exclusive), take(1, shared)].concat(), "which task 0 holds");
    check(&[&take(0, exclusive)[..], &[(1, released)]].concat(), "which task 0 holds");
    check(&[(0, released)], "nobody holds");
    let both = [&take(0, shared)[..], &take(1, shared), &[(0, released), (1, released)]].concat();
    assert_eq!(read(&both), Ok(8));
    let lock = Resource::Lock(LOCK);
    let waits = [&take(0, exclusive)[..], &[(1, attempt(exclusive)), (1, begin(lock))]].concat();
    check(&[&waits[..], &[(1, end(lock))]].concat(), "does not have it");
    check(&[&waits[..], &[(1, submit())]].concat(), "acts while it waits for lock 0");
    let handed = [&waits[..], &[(0, released), (1, acquired(exclusive)), (1, end(lock))]].concat();
    assert_eq!(read(&handed), Ok(9));
}

#[test]
fn what_ends_has_begun() {
    let layer = LayerRef { layer: Layer::FS, instance: 0 };
    let (shrinker, pool, condition) = (ShrinkerId(0), PoolId(0), WaitId(0));
    let (lock, timer) = (Resource::Condition(condition), Resource::Timer);
    check(&[(0, end(timer))], "did not begin");
    check(&[(0, begin(lock)), (0, end(timer))], "did not begin");
    let nested = [(0, begin(lock)), (0, begin(timer)), (0, end(timer)), (0, end(lock))];
    assert_eq!(read(&nested), Ok(6), "waits are a stack");
    let outcome = WaitOutcome::Broken(Errno::EDEADLK);
    check(
        &[(0, begin(timer)), (0, EventKind::WaitEnd { resource: timer, outcome })],
        "may not be broken",
    );
    let (kind, scope, how) = (ScopeKind::Nofs, 3, Entered::Held);
    let enter = EventKind::ScopeEnter { kind, scope, site: SITE, how };
    check(&[(0, enter), (0, EventKind::ScopeExit { kind, scope: 4 })], "did not begin");
    check(&[(0, enter), (0, enter)], "enters its scope 3 twice");
    for kind in [
        EventKind::LayerExit { layer },
        EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(1) },
        EventKind::ReclaimExit { freed: 0, priority: 1 },
        EventKind::ShrinkCountEnd { shrinker, count: 1 },
        EventKind::ShrinkScanEnd { shrinker, freed: None, scanned: 0, deferred: false },
        EventKind::ShrinkerPanicked { shrinker },
        EventKind::PoolAllocEnd { pool, got: None },
        EventKind::Prime { step: Prime::End },
    ] {
        check(&[(0, kind)], "did not begin");
    }
    let by = Actor::Task(TaskId(0));
    check(&[(0, EventKind::PromiseEnd { condition, by })], "which it did not make");
    let promise = EventKind::Promise { condition, by, units: 1, site: None };
    let other = EventKind::PromiseEnd { condition, by: Actor::Task(TaskId(1)) };
    check(&[(0, promise), (1, other)], "which it did not make");
    let signalled =
        [promise, EventKind::Signal { condition }, EventKind::PromiseEnd { condition, by }];
    assert_eq!(read(&signalled.map(|kind| (0, kind))), Ok(5));
    check(&[(0, EventKind::PoolGive { pool })], "more than it gave");
    check(&[(0, EventKind::ShrinkerUnregistered { shrinker })], "was not registered");
}

#[test]
fn a_request_and_a_work_item_are_served_once_they_are_there() {
    let (request, work, queue) = (REQUEST, WorkId(0), QueueId(0));
    let serve = EventKind::RequestServe { request };
    let complete = EventKind::RequestComplete { request, error: None };
    check(&[(1, serve)], "request 0 is served, which nobody submitted");
    check(&[(1, complete)], "request 0 is completed, which nobody submitted");
    check(&[(0, submit()), (1, complete), (1, serve)], "is complete");
    check(&[(0, submit()), (1, complete), (1, complete)], "is complete");
    check(&[(0, submit()), (0, submit())], "submitted twice");
    check(&[(0, submit()), (1, serve), (0, EventKind::RequestServed { request })], "did not begin");
    let passed = |to| EventKind::RequestPassed { request, to };
    check(&[(0, passed(Actor::Work(work)))], "is passed down, which nobody submitted");
    check(&[(0, submit()), (1, passed(Actor::Request(request)))], "passed down to itself");
    check(&[(0, submit()), (1, passed(Actor::Task(TaskId(9))))], "there is no task 9");
    let queued = EventKind::WorkQueued { work, queue };
    check(&[(1, EventKind::WorkBegin { work })], "not queued");
    check(&[(0, queued), (0, queued)], "queued twice");
    check(
        &[(0, queued), (1, EventKind::WorkBegin { work }), (0, EventKind::WorkEnd { work })],
        "did not begin",
    );
    check(&[(0, begin(Resource::Work(work)))], "is waited for and not queued");
}

#[test]
fn what_is_used_was_declared() {
    let lock = LockId(9);
    let (mode, site) = (LockMode::Exclusive, SITE);
    check(&[(0, EventKind::LockAttempt { lock, mode, try_lock: false, site })], "lock 9 is used");
    check(&[(0, begin(Resource::Condition(WaitId(9))))], "condition 9 is used");
    check(&[(0, EventKind::QueueServer { queue: QueueId(9) })], "queue 9 is used");
}
