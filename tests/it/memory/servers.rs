//! Pressure on servers, and at one allocation by kswapd and by the task at once.

use std::sync::Arc;

use reclaimdep::kernel::block::write_at;
use reclaimdep::kernel::event::TaskKind;
use reclaimdep::kernel::sched::{Mutex, Work, WorkQueue};
use reclaimdep::scope::{self, Gfp, TaskFlags};
use reclaimdep::{Builder, Code, FsSpec, LoopSpec, Pressure, StackSpec, Tier, World};

use super::Planted;

const TIERS: [Tier; 2] = [Tier::Model, Tier::Native];

/// Whether RD04 is found in 100 schedules under `rule`: kswapd and the task come to two locks in
/// different orders, or in the same one.
fn deadlocks(tier: Tier, rule: Pressure, crossed: bool) -> bool {
    let builder = World::builder().tier(tier).schedules(100).pressure(rule);
    let report = builder
        .run(move |world| {
            let lock = |class| Arc::new(Mutex::new(world.sched(), class, "cache", ()));
            let (a, b) = (lock("a"), lock("b"));
            let planted = Planted::new(
                |_| 200,
                move |_, _| {
                    let kswapd = scope::context::flags().contains(TaskFlags::KSWAPD);
                    let (first, second) = if kswapd && crossed { (&b, &a) } else { (&a, &b) };
                    let outer = first.lock();
                    World::current().sched().point();
                    let inner = second.lock();
                    drop((inner, outer));
                    Ok(1)
                },
            );
            let registered = world.mm().register_shrinker(planted);
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            world.mm().stop_kswapd();
            registered.unregister();
        })
        .expect("the world is valid");
    report.has(Code::RD04)
}

#[test]
fn kswapd_and_the_task_reclaim_at_one_allocation() {
    let first = || Pressure::nth_allocation_of("main", 1);
    assert!(deadlocks(Tier::Model, first().by_both(), true));
    assert!(!deadlocks(Tier::Model, first().by_both(), false));
    assert!(!deadlocks(Tier::Model, first().by_kswapd(), true));
    assert!(!deadlocks(Tier::Model, first(), true));
    // On OS threads no schedule is certain to meet the deadlock.
    assert!(!deadlocks(Tier::Native, first().by_both(), false));
}

/// The world has exactly one rule, about `server`: it hits in every tier, and is idle if the server
/// does nothing.
#[track_caller]
fn check_server(server: &str, stack: fn() -> StackSpec, body: fn(&World, bool)) {
    for (tier, serves) in TIERS.into_iter().flat_map(|tier| [(tier, true), (tier, false)]) {
        let rule = Pressure::every_allocation().task(server);
        let builder: Builder = World::builder().tier(tier).schedules(5).stack(stack());
        let run = builder.pressure(rule).run(move |world| body(world, serves));
        let report = run.expect("the world is valid");
        let idle = !report.idle.is_empty();
        assert_eq!(idle, !serves, "{server} on {tier:?}: {report}");
    }
}

#[test]
fn a_rule_hits_the_allocations_of_the_server_that_it_names() {
    check_server("kworker/events", StackSpec::default, |world, serves| {
        let queue = WorkQueue::new(world.sched(), "events");
        let mm = world.mm().clone();
        let work = Work::new("item", move || drop(mm.alloc(0, Gfp::KERNEL)));
        assert!(!serves || queue.queue(&work));
        queue.flush(&work);
        queue.destroy();
    });
    check_server("loop0", loop_device, |world, serves| {
        let device = world.stack().device("loop0").expect("the stack has it").clone();
        if serves {
            write_at(&*device, 0, &[7; 4096]).expect("it is written");
        }
    });
    check_server("kcryptd", StackSpec::default, |world, serves| {
        let mm = world.mm().clone();
        let server = world.sched().spawn("kcryptd", TaskKind::Server, move || {
            assert!(!serves || mm.alloc(0, Gfp::NOIO).is_some());
        });
        server.join();
    });
}

fn loop_device() -> StackSpec {
    StackSpec::default()
        .fs(FsSpec::in_memory("lower", 8))
        .loop_device(LoopSpec::new("loop0", "lower", "disk.img", 1))
}
