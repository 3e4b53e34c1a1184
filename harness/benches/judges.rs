//! What judging costs: the same schedules with judges and without; a new edge of a large order
//! graph; a million recorded events; ten times as many events of ten times as many tasks.
//!
//! Each number is a ratio to a unit, reported to criterion as a time: one millisecond for 1.
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use reclaimdep::kernel::event::{
    Event, EventKind, LockId, LockMode, Names, Op, RequestId, TaskId, TaskKind,
};
use reclaimdep::kernel::recording::{EventWriter, Header, judge_events, judge_recording};
use reclaimdep::kernel::sched::Mutex;
use reclaimdep::kernel::units::{Nanos, Sectors};
use reclaimdep::kernel::witness::{Judge, Moment, Order, OrderGraph, View};
use reclaimdep::scope::{self, Gfp, Site};
use reclaimdep::{BufioSpec, Builder, Code, FsSpec, LoopSpec, Pressure, StackSpec, World};

/// Schedules of one turn of a comparison.
const SCHEDULES: u64 = 1000;
/// Turns, of which the fastest counts: what disturbs a turn only ever slows it.
const TURNS: u32 = 4;
const CLASSES: u32 = 10_000;
const EDGES: usize = 100_000;
/// Runs of the order graph, of which each edge's fastest counts.
const RUNS: usize = 3;
/// Events of the recording.
const EVENTS: usize = 1_000_000;
/// Blocked tasks of the text.
const BLOCKED: usize = 6_760;

/// Tells `ratio` as a time.
fn tell(
    criterion: &mut Criterion,
    [group, first, second]: [&str; 3],
    mut ratio: impl FnMut() -> f64,
) {
    let mut group = criterion.benchmark_group(group);
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_millis(10));
    group.sample_size(10).nresamples(1_000);
    group.bench_function(BenchmarkId::new(first, second), |bencher| {
        bencher
            .iter_custom(|iterations| Duration::from_secs_f64(iterations as f64 * 1e-3 * ratio()));
    });
    group.finish();
}

fn time(call: impl FnOnce()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_secs_f64()
}

/// How many times as long `body` takes with judges as without.
fn cost(builder: &Builder, body: fn(&World)) -> f64 {
    let run = |builder: Builder| {
        let report = builder.schedules(SCHEDULES).run(body).expect("the harness has no trouble");
        assert!(report.is_quiet() && report.schedules == SCHEDULES, "{report}");
    };
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        fastest[0] = fastest[0].min(time(|| run(builder.clone())));
        fastest[1] = fastest[1].min(time(|| run(builder.clone().unjudged())));
    }
    fastest[0] / fastest[1]
}

/// fs:lower, a loop device on it, and a buffer cache on that.
fn storage() -> Builder {
    let stack = StackSpec::default()
        .fs(FsSpec::in_memory("lower", 96))
        .loop_device(LoopSpec::new("loop0", "lower", "disk.img", 64))
        .bufio(BufioSpec::new("meta", "loop0").retain_bytes(0).dirty([0]));
    World::builder().stack(stack).pressure(Pressure::first_nofs_allocation_of("rsync"))
}

fn write_both(world: &World) {
    let (lower, meta) = (world.fs("lower"), world.bufio("meta"));
    let rsync = world.spawn("rsync", move || lower.create("a").map(drop));
    let thin = world.spawn("thin", move || rewrite(&meta));
    rsync.join().expect("the file is made");
    thin.join();
}

fn rewrite(meta: &reclaimdep::kernel::bufio::Client) {
    let buffer = meta.read(1).expect("the device is healthy");
    buffer.with_data_mut(|data| data.fill(1));
    buffer.mark_dirty();
    drop(buffer);
    meta.write_dirty_buffers().expect("the device is healthy");
}

/// Hardly anything but events.
fn locks(world: &World) {
    let table = std::sync::Arc::new(Mutex::new(world.sched(), "table", "", 0u32));
    for task in ["one", "two", "three"] {
        let (table, mm) = (std::sync::Arc::clone(&table), world.mm().clone());
        let _joined_at_the_end = world.spawn(task, move || {
            for _ in 0..20 {
                let _nofs = scope::nofs();
                *table.lock() += 1;
                assert!(mm.alloc(0, Gfp::KERNEL).is_some());
            }
        });
    }
}

fn judging(criterion: &mut Criterion) {
    tell(criterion, ["judging", "storage", "unjudged"], || cost(&storage(), write_both));
    tell(criterion, ["judging", "locks", "unjudged"], || cost(&World::builder(), locks));
}

/// Numbers that no run has in common with the one before, and every run of the bench has.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound)).expect("it is below the bound")
    }
}

/// Which lock is taken under which, at random, without a cycle.
fn pairs() -> Vec<(LockId, LockId)> {
    let mut random = Random(1);
    let mut order: Vec<u32> = (0..CLASSES).collect();
    for at in (1..CLASSES).rev() {
        order.swap(at as usize, random.below(at + 1) as usize);
    }
    let mut pairs = std::collections::BTreeSet::new();
    let mut list = Vec::new();
    while list.len() < EDGES {
        let (a, b) = (random.below(CLASSES), random.below(CLASSES));
        if a != b && pairs.insert((a.min(b), a.max(b))) {
            list.push((LockId(order[a.min(b) as usize]), LockId(order[a.max(b) as usize])));
        }
    }
    list
}

/// A judge of order that is shown locks.
struct Shown {
    view: View,
    order: Order,
    names: Names,
    seq: u64,
    found: Vec<reclaimdep::kernel::witness::Finding>,
}

impl Shown {
    fn new() -> Self {
        let mut names = Names::default();
        for class in 0..CLASSES {
            names.add_lock(Box::leak(format!("class{class}x").into_boxed_str()), "");
        }
        let order = Order::new(OrderGraph::default(), false);
        Self { view: View::default(), order, names, seq: 0, found: Vec::new() }
    }

    fn show(&mut self, kind: EventKind) -> f64 {
        let event = Event { seq: self.seq, time: Nanos(self.seq), task: TaskId(0), kind };
        self.seq += 1;
        self.view.apply(&event);
        let moment = Moment { event: &event, view: &self.view, names: &self.names };
        time(|| self.order.observe(&moment, &mut self.found))
    }

    /// Takes `second` while `first` is held; how long the judge needs for that, in seconds.
    fn take(&mut self, (first, second): (LockId, LockId)) -> f64 {
        let (mode, site) = (LockMode::Exclusive, Site { file: "bench.rs", line: 1 });
        let attempt = |lock| EventKind::LockAttempt { lock, mode, try_lock: false, site };
        self.show(attempt(first));
        self.show(EventKind::LockAcquired { lock: first, mode, site });
        let needed = self.show(attempt(second));
        self.show(EventKind::LockReleased { lock: first });
        needed
    }
}

/// The median and the slowest of all edges, in seconds; before the edges there is a cycle, or not.
/// Of each edge the fastest of some runs counts, which do all the same.
fn insert(runs: usize, after_cycle: bool) -> (f64, f64) {
    let pairs = pairs();
    let mut needed = vec![f64::INFINITY; pairs.len()];
    for _ in 0..runs {
        let again = insert_all(&pairs, after_cycle);
        needed.iter_mut().zip(again).for_each(|(least, now)| *least = least.min(now));
    }
    needed.sort_by(f64::total_cmp);
    (needed[needed.len() / 2], needed[needed.len() - 1])
}

fn insert_all(pairs: &[(LockId, LockId)], after_cycle: bool) -> Vec<f64> {
    let mut shown = Shown::new();
    if after_cycle {
        let (first, second) = pairs[0];
        shown.take((first, second));
        shown.take((second, first));
    }
    let needed = pairs.iter().map(|pair| shown.take(*pair)).collect();
    assert_eq!(shown.found.iter().any(|finding| finding.code == Code::RD03), after_cycle);
    assert!(shown.order.learned().order.expect("order is judged").len() >= EDGES);
    needed
}

fn order(criterion: &mut Criterion) {
    tell(criterion, ["order", "median", "microsecond"], || insert(1, false).0 * 1e6);
    tell(criterion, ["order", "slowest", "millisecond"], || insert(RUNS, false).1 * 1e3);
    tell(criterion, ["order", "median-after-cycle", "microsecond"], || insert(1, true).0 * 1e6);
}

/// Records a run of a million events or so into `file`; how many there are.
fn record(file: &tempfile::NamedTempFile) -> usize {
    let body = |world: &World| {
        let (lower, meta) = (world.fs("lower"), world.bufio("meta"));
        let ino = lower.create("a").expect("there is room");
        let _joined_at_the_end = world.spawn("writer", move || {
            for round in 0..20_000u64 {
                lower.write(ino, round % 7 * 4096, &[1; 4096]).expect("the disk is healthy");
                rewrite(&meta);
            }
        });
    };
    let builder = storage().record(file.path()).schedules(1).steps(u64::MAX);
    assert!(builder.run(body).expect("the harness has no trouble").is_quiet());
    BufReader::new(file.reopen().expect("it is there")).lines().count()
}

fn recorded(criterion: &mut Criterion) {
    let file = tempfile::NamedTempFile::new().expect("a temp file");
    let mut recorded = None;
    tell(criterion, ["recorded", "million", "second"], || {
        // Not where other numbers were asked for.
        let events = *recorded.get_or_insert_with(|| record(&file));
        assert!(events >= EVENTS, "only {events} events");
        let input = BufReader::new(File::open(file.path()).expect("it is there"));
        let needed = time(|| {
            let judged = judge_events(input).expect("it is an event file");
            assert!(judged.damage.is_none() && judged.report.is_quiet(), "{}", judged.report);
        });
        needed * EVENTS as f64 / events as f64
    });
}

/// Block events of many tasks: `events` of them, as an event file.
fn block_events(events: usize) -> Vec<u8> {
    let (mut names, mut kinds) = (Names::default(), Vec::new());
    let tasks = (events / 100).max(1);
    let queue = names.add_queue("disk");
    for task in 0..tasks {
        let task = names.add_task(format!("writer/{task}"));
        kinds.push((task, EventKind::TaskSpawn { parent: task, kind: TaskKind::Foreign }));
    }
    let site = Site { file: "bench.rs", line: 1 };
    for request in 0..u32::try_from(events / 2).expect("a small number") {
        let task = TaskId(request % u32::try_from(tasks).expect("a small number"));
        let (sector, sectors) = (Sectors(u64::from(request) * 8), Sectors(8));
        let (request, op, origin) = (RequestId(request), Op::Write, None);
        let submit = EventKind::RequestSubmit { request, queue, op, sector, sectors, origin, site };
        kinds.push((task, submit));
        kinds.push((task, EventKind::RequestComplete { request, error: None }));
    }
    let header = Header::new("block events", "kernel", "mainline");
    let mut writer = EventWriter::new(Vec::new(), &header).expect("memory takes anything");
    for ((task, kind), seq) in kinds.into_iter().zip(0..) {
        let event = Event { seq, time: Nanos(seq), task, kind };
        writer.write(&event, &names).expect("memory takes anything");
    }
    writer.finish(&names).expect("memory takes anything")
}

/// A hung-task text of `tasks` tasks: a journal commits, all others wait behind it, and every other
/// one of them in reclaim below a handle of its own.
fn blocked_tasks(tasks: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut task = |comm: &str, pid: usize, stack: &[&str]| {
        text += &format!("INFO: task {comm}:{pid} blocked for more than 120 seconds.\n");
        text += "Call Trace:\n";
        stack.iter().for_each(|function| text += &format!(" {function}+0x60/0xc0\n"));
    };
    task("jbd2/vda-8", 1, &["jbd2_journal_wait_updates", "kjournald2"]);
    let opens = ["wait_transaction_locked", "jbd2__journal_start", "ext4_dirty_inode"];
    let waits = ["io_schedule", "folio_wait_bit", "shrink_slab", "try_to_free_pages"];
    let holds = [&waits[..], &["ext4_writepages"]].concat();
    for pid in 2..=tasks {
        task("writer", pid, if pid % 2 == 0 { &opens } else { &holds });
    }
    text.into_bytes()
}

/// How many times as long `judge` takes for ten times as much; the fastest of some turns counts.
fn growth(small: &[u8], large: &[u8], judge: impl Fn(&[u8])) -> f64 {
    let fastest = |input| {
        (0..TURNS).map(|_| time(|| judge(input))).fold(f64::INFINITY, |least, now| least.min(now))
    };
    fastest(large) / fastest(small)
}

fn linear(criterion: &mut Criterion) {
    tell(criterion, ["linear", "block", "tenth"], || {
        growth(&block_events(EVENTS / 10), &block_events(EVENTS), |input| {
            let judged = judge_events(input).expect("it is an event file");
            assert!(judged.damage.is_none() && judged.report.is_quiet(), "{}", judged.report);
        })
    });
    tell(criterion, ["linear", "blocked", "tenth"], || {
        growth(&blocked_tasks(BLOCKED / 10), &blocked_tasks(BLOCKED), |input| {
            let judged = judge_recording("hung.txt", input).expect("it is a hung-task text");
            assert!(judged.damage.is_none() && judged.report.is_quiet(), "{}", judged.report);
        })
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    [judging, order, recorded, linear].iter().for_each(|group| group(&mut criterion));
    criterion.final_summary();
}
