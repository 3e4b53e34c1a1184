//! Small programs as data, run by several tasks on one client: nothing is lost, whatever the schedule.
//!
//! In the manner of dmtest's bufio tests. A program stamps blocks with what it knows and verifies what it
//! stamped; each task has blocks of its own and all share the client, its few buffers, and a shrinker that
//! other tasks call.

use std::sync::Arc;

use reclaimdep::World;
use reclaimdep::block::{BlockDevice, LateDevice, MemoryDevice, read_at};
use reclaimdep::bufio::{Client, ClientOptions, Parts};
use reclaimdep::era::Era;
use reclaimdep::event::Gfp;
use reclaimdep::inject::{Failpoint, FailpointRule, Plan, PlanSpec, Pressure};
use reclaimdep::mm::Mm;
use reclaimdep::sched::WorkQueue;
use reclaimdep::units::Ticks;
use reclaimdep::world::Tier;

/// One step, on a block of the task's own.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Makes the block without reading it, fills it and marks it dirty.
    New(u64, u8),
    /// Reads it, changes a part of it and marks that dirty.
    Stamp(u64, u8),
    /// Reads it and compares.
    Verify(u64, u8),
    /// Looks it up in the cache; what is there is compared.
    Get(u64, u8),
    Prefetch(u64),
    Forget(u64),
    WriteAsync,
    WriteSync,
    /// Allocates while memory is short, so that reclaim calls the shrinker.
    Shrink,
}

use Step::{Forget, Get, New, Prefetch, Shrink, Stamp, Verify, WriteAsync, WriteSync};

const PROGRAMS: &[&[Step]] = &[
    &[New(0, 1), Verify(0, 1), Stamp(0, 2), WriteAsync, Stamp(0, 3), Verify(0, 3), Get(0, 3)],
    &[New(1, 7), New(2, 8), WriteSync, Forget(1), Prefetch(1), Verify(1, 7), Verify(2, 8)],
    &[New(3, 5), Shrink, Verify(3, 5), Stamp(3, 6), Shrink, Get(3, 6), Verify(3, 6)],
];
/// What is on the disk when all have ended.
const LEFT: [u8; 4] = [3, 7, 8, 6];

fn holds(client: &Client, block: u64, byte: u8) {
    let buffer = client.read(block).expect("the disk is healthy");
    buffer.with_data(|data| assert!(data[0] == byte && data[100] == byte, "block {block}: {}", data[0]));
}

fn run_step(client: &Client, mm: &Mm, step: Step) {
    match step {
        New(block, byte) => {
            let buffer = client.new_block(block).expect("the disk is healthy");
            buffer.with_data_mut(|data| data.fill(byte));
            buffer.mark_dirty();
        }
        Stamp(block, byte) => {
            let buffer = client.read(block).expect("the disk is healthy");
            buffer.with_data_mut(|data| data[..512].fill(byte));
            buffer.mark_partial_dirty(0, 512);
        }
        Verify(block, byte) => holds(client, block, byte),
        Get(block, byte) => {
            if let Some(buffer) = client.get(block) {
                buffer.with_data(|data| assert_eq!(data[0], byte, "block {block}"));
            }
        }
        Prefetch(block) => client.prefetch(block, 1),
        Forget(block) => client.forget(block),
        WriteAsync => client.write_dirty_buffers_async(),
        WriteSync => client.write_dirty_buffers().expect("the disk is healthy"),
        Shrink => assert!(mm.alloc(0, Gfp::KERNEL).is_some(), "reclaim is not for want of pages"),
    }
}

/// All programs at once, each a task; then the client ends and the disk is looked at.
fn run_programs(world: &World, era: Era) {
    let (sched, mm) = (world.sched(), world.mm());
    // No memory beyond the reserve: every other buffer must be stolen or waited for.
    let rule = FailpointRule { point: Failpoint::BufioAllocNoio, skip: 0, times: None };
    let plan = Plan::arm(sched, PlanSpec { failpoints: vec![rule], ..PlanSpec::default() });
    let disk: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(sched, "vda", 64 << 10));
    let late = LateDevice::new(sched, Arc::clone(&disk), Ticks(0), Ticks(0));
    let queue = WorkQueue::new(sched, "dm_bufio_cache");
    let parts = Parts {
        sched: sched.clone(),
        mm: mm.clone(),
        plan: plan.expect("a rule that can fire"),
        knobs: era.knobs(),
        device: Arc::new(late.clone()),
        node: None,
        cleaner: Some(queue.clone()),
    };
    let options = ClientOptions { retain_bytes: 0, trees: 2, ..ClientOptions::default() };
    let client = Client::create(parts, options).expect("the disk is large enough");
    let tasks: Vec<_> = PROGRAMS
        .iter()
        .zip(["one", "two", "three"])
        .map(|(program, name)| {
            let (client, mm) = (client.clone(), mm.clone());
            world.spawn(name, move || program.iter().for_each(|step| run_step(&client, &mm, *step)))
        })
        .collect();
    tasks.into_iter().for_each(reclaimdep::sched::JoinHandle::join);
    client.destroy().expect("nothing is held, and everything is written");
    assert_eq!(client.buffers(), 0);
    queue.destroy();
    late.stop();
    for (block, byte) in (0..).zip(LEFT) {
        let mut data = [0; 512];
        read_at(&*disk, block * 4096, &mut data).expect("the disk is healthy");
        assert_eq!(data, [byte; 512], "block {block}");
    }
}

#[track_caller]
fn check(tier: Tier, era: Era, schedules: u64) {
    let short = Pressure { task: Some("three".into()), ..Pressure::default() };
    let run = World::builder().tier(tier).era(era).pressure(short).schedules(schedules);
    let report = run.run(move |world| run_programs(world, era)).expect("the harness has no trouble");
    assert!(report.is_quiet(), "{era}:\n{report}");
    if tier == Tier::Model {
        assert_eq!(report.schedules, schedules, "{era}");
    }
}

/// Schedules of each index form; `RECLAIMDEP_BUFIO_SCHEDULES` asks for more.
fn schedules() -> u64 {
    let more = std::env::var("RECLAIMDEP_BUFIO_SCHEDULES").ok();
    more.map_or(100, |more| more.parse().expect("RECLAIMDEP_BUFIO_SCHEDULES is a number"))
}

#[test]
fn programs_lose_nothing_with_the_classic_index() {
    check(Tier::Model, Era::V5_9, schedules());
}

#[test]
fn programs_lose_nothing_with_the_modern_index() {
    check(Tier::Model, Era::V6_12, schedules());
}

#[test]
fn programs_lose_nothing_on_threads() {
    for era in [Era::V4_19, Era::V5_9, Era::V6_12] {
        check(Tier::Native, era, 1);
    }
}
