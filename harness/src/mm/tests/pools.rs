//! Mempools.

use super::super::{Mempool, Mm};
use super::cache::hoard;
use super::rig;
use crate::event::{EventKind, Gfp, Resource, TaskKind};
use crate::inject::{Failpoint, FailpointRule};

/// All allocations of the pool from memory fail.
fn starved() -> super::Rig {
    let mut rig = rig(256);
    rig.plan.failpoints.push(FailpointRule {
        point: Failpoint::MempoolAlloc,
        skip: 0,
        times: None,
        optional: false,
    });
    rig
}

fn pool(mm: &Mm, min: usize) -> Mempool {
    Mempool::new(mm, "bio", min, 0).expect("there is memory for its reserve")
}

#[test]
fn a_pool_allocates_from_memory_first_and_from_its_reserve_second() {
    rig(256).run(|mm| {
        let pool = pool(mm, 2);
        let element = pool.alloc(Gfp::NOIO);
        assert!(element.is_some());
        assert_eq!(pool.reserve(), 2);
    });
    starved().run(|mm| {
        let pool = pool(mm, 2);
        let element = pool.alloc(Gfp::NOIO);
        assert_eq!(pool.reserve(), 1);
        drop(element);
        assert_eq!(pool.reserve(), 2, "a returned element refills it");
    });
}

#[test]
fn a_request_that_may_not_sleep_gets_none_from_an_empty_reserve() {
    let events = starved().run(|mm| {
        let pool = pool(mm, 1);
        let _held = pool.alloc(Gfp::NOWAIT).expect("the reserve has one");
        assert!(pool.alloc(Gfp::NOWAIT).is_none());
    });
    assert!(
        !events
            .iter()
            .any(|kind| matches!(kind, EventKind::WaitBegin { resource: Resource::Pool(_), .. }))
    );
}

#[test]
fn a_request_that_may_sleep_waits_for_an_element_and_gets_it() {
    let events = starved().run(|mm| {
        let pool = pool(mm, 1);
        let held = pool.alloc(Gfp::NOIO).expect("the reserve has one");
        let theirs = pool.clone();
        let waiter =
            mm.sched().spawn("waiter", TaskKind::Task, move || theirs.alloc(Gfp::NOIO).is_some());
        mm.retry_wait(Gfp::NOWAIT);
        drop(held);
        assert!(waiter.join());
        assert!(mm.sched().now().0 < 5_000, "the returned element woke it, not the timeout");
    });
    let of_pool =
        |kind: &EventKind| matches!(kind, EventKind::WaitBegin { resource: Resource::Pool(_), .. });
    assert!(events.iter().any(of_pool));
}

#[test]
fn a_waiter_tries_again_after_five_seconds() {
    let mut rig = rig(256);
    // Two rounds of the first request, and the first try of the second fail.
    rig.plan.failpoints.push(FailpointRule {
        point: Failpoint::MempoolAlloc,
        skip: 0,
        times: Some(3),
        optional: false,
    });
    rig.run(|mm| {
        let pool = pool(mm, 1);
        let _held = pool.alloc(Gfp::NOIO).expect("the reserve has one");
        let _again = pool.alloc(Gfp::NOIO).expect("memory is available when it tries again");
        assert_eq!(mm.sched().now().0, 5_000);
    });
}

#[test]
fn an_element_never_comes_from_the_emergency_reserves() {
    rig(256).run(|mm| {
        let pool = pool(mm, 1);
        let _all = hoard(mm);
        let before = mm.low_point();
        let _reclaimer = reclaimdep_scope::noreclaim();
        let _held = pool.alloc(Gfp::NOIO).expect("the reserve of the pool has one");
        assert!(pool.alloc(Gfp::NOWAIT).is_none());
        assert_eq!(mm.low_point(), before);
    });
}

#[test]
fn a_task_that_takes_two_elements_can_wait_for_itself() {
    let ran = starved().try_run(|mm| {
        let pool = pool(mm, 1);
        let _first = pool.alloc(Gfp::NOIO);
        let _second = pool.alloc(Gfp::NOIO);
    });
    assert!(
        !ran.finished,
        "it waits for itself, five seconds at a time, until the step budget is spent"
    );
}

#[test]
fn a_pool_without_a_reserve_is_refused() {
    rig(256).run(|mm| {
        let refused = Mempool::new(mm, "none", 0, 0).unwrap_err().to_string();
        assert!(refused.contains("`none` with a reserve of 0"), "{refused}");
        let refused = Mempool::new(mm, "huge", 1, 30).unwrap_err().to_string();
        assert!(refused.contains("no memory for 1 elements of order 30"), "{refused}");
    });
}
