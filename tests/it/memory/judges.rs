//! The judges of objects left at the end, lost data and false progress, and the lints, in whole
//! worlds.

use std::sync::Arc;

use reclaimdep::kernel::mm::{Mempool, PageBlock};
use reclaimdep::scope::{self, Gfp, Shrinker, Stop};
use reclaimdep::{Code, StackSpec, World};

use super::{Planted, check};

/// A cache that leaves its work to a work item that never runs, like dm-bufio's cache while its
/// queue is stuck.
struct Owes;

impl Shrinker for Owes {
    fn name(&self) -> &str {
        "owes"
    }

    fn count(&self) -> u64 {
        200
    }

    fn scan(&self, _: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        Ok(nr_to_scan)
    }

    fn defers(&self) -> bool {
        true
    }
}

#[test]
fn an_allocation_that_fails_after_deferred_progress_is_found() {
    for (owes, expect) in [(true, &[Code::RD10][..]), (false, &[])] {
        let stack = StackSpec::default().pages(64);
        check(expect, World::builder().stack(stack), move |world| {
            let mm = world.mm();
            let registered = owes.then(|| mm.register_shrinker(Arc::new(Owes)));
            let _all: Vec<PageBlock> = std::iter::from_fn(|| mm.alloc(0, Gfp::NOWAIT)).collect();
            assert!(mm.alloc(0, Gfp::KERNEL | Gfp::NORETRY).is_none());
            drop(registered);
        });
    }
}

#[test]
fn objects_left_at_the_end_of_the_world_are_found() {
    let report = check(&[Code::RD12], World::builder(), |world| {
        let pool = Mempool::new(world.mm(), "bio", 1, 0).expect("there is memory");
        std::mem::forget(world.mm().register_shrinker(Planted::new(|_| 0, |_, _| Ok(0))));
        drop(pool);
    });
    assert!(
        report.to_text().contains("shrinker planted: shrinker registered at the end"),
        "{report}"
    );
    check(&[], World::builder(), |world| {
        drop(world.mm().register_shrinker(Planted::new(|_| 0, |_, _| Ok(0))));
    });
}

#[test]
fn an_acknowledged_version_that_is_lost_in_a_crash_is_found() {
    let body = |flushes: bool| {
        move |world: &World| {
            // A store that acknowledges each version, with or without a flush before it.
            let (mut live, mut durable) = (0, 0);
            let item = world.durable("record 7");
            for version in 1..=3 {
                live = version;
                if flushes {
                    durable = live;
                }
                item.acknowledged(version);
            }
            assert_eq!(live, 3);
            item.recovered(durable);
        }
    };
    check(&[Code::RD13], World::builder(), body(false));
    check(&[], World::builder(), body(true));
}

#[test]
fn lints_are_reported_only_where_a_test_asks_for_them() {
    let body = |world: &World| {
        let _noio = scope::noio();
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    };
    check(&[], World::builder(), body);
    check(&[Code::RD11], World::builder().lints(true), body);
}

#[test]
fn a_finding_can_be_suppressed_and_an_unused_suppression_is_noted() {
    let leaks = |world: &World| {
        std::mem::forget(world.mm().register_shrinker(Planted::new(|_| 0, |_, _| Ok(0))));
    };
    let suppressed = || {
        World::builder().suppress(Code::RD12, "shrinker planted", "it lives as long as the test")
    };
    let report = check(&[], suppressed(), leaks);
    assert!(report.is_quiet());
    assert!(report.notes[0].ends_with("it lives as long as the test"), "{report}");
    let report = check(&[], suppressed(), |_| {});
    assert!(report.notes[0].contains("RD12 `shrinker planted` was not needed"), "{report}");
    let report =
        check(&[Code::RD12], World::builder().suppress(Code::RD12, "another", "of another"), leaks);
    assert!(report.notes[0].contains("was not needed"), "{report}");
}

#[test]
fn a_suppression_without_a_reason_or_without_a_part_is_refused() {
    for (part, reason) in [("shrinker", ""), ("", "everything")] {
        let refused = World::builder()
            .suppress(Code::RD12, part, reason)
            .run(|_| {})
            .unwrap_err()
            .to_string();
        assert!(refused.contains("suppression of RD12"), "{refused}");
    }
}

#[test]
fn a_wait_for_a_users_condition_closes_a_cycle_if_a_task_promised_to_signal_it() {
    for (promises, expect) in [(true, Code::RD04), (false, Code::RD05)] {
        check(&[expect], World::builder(), move |world| {
            let space = world.condition("log space");
            let lock =
                Arc::new(reclaimdep::kernel::sched::Mutex::new(world.sched(), "journal", "", ()));
            let (theirs, held) = (space.clone(), Arc::clone(&lock));
            let promised = world.condition("the promise");
            let said = promised.clone();
            let _journal = lock.lock();
            let committer = world.spawn("commit", move || {
                let _promise = promises.then(|| theirs.promise());
                said.signal();
                drop(held.lock());
                theirs.signal();
            });
            space.wait("log space");
            committer.join();
        });
    }
}

#[test]
fn two_tasks_that_each_hold_one_element_and_want_another_deadlock() {
    let plan = reclaimdep_tests::always(reclaimdep::Failpoint::MempoolAlloc);
    check(&[Code::RD04], World::builder().plan(plan), |world| {
        let pool = Mempool::new(world.mm(), "bio", 2, 0).expect("there is memory");
        let tasks = ["one", "two"].map(|name| {
            let pool = pool.clone();
            world.spawn(name, move || {
                let _first = pool.alloc(Gfp::NOIO);
                World::current().sched().point();
                let _second = pool.alloc(Gfp::NOIO);
            })
        });
        tasks.into_iter().for_each(|task| task.join());
    });
}
