//! dm-bufio's failpoints that delay a task, and its clock: which tasks they hold up, and for how
//! long.

use std::sync::Arc;

use reclaimdep::kernel::block::{BlockDevice, LateDevice, MemoryDevice};
use reclaimdep::kernel::bufio::{Bufio, Client, ClientOptions};
use reclaimdep::kernel::event::Resource;
use reclaimdep::kernel::sched::{WaitQueue, Waiting, WorkQueue};
use reclaimdep::kernel::units::Ticks;
use reclaimdep::scope::Gfp;
use reclaimdep::{Era, Failpoint, FailpointRule, PlanSpec, Pressure, World};

/// For how long a failpoint holds its task up.
const LATE: Ticks = Ticks(10);
/// The time that the disk takes for a request.
const DISK: Ticks = Ticks(2);

fn sleep(world: &World, time: Ticks) {
    WaitQueue::new(world.sched()).wait_timeout(
        Waiting::on(Resource::Timer, "the test"),
        time,
        || false,
    );
}

fn dirty(client: &Client, block: u64) {
    client.new_block(block).expect("there is a buffer").mark_dirty();
}

/// Runs `body` with a client of eight buffers on a disk whose requests take time; every rule of
/// `plan` must fire.
#[track_caller]
fn with_client(era: Era, plan: PlanSpec, body: impl Fn(&World, &Client) + Send + Sync + 'static) {
    let report = World::builder().era(era).plan(plan).schedules(1).run(move |world| {
        let sched = world.sched();
        let disk = Arc::new(MemoryDevice::new(sched, "vda", 1 << 20));
        let late = LateDevice::new(sched, disk, DISK, Ticks(0));
        let queue = WorkQueue::mem_reclaim(sched, "dm_bufio_cache");
        let bufio = Bufio::new(sched, world.mm(), world.plan(), world.knobs(), Some(queue.clone()));
        let options = ClientOptions { max_buffers: 8, retain_bytes: 0, ..ClientOptions::default() };
        let client =
            bufio.create(Arc::new(late.clone()), None, options).expect("the disk is large enough");
        body(world, &client);
        client.destroy().expect("nothing is held");
        queue.destroy();
        late.stop();
        assert_eq!(world.plan().idle(), [], "what the plan says happened");
    });
    let report = report.expect("the harness has no trouble");
    assert!(report.is_quiet(), "{era}:\n{report}");
}

fn firing(point: Failpoint) -> PlanSpec {
    let reclaimer = Pressure::every_allocation().task("reclaimer");
    let plan = PlanSpec::default().failpoint(FailpointRule::new(point).times(1));
    match point {
        Failpoint::BufioPauseShrink | Failpoint::BufioWorkLate => plan.pressure(reclaimer),
        _ => plan,
    }
}

/// Checks that a task which asks for the client lock while `work` passes `point` waits for the
/// length of a pause if the point fires, and does not if it does not fire.
#[track_caller]
fn check_lock_held(point: Failpoint, era: Era, work: fn(&World, &Client)) {
    let fires = firing(point);
    let mut does_not = fires.clone();
    does_not.failpoints.clear();
    check_longest_wait(era, fires, work, |longest| longest + Ticks(1) >= LATE);
    check_longest_wait(era, does_not, work, |longest| longest + Ticks(1) < LATE);
}

#[track_caller]
fn check_longest_wait(
    era: Era,
    plan: PlanSpec,
    work: fn(&World, &Client),
    is_right: fn(Ticks) -> bool,
) {
    let points = plan.failpoints.clone();
    with_client(era, plan, move |world, client| {
        let (theirs, other) = (world.clone(), client.clone());
        // Asks again and again: the longest wait is the pause.
        let asks = world.spawn("other", move || {
            let mut longest = Ticks(0);
            for _ in 0..60 {
                let before = theirs.sched().now();
                other.forget(200);
                longest = longest.max(theirs.sched().now() - before);
                sleep(&theirs, Ticks(1));
            }
            longest
        });
        work(world, client);
        let longest = asks.join();
        assert!(is_right(longest), "{points:?}: at the most {longest:?}");
    });
}

#[test]
fn a_pause_before_making_clean_keeps_the_client_lock() {
    check_lock_held(Failpoint::BufioPauseClean, Era::V5_9, |_, client| {
        for block in 0..10 {
            dirty(client, block);
        }
    });
}

#[test]
fn a_pause_at_the_watermark_keeps_the_client_lock() {
    check_lock_held(Failpoint::BufioPauseWatermark, Era::V3_18, |_, client| {
        for block in 0..12 {
            drop(client.read(block).expect("the disk is healthy"));
        }
    });
}

#[test]
fn a_pause_at_the_tail_of_writing_everything_keeps_the_client_lock() {
    check_lock_held(Failpoint::BufioPauseTail, Era::V5_9, |world, client| {
        dirty(client, 0);
        let (theirs, other) = (world.clone(), client.clone());
        // Other writes begin while the task waits for the only one without the lock.
        let dirtier = world.spawn("dirtier", move || {
            sleep(&theirs, Ticks(1));
            (1..5).for_each(|block| dirty(&other, block));
            other.write_dirty_buffers_async();
        });
        client.write_dirty_buffers().expect("the disk is healthy");
        dirtier.join();
    });
}

#[test]
fn a_pause_before_a_buffer_moves_keeps_the_client_lock() {
    check_lock_held(Failpoint::BufioPauseMove, Era::V5_9, |_, client| {
        let buffer = client.read(1).expect("the disk is healthy");
        client.release_move(buffer, 2).expect("nobody holds block 2");
    });
}

#[test]
fn a_pause_in_the_shrinkers_work_keeps_the_client_lock() {
    for era in [Era::V5_9, Era::V6_12] {
        check_lock_held(Failpoint::BufioPauseShrink, era, |world, client| {
            drop(client.read(1).expect("the disk is healthy"));
            reclaim(world);
        });
    }
}

fn reclaim(world: &World) {
    let mm = world.mm().clone();
    world.spawn("reclaimer", move || drop(mm.alloc(0, Gfp::KERNEL))).join();
}

#[test]
fn work_that_is_late_frees_nothing_until_then_and_all_of_it_afterwards() {
    for era in [Era::V5_9, Era::V6_12] {
        with_client(era, firing(Failpoint::BufioWorkLate), |world, client| {
            drop(client.read(1).expect("the disk is healthy"));
            let before = world.sched().now();
            reclaim(world);
            assert_eq!(client.buffers(), 1, "the work has not begun");
            while client.buffers() > 0 {
                sleep(world, Ticks(1));
            }
            let took = world.sched().now() - before;
            assert!(took >= LATE, "{took:?}");
        });
    }
}

#[test]
fn the_timer_evicts_buffers_that_were_not_used_for_the_maximal_age() {
    for (era, age) in
        [(Era::V3_18, Ticks(60_000)), (Era::V5_9, Ticks(300_000)), (Era::V6_12, Ticks(300_000))]
    {
        with_client(era, PlanSpec::default(), move |world, client| {
            let bufio = client.bufio();
            assert_eq!(bufio.max_age(), age);
            bufio.start_aging();
            drop(client.read(1).expect("the disk is healthy"));
            sleep(world, Ticks(age.0 / 2));
            assert_eq!(client.buffers(), 1, "{era}: it is not old");
            drop(client.get(1).expect("it is there"));
            sleep(world, Ticks(age.0 * 3 / 4));
            assert_eq!(client.buffers(), 1, "{era}: it was used in between");
            sleep(world, age);
            assert_eq!(client.buffers(), 0, "{era}: it is old");
            bufio.stop_aging();
        });
    }
}

#[test]
fn a_shorter_maximal_age_is_in_force_at_the_next_look() {
    with_client(Era::V6_12, PlanSpec::default(), |world, client| {
        client.bufio().set_max_age(Ticks(1000));
        client.bufio().start_aging();
        drop(client.read(1).expect("the disk is healthy"));
        sleep(world, Ticks(31_000));
        assert_eq!(client.buffers(), 0);
        client.bufio().stop_aging();
    });
}
