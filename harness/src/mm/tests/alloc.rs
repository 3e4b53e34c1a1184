//! Who gets memory, who fails, who goes round.

use reclaimdep_scope as scope;

use super::cache::{PageCache, hoard};
use super::{reclaims, rig};
use crate::event::ReclaimKind::{Compaction, Direct};
use crate::event::{AllocOutcome, EventKind, Gfp, Resource};
use crate::inject::Pressure;
use crate::units::Pages;

#[test]
fn plentiful_memory_is_taken_without_reclaim_and_comes_back() {
    let events = rig(256).run(|mm| {
        let block = mm.alloc(2, Gfp::KERNEL).expect("there is memory");
        assert_eq!(mm.free(), Pages(252));
        drop(block);
        assert_eq!((mm.free(), mm.low_point()), (Pages(256), Pages(252)));
    });
    assert_eq!(reclaims(&events, Direct), 0);
}

/// The mask that reclaim runs with for a request inside `scope`.
#[track_caller]
fn check_reclaim_mask(enter: Option<fn() -> scope::ScopeGuard>, request: Gfp, expect: Gfp) {
    let events = rig(256).pressure(Pressure::every_allocation()).run(move |mm| {
        let _scope = enter.map(|enter| enter());
        assert!(mm.alloc(0, request).is_some());
    });
    let mask = events.iter().find_map(|kind| match kind {
        EventKind::ReclaimEnter { mask, .. } => Some(*mask),
        _ => None,
    });
    assert_eq!(mask, Some(expect));
}

#[test]
fn reclaim_runs_with_the_effective_mask() {
    check_reclaim_mask(None, Gfp::KERNEL, Gfp::KERNEL);
    check_reclaim_mask(Some(scope::nofs), Gfp::KERNEL, Gfp::NOFS);
    check_reclaim_mask(Some(scope::noio), Gfp::KERNEL, Gfp::NOIO);
    check_reclaim_mask(Some(scope::nofs), Gfp::NOIO, Gfp::NOIO);
}

#[test]
fn a_request_that_may_not_sleep_never_reclaims() {
    let events = rig(256).pressure(Pressure::every_allocation()).run(|mm| {
        assert!(mm.alloc(0, Gfp::NOWAIT).is_some(), "memory looks short only to who may reclaim");
    });
    assert_eq!(reclaims(&events, Direct), 0);
}

#[test]
fn an_allocation_below_reclaim_gets_the_reserves_and_does_not_reclaim_again() {
    let events = rig(256).pressure(Pressure::every_allocation()).run(|mm| {
        let inner = mm.clone();
        let cache = PageCache::filled(mm, 10, Gfp::FS)
            .doing(move |_| assert!(inner.alloc(0, Gfp::KERNEL).is_some()))
            .shared();
        let _registered = mm.register_port_shrinker(cache);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
    });
    assert_eq!(reclaims(&events, Direct), 1);
}

/// What a request gets where every page down to the min watermark is taken, and how often it reclaimed.
#[track_caller]
fn check_exhausted(mask: Gfp, order: u32, expect: AllocOutcome, rounds: usize) {
    let events = rig(64).run(move |mm| {
        let _all = hoard(mm);
        drop(mm.alloc(order, mask));
    });
    let outcome = events.iter().rev().find_map(|kind| match kind {
        EventKind::AllocEnd { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(
        (outcome, reclaims(&events, Direct)),
        (Some(expect), rounds),
        "{mask}, order {order}"
    );
}

#[test]
fn exhausted_memory_fails_requests_that_may_fail() {
    use AllocOutcome::{Failed, Ok};
    check_exhausted(Gfp::NOWAIT, 0, Failed, 0);
    check_exhausted(Gfp::KERNEL | Gfp::NORETRY, 0, Failed, 1);
    check_exhausted(Gfp::KERNEL | Gfp::RETRY_MAYFAIL, 0, Failed, 1);
    check_exhausted(Gfp::KERNEL, 4, Failed, 1);
    // Nobody can be killed.
    check_exhausted(Gfp::KERNEL, 0, Failed, 1);
    // The min watermark is 1: half of it, rounded up, leaves a HIGH request one page that others do not
    // get.
    check_exhausted(Gfp::KERNEL | Gfp::MEMALLOC, 0, Ok, 0);
    check_exhausted(Gfp::KERNEL | Gfp::NOFAIL, 0, Ok, 1);
}

#[test]
fn a_reclaimer_takes_the_last_page_unless_it_says_nomemalloc() {
    let events = rig(64).run(|mm| {
        let _all = hoard(mm);
        let _reclaimer = scope::noreclaim();
        assert!(mm.alloc(0, Gfp::KERNEL | Gfp::NOMEMALLOC).is_none());
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(mm.low_point(), Pages(0));
    });
    assert_eq!(reclaims(&events, Direct), 0);
}

#[test]
fn a_nofs_request_kills_nobody_and_goes_round_for_ever() {
    let ran = rig(64).try_run(|mm| {
        let _all = hoard(mm);
        drop(mm.alloc(0, Gfp::NOFS));
    });
    assert!(!ran.finished);
    assert!(ran.events.contains(&EventKind::Stall { step_budget: true }));
    let rounds = reclaims(&ran.events, Direct);
    assert!(
        (4_000..4_200).contains(&rounds),
        "nobody else can run, so the budget need not be spent: {rounds}"
    );
}

#[test]
fn a_nofs_request_that_goes_round_gets_what_a_slow_task_gives_back() {
    let events = rig(64).run(|mm| {
        let all = hoard(mm);
        let sched = mm.sched().clone();
        let holder = mm.sched().spawn("holder", crate::event::TaskKind::Task, move || {
            (0..5_000).for_each(|_| sched.point());
            drop(all);
        });
        assert!(mm.alloc(0, Gfp::NOFS).is_some());
        holder.join();
    });
    assert!(reclaims(&events, Direct) > 4_200, "longer than a task that is alone may go on");
}

#[test]
fn a_high_order_request_compacts_and_a_costly_one_that_may_not_retry_stops_there() {
    let events = rig(256).pressure(Pressure { min_order: 1, ..Pressure::default() }).run(|mm| {
        assert!(mm.alloc(2, Gfp::KERNEL).is_some());
    });
    assert_eq!(reclaims(&events, Compaction), 1);
    let events = rig(64).run(|mm| assert!(mm.alloc(6, Gfp::KERNEL | Gfp::NORETRY).is_none()));
    assert_eq!(
        (reclaims(&events, Compaction), reclaims(&events, Direct)),
        (0, 0),
        "too little to move"
    );
}

#[test]
fn an_order_that_no_memory_has_fails() {
    rig(64).run(|mm| assert!(mm.alloc(11, Gfp::KERNEL | Gfp::NOFAIL).is_none()));
}

#[test]
fn what_nobody_may_do_is_taken_from_every_mask() {
    rig(64).run(|mm| {
        let hibernation = mm.allowed().constrain(Gfp::IO | Gfp::FS);
        assert_eq!(mm.effective(Gfp::KERNEL), Gfp::NOIO);
        let nested = mm.allowed().constrain(Gfp::IO | Gfp::FS);
        drop(hibernation);
        assert_eq!(mm.effective(Gfp::KERNEL), Gfp::NOIO);
        drop(nested);
        assert_eq!(mm.effective(Gfp::KERNEL), Gfp::KERNEL);
    });
}

#[test]
fn an_open_coded_loop_waits_a_tick_or_a_fiftieth_of_a_second() {
    for (mask, ticks) in [(Gfp::KERNEL, 1), (Gfp::KERNEL | Gfp::NORETRY, 20), (Gfp::NOWAIT, 20)] {
        let events = rig(64).run(move |mm| {
            let before = mm.sched().now();
            mm.retry_wait(mask);
            assert_eq!((mm.sched().now() - before).0, ticks, "{mask}");
        });
        let waits = |kind: &EventKind| {
            matches!(kind, EventKind::WaitBegin { resource: Resource::Timer, .. })
        };
        assert!(events.iter().any(waits));
    }
}
