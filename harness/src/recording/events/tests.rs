//! Every kind of event is read back; every damage of a file is an error with its place.

mod histories;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::form::KINDS;
use super::*;
use crate::error::Errno;
use crate::event::{
    Actor, AllocOutcome, Entered, Event, EventKind, Fact, Gfp, ItemId, Layer, LayerRef, Levels,
    LockId, LockMode, MayWait, Misuse, Names, Needs, Op, Origin, PartId, PartKind, PointId, PoolId,
    Prime, QueueId, ReclaimKind, ReclaimTarget, RequestId, Resource, ScopeKind, ScopeRef,
    ShrinkPass, ShrinkerId, Site, TaskFlags, TaskId, TaskKind, WaitId, WaitOutcome, WorkId,
};
use crate::units::{Nanos, Pages, Sectors};
use reclaimdep_scope::{Depth, ReclaimContext, Superblock};

const LAYERS: &[Layer] = &[Layer::FS, Layer::new("raft")];

fn resources(n: u32) -> [Resource; 8] {
    [
        Resource::Lock(LockId(n)),
        Resource::Request(RequestId(n)),
        Resource::Work(WorkId(n)),
        Resource::Task(TaskId(n)),
        Resource::Condition(WaitId(n)),
        Resource::Pool(PoolId(n)),
        Resource::Idle(QueueId(n)),
        Resource::Timer,
    ]
}

fn targets(n: u32) -> [ReclaimTarget; 3] {
    [
        ReclaimTarget::Shrinker(ShrinkerId(n)),
        ReclaimTarget::Swap(PartId(n)),
        ReclaimTarget::Pages(PartId(n)),
    ]
}

fn facts(n: u32) -> impl Iterator<Item = Fact> {
    let (part, on, lock, queue) = (PartId(n), PartId(n / 2), LockId(n), QueueId(n));
    let kinds =
        [PartKind::Filesystem, PartKind::Device, PartKind::Cache, PartKind::Swap, PartKind::Server];
    let waits = [MayWait::Never, MayWait::WithIo, MayWait::WithFs];
    let parts = kinds.into_iter().map(move |kind| Fact::Part { part, kind });
    let targets = targets(n).into_iter().zip(waits).map(move |(target, waits)| Fact::Target {
        target,
        part,
        waits,
    });
    let others = [
        Fact::Gone { part },
        Fact::Needs { part, on },
        Fact::NeedsNoMore { part, on },
        Fact::Takes { part, lock },
        Fact::Queues { part, queue },
        Fact::LeftHeld { item: ItemId(n) },
    ];
    parts.chain(targets).chain(others)
}

/// One event of every kind, and of every variant inside, about number `n`.
fn samples(n: u32, text: &'static str) -> Vec<EventKind> {
    let site = Site { file: text, line: n };
    let context = |depth| {
        ScopeKind::Context(ReclaimContext {
            superblock: Superblock(n),
            depth,
            private: u64::from(n) << 30,
        })
    };
    let (kind, scope, big) = (ScopeKind::Nofs, n, u64::from(n) << 31);
    let (shrinker, lock, queue, request, work) =
        (ShrinkerId(n), LockId(n), QueueId(n), RequestId(n), WorkId(n));
    let layer = LayerRef { layer: Layer::new(text), instance: n };
    let mode = [LockMode::Exclusive, LockMode::Shared, LockMode::Nested(1)][n as usize % 3];
    let actors = [Actor::Task(TaskId(n)), Actor::Request(request), Actor::Work(work)];
    let mut all = vec![
        EventKind::TaskExit,
        EventKind::ScopeExit { kind, scope },
        EventKind::LayerEnter { layer, site },
        EventKind::LayerExit { layer },
        EventKind::AllocBegin {
            order: n % 11,
            requested: Gfp::KERNEL | Gfp::NORETRY,
            effective: Gfp::NOFS,
            flags: TaskFlags::MEMALLOC_NOFS | TaskFlags::KSWAPD,
            site,
        },
        EventKind::Watermarks { min: Pages(1), low: Pages(2), high: Pages(big) },
        EventKind::ScopesJoined,
        EventKind::AllocConstrained { mask: Gfp::NOIO },
        EventKind::OutOfMemory,
        EventKind::OomKill { victim: None },
        EventKind::OomKill { victim: Some(TaskId(n)) },
        EventKind::ReclaimExit { freed: big, priority: n % 13 },
        EventKind::ReclaimAcquire { levels: Levels::ALL },
        EventKind::ReclaimRelease { levels: Levels { fs: false, ..Levels::ALL } },
        EventKind::ShrinkCountBegin { shrinker, mask: Gfp::EMPTY },
        EventKind::ShrinkCountEnd { shrinker, count: big },
        EventKind::ShrinkScanBegin { shrinker, mask: Gfp::NOIO, nr_to_scan: 128 },
        EventKind::ShrinkScanEnd { shrinker, freed: None, scanned: 0, deferred: true },
        EventKind::ShrinkScanEnd { shrinker, freed: Some(big), scanned: big, deferred: false },
        EventKind::ShrinkPassBegin {
            shrinker,
            pass: ShrinkPass {
                in_memcg: n % 2 == 1,
                freeable: big,
                deferred: 1,
                priority: n % 13,
                seeks: 2,
                bounded: n.is_multiple_of(2),
            },
        },
        EventKind::ShrinkPassEnd { shrinker, in_memcg: n % 2 == 1, left: 7, owed: big },
        EventKind::ShrinkerPanicked { shrinker },
        EventKind::PoolAllocBegin { pool: PoolId(n), mask: Gfp::NOIO, keeps: n, site },
        EventKind::PoolAllocEnd {
            pool: PoolId(n),
            got: [None, Some(true), Some(false)][n as usize % 3],
        },
        EventKind::PoolTake { pool: PoolId(n), site: None },
        EventKind::PoolTake { pool: PoolId(n), site: Some(site) },
        EventKind::PoolGive { pool: PoolId(n) },
        EventKind::PoolHandOver { pool: PoolId(n), request },
        EventKind::LockHandOver { lock, request },
        EventKind::Promise { condition: WaitId(n), by: actors[0], units: 1, site: None },
        EventKind::Promise { condition: WaitId(n), by: actors[1], units: n, site: Some(site) },
        EventKind::PromiseEnd { condition: WaitId(n), by: actors[2] },
        EventKind::Signal { condition: WaitId(n) },
        EventKind::WaitAgain { condition: WaitId(n) },
        EventKind::WaitNeeds { condition: WaitId(n), needs: Needs::One },
        EventKind::WaitNeeds { condition: WaitId(n), needs: Needs::Units(n) },
        EventKind::WaitNeeds { condition: WaitId(n), needs: Needs::All },
        EventKind::RequestPassed { request, to: actors[n as usize % 3] },
        EventKind::ShrinkerRegistered { shrinker, site },
        EventKind::ShrinkerUnregistered { shrinker },
        EventKind::Acknowledged { item: ItemId(n), version: big, site },
        EventKind::Recovered { item: ItemId(n), version: big },
        EventKind::WorldEnd,
        EventKind::Prime { step: Prime::Begin },
        EventKind::Prime { step: Prime::Enter(Gfp::NOFS) },
        EventKind::Prime { step: Prime::Leave },
        EventKind::Prime { step: Prime::End },
        EventKind::LockAttempt { lock, mode, try_lock: n.is_multiple_of(2), site },
        EventKind::LockAcquired { lock, mode, site },
        EventKind::LockReleased { lock },
        EventKind::QueueServer { queue },
        EventKind::RequestServe { request },
        EventKind::RequestServed { request },
        EventKind::RequestComplete { request, error: None },
        EventKind::RequestComplete { request, error: Some(Errno::ENOSPC) },
        EventKind::WorkQueueMade { queue, mem_reclaim: n % 2 == 1 },
        EventKind::WorkQueued { work, queue },
        EventKind::WorkBegin { work },
        EventKind::WorkEnd { work },
        EventKind::PointReached { point: PointId(n), fired: n % 2 == 1 },
        EventKind::Stall { step_budget: n % 2 == 1 },
    ];
    let kinds = [
        ScopeKind::Nofs,
        ScopeKind::Noio,
        ScopeKind::Noreclaim,
        ScopeKind::Pin,
        ScopeKind::Nowait,
        ScopeKind::Kswapd,
        ScopeKind::Forbid(LAYERS),
        context(Depth::Known(n)),
        context(Depth::Unknown),
    ];
    let on_behalf = Entered::OnBehalf(ScopeRef { task: n, seq: n });
    let hows = [Entered::Held, Entered::Permanent, Entered::Inherited, on_behalf];
    for (place, kind) in kinds.into_iter().enumerate() {
        all.push(EventKind::ScopeEnter { kind, scope, site, how: hows[place % 4] });
    }
    all.extend(Misuse::ALL.iter().map(|what| EventKind::ScopeMisuse {
        what: *what,
        kind,
        owner: TaskId(n),
        scope,
        site,
    }));
    let tasks = [TaskKind::Task, TaskKind::Server, TaskKind::Foreign];
    all.extend(tasks.map(|kind| EventKind::TaskSpawn { parent: TaskId(n), kind }));
    let outcomes = [AllocOutcome::Ok, AllocOutcome::Elsewhere, AllocOutcome::Failed];
    all.extend(outcomes.map(|outcome| EventKind::AllocEnd { outcome, left: Pages(big) }));
    let reclaims =
        [ReclaimKind::Direct, ReclaimKind::Kswapd, ReclaimKind::Memcg, ReclaimKind::Compaction];
    all.extend(reclaims.map(|kind| EventKind::ReclaimEnter { kind, mask: Gfp::NOFS }));
    let broken = WaitOutcome::Broken(Errno::EDEADLK);
    let ended = [WaitOutcome::Satisfied, WaitOutcome::TimedOut, broken, WaitOutcome::Abandoned];
    for (place, resource) in resources(n).into_iter().enumerate() {
        all.push(EventKind::WaitBegin { resource, why: text, breakable: place % 2 == 0, site });
        all.push(EventKind::WaitPassed { resource, site });
        all.push(EventKind::WaitEnd { resource, outcome: ended[place % 4] });
    }
    all.extend(facts(n).map(|fact| EventKind::Declared { fact }));
    all.extend(targets(n).map(|target| EventKind::PolicyMask { target, mask: Gfp::NOFS }));
    for (op, origin) in [
        (Op::Read, None),
        (Op::Write, Some(Origin { what: text, item: big })),
        (Op::Flush, None),
        (Op::Discard, None),
    ] {
        let (sector, sectors) = (Sectors(big), Sectors(8));
        all.push(EventKind::RequestSubmit { request, queue, op, sector, sectors, origin, site });
    }
    all
}

/// A name of every sort.
fn names(task: &str) -> Names {
    let mut names = Names::default();
    names.add_task(task);
    names.add_queue("loop0");
    names.add_work("flush \\ \"x\"");
    names.add_condition("reply");
    names.add_shrinker("dm-bufio:meta");
    names.add_point("journal.begin");
    names.add_pool("bios");
    names.add_part("loop0");
    names.add_lock("journal", "fs:lower");
    names.add_layer(Layer::FS, "lower");
    names.add_layer(Layer::FS, "upper");
    names
}

fn write(events: &[Event], names: &Names) -> Vec<u8> {
    let mut writer = EventWriter::new(Vec::new(), &Header::new("t", "model", "v3.10")).unwrap();
    for event in events {
        writer.write(event, names).unwrap();
    }
    writer.finish(names).unwrap()
}

fn history(kinds: impl IntoIterator<Item = EventKind>) -> Vec<Event> {
    let spawn = EventKind::TaskSpawn { parent: TaskId(0), kind: TaskKind::Task };
    let kinds = std::iter::once(spawn).chain(kinds).zip(0..);
    kinds.map(|(kind, seq)| Event { seq, time: Nanos(seq * 10), task: TaskId(0), kind }).collect()
}

#[test]
fn every_kind_has_a_sample() {
    let of =
        |kind: &EventKind| format!("{kind:?}").split([' ', '{']).next().unwrap_or("").to_owned();
    let sampled: BTreeSet<String> = samples(1, "x").iter().map(of).collect();
    let known: BTreeSet<String> = KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(sampled, known);
}

proptest! {
    #[test]
    fn every_kind_comes_back(
        picked in proptest::collection::vec((0_usize..1000, 0_u32.., 0_usize..3), 1..200),
        name in "\\PC*",
    ) {
        let texts = ["harness/src/fs/tx.rs", "a \"b\"\n\\", "\u{e9}"];
        let kinds = picked.iter().map(|(place, n, text)| {
            let all = samples(*n, texts[*text]);
            all[place % all.len()]
        });
        let (events, names) = (history(kinds), names(&name));
        let file = write(&events, &names);
        let mut reader = EventReader::new(&file[..]).unwrap().of_any_history();
        let back: Vec<Event> = reader.by_ref().collect::<crate::Result<_>>().unwrap();
        prop_assert_eq!(back, events);
        prop_assert_eq!(reader.names(), &names);
    }
}

#[test]
fn a_name_is_declared_when_it_appears() {
    let mut writer = EventWriter::new(Vec::new(), &Header::new("t", "model", "v3.10")).unwrap();
    let mut names = Names::default();
    for event in history([EventKind::TaskExit]) {
        names.add_task(format!("task {}", event.seq));
        writer.write(&event, &names).unwrap();
    }
    let text = String::from_utf8(writer.finish(&names).unwrap()).unwrap();
    expect_test::expect![[r#"
        {"reclaimdep-events":2,"name":"t","tier":"model","era":"v3.10"}
        {"task":{"id":0,"is":"task 0"}}
        [0,0,0,{"task-spawn":{"parent":0,"kind":"task"}}]
        {"task":{"id":1,"is":"task 1"}}
        [1,10,0,{"task-exit":{}}]
        {"end":{"events":2}}
    "#]]
    .assert_eq(&text);
}

/// Lines of a sound file: header, text, site, three events, end.
fn sound() -> Vec<String> {
    let site = Site { file: "x.rs", line: 1 };
    let layer = LayerRef { layer: Layer::FS, instance: 0 };
    let file = write(
        &history([EventKind::LayerEnter { layer, site }, EventKind::LayerExit { layer }]),
        &Names::default(),
    );
    String::from_utf8(file).unwrap().lines().map(str::to_owned).collect()
}

/// After `change`, `events` events are read and then the error at `line` says `says`.
#[track_caller]
fn check_damage(change: impl FnOnce(&mut Vec<String>), events: usize, line: usize, says: &str) {
    let mut lines = sound();
    change(&mut lines);
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut all = EventReader::new(text.as_bytes()).unwrap().collect::<Vec<_>>();
    let message = all.pop().unwrap().unwrap_err().to_string();
    assert_eq!(
        (all.len(), all.iter().filter(|event| event.is_err()).count()),
        (events, 0),
        "{message}"
    );
    let byte: usize = lines[..(line - 1).min(lines.len())].iter().map(|line| line.len() + 1).sum();
    assert!(message.starts_with(&format!("line {line}, byte {byte}: ")), "{message}");
    assert!(message.contains(says), "`{says}` is not in: {message}");
}

#[test]
fn the_sound_file_is_sound() {
    let text = sound().join("\n");
    assert_eq!(
        EventReader::new(text.as_bytes()).unwrap().filter_map(crate::Result::ok).count(),
        3,
        "{text}"
    );
    assert_eq!(sound().len(), 8, "{text}");
}

#[test]
fn a_file_that_was_cut_off_is_read_up_to_its_end() {
    check_damage(|lines| lines.truncate(7), 3, 8, "cut off");
    check_damage(|lines| lines[5].truncate(20), 1, 6, "not an event");
    check_damage(|lines| lines.truncate(3), 1, 4, "cut off");
}

#[test]
fn exchanged_and_lost_lines_are_found() {
    check_damage(|lines| lines.swap(5, 6), 1, 6, "event 2 where event 1 is due");
    check_damage(|lines| drop(lines.remove(5)), 1, 6, "event 2 where event 1 is due");
    check_damage(|lines| lines.swap(2, 3), 1, 3, "text 1 is declared where text 0 is due");
    check_damage(|lines| drop(lines.remove(3)), 1, 4, "is used before it is declared");
    check_damage(
        |lines| lines.push("[3,0,0,{\"task-exit\":{}}]".into()),
        3,
        9,
        "after the end line",
    );
    check_damage(
        |lines| lines[7] = "{\"end\":{\"events\":4}}".into(),
        3,
        8,
        "counts 4 events, there are 3",
    );
}

#[test]
fn an_impossible_history_is_refused() {
    check_damage(
        |lines| lines[5] = "[1,5,1,{\"task-exit\":{}}]".into(),
        1,
        6,
        "task 1 acts before",
    );
    check_damage(
        |lines| lines[6] = "[2,9,0,{\"task-exit\":{}}]".into(),
        2,
        7,
        "goes back from 10 ns to 9 ns",
    );
    check_damage(|lines| lines[6] = "[2,20,0,{\"task-moon\":{}}]".into(), 2, 7, "task-moon");
    check_damage(
        |lines| lines[6] = "[2,20,9999999,{\"task-exit\":{}}]".into(),
        2,
        7,
        "at the most",
    );
    check_damage(|lines| lines[6] = "{\"moon\":{}}".into(), 2, 7, "moon");
}

#[test]
fn other_files_are_refused() {
    for (text, says) in [
        ("", "empty"),
        ("hello\n", "line 1, byte 0: this is not an event file"),
        ("{\"reclaimdep-events\":3,\"later\":true}\n", "version 3, this reader knows 2"),
    ] {
        let message = EventReader::new(text.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}
