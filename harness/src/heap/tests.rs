//! Which heap allocations a pressure rule sends into reclaim, and which the hook sees.

use reclaimdep_scope as scope;

use super::{allocations, hook, watch};
use crate::event::{EventKind, Gfp, ReclaimKind};
use crate::inject::{AllocSource, Plan, PlanSpec, Pressure};
use crate::mm::{Mm, MmOptions};
use crate::sched::log::Log;
use crate::sched::{Sched, Side};
use crate::units::{PAGE_SIZE, Pages};

/// The events of a native world in which one task runs `body` on the user side.
fn run(rule: Pressure, body: impl FnOnce(&Mm)) -> Vec<EventKind> {
    let log = Log::default();
    let sched = Sched::native(1, Box::new(log.clone()));
    let ended = sched.run_main(|| {
        let spec = PlanSpec { pressure: vec![rule], ..PlanSpec::default() };
        let plan = Plan::arm(&sched, spec).expect("the plan makes sense");
        let options = MmOptions::new(Pages(1024));
        let mm = Mm::new(&sched, &options, plan).expect("the memory makes sense");
        watch(&mm);
        Side::User.call(|| body(&mm));
    });
    assert!(ended.is_some(), "{:?}", sched.panic_message());
    log.take()
}

fn allocate(order: u32) {
    hook::allocates(usize::try_from(PAGE_SIZE << order).expect("a few pages"));
}

/// How many of two heap allocations (one plain, one in NOFS), beside one of pages, a rule sends
/// into reclaim.
#[track_caller]
fn check(rule: Pressure, expect: usize) {
    let shown = format!("{rule:?}");
    let events = run(rule, |mm| {
        allocate(1);
        let free = mm.free();
        let _nofs = scope::nofs();
        allocate(3);
        assert_eq!(mm.free(), free, "no page leaves the budget");
        drop(mm.alloc(0, Gfp::KERNEL));
        assert_eq!(allocations(mm.sched()), 2);
    });
    let count = |wanted: fn(&EventKind) -> bool| events.iter().filter(|kind| wanted(kind)).count();
    let direct =
        count(|kind| matches!(kind, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, .. }));
    assert_eq!(direct, expect, "{shown}");
    let begun = count(|kind| matches!(kind, EventKind::AllocBegin { .. }));
    let ended = count(|kind| matches!(kind, EventKind::AllocEnd { .. }));
    assert_eq!((begun, ended), (3, 3), "each allocation begins and ends");
}

#[test]
fn a_rule_says_whether_it_is_about_the_heap() {
    check(Pressure::every_allocation(), 3);
    check(Pressure::every_allocation().of(AllocSource::Heap), 2);
    check(Pressure::every_allocation().of(AllocSource::Pages), 1);
    check(Pressure { in_nofs: true, ..Pressure::default() }.of(AllocSource::Heap), 1);
    check(Pressure { min_order: 2, ..Pressure::default() }, 1);
    check(Pressure { file: Some(".rs".into()), ..Pressure::default() }, 1);
    check(Pressure::every_allocation().of(AllocSource::Heap).by_kswapd(), 0);
}

#[test]
fn allocations_of_the_harness_side_are_not_heard() {
    let events = run(Pressure::every_allocation(), |mm| {
        Side::Harness.call(|| allocate(0));
        assert_eq!(allocations(mm.sched()), 0);
    });
    assert!(!events.iter().any(|kind| matches!(kind, EventKind::AllocBegin { .. })));
}
