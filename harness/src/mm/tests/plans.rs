//! Pressure: at which allocations, by which reclaimer, on which targets.

use std::sync::Arc;

use super::super::PortShrinker;
use super::cache::PageCache;
use super::{reclaims, rig};
use crate::event::EventKind;
use crate::event::Gfp;
use crate::event::ReclaimKind::{Direct, Kswapd};
use crate::inject::{AllocSource, InScope, Plan, PlanSpec, Pressure};
use crate::sched::Mutex;
use reclaimdep_scope as scope;

/// How many of six allocations (two plain, two in NOFS, two of order 1) a rule sends into reclaim.
#[track_caller]
fn check(rule: Pressure, expect: usize) {
    let shown = format!("{rule:?}");
    let events = rig(1024).pressure(rule).run(|mm| {
        for order in [0, 1] {
            drop(mm.alloc(order, Gfp::KERNEL));
            drop(mm.alloc(0, Gfp::KERNEL));
            let _nofs = scope::nofs();
            drop(mm.alloc(0, Gfp::KERNEL));
        }
    });
    assert_eq!(reclaims(&events, Direct), expect, "{shown}");
}

#[test]
fn a_rule_hits_the_allocations_that_it_describes() {
    check(Pressure::every_allocation(), 6);
    check(Pressure { in_nofs: true, ..Pressure::default() }, 2);
    check(Pressure { scope: Some(InScope::Nofs), ..Pressure::default() }, 2);
    check(Pressure { scope: Some(InScope::Noio), ..Pressure::default() }, 0);
    check(Pressure { min_order: 1, ..Pressure::default() }, 1);
    check(Pressure { file: Some("tests/plans.rs".into()), ..Pressure::default() }, 6);
    check(Pressure { file: Some("tests/other.rs".into()), ..Pressure::default() }, 0);
    check(Pressure { skip: 2, times: Some(3), ..Pressure::default() }, 3);
    check(Pressure::every_allocation().of(AllocSource::Pages), 6);
    check(Pressure::every_allocation().of(AllocSource::Heap), 0);
    check(Pressure::nth_allocation_of("main", 6), 1);
    check(Pressure::nth_allocation_of("main", 7), 0);
    check(Pressure::nth_allocation_of("nobody", 1), 0);
}

#[test]
fn a_rule_about_the_heap_can_be_written_as_json() {
    let rule: Pressure = serde_json::from_str(r#"{ "of": "heap", "in-nofs": true }"#).unwrap();
    assert_eq!(rule, Pressure { in_nofs: true, ..Pressure::default() }.of(AllocSource::Heap));
}

#[test]
fn a_rule_by_both_wakes_kswapd_and_the_task_reclaims_unless_it_may_not() {
    let rule: Pressure = serde_json::from_str(r#"{ "task": "main", "by": "both" }"#).unwrap();
    assert_eq!(rule, Pressure::every_allocation().task("main").by_both());
    assert!(PlanSpec::default().pressure(rule.clone()).wants_kswapd());
    for (mask, direct) in [(Gfp::KERNEL, 1), (Gfp::NOWAIT, 0)] {
        let events = rig(1024).pressure(rule.clone()).run(move |mm| {
            mm.start_kswapd();
            assert!(mm.alloc(0, mask).is_some());
            mm.sched().point();
            while mm.kswapd_is_forced() {
                mm.sched().point();
            }
        });
        assert_eq!((reclaims(&events, Direct), reclaims(&events, Kswapd)), (direct, 1), "{mask}");
    }
}

#[test]
fn a_rule_can_hit_each_allocation_of_an_operation() {
    let mut hits = 0;
    loop {
        let rule = Pressure::nth_allocation_of("main", hits + 1);
        let events =
            rig(1024).pressure(rule).run(|mm| (0..5).for_each(|_| drop(mm.alloc(0, Gfp::KERNEL))));
        if reclaims(&events, Direct) == 0 {
            break;
        }
        hits += 1;
    }
    assert_eq!(hits, 5);
}

#[test]
fn a_rule_can_name_the_shrinkers() {
    rig(1024).pressure(Pressure::every_allocation().with_shrinkers(["one"])).run(|mm| {
        let [one, other] =
            ["one", "other"].map(|name| PageCache::filled(mm, 4, Gfp::FS).named(name).shared());
        let _one = mm.register_port_shrinker(Arc::clone(&one) as Arc<dyn PortShrinker>);
        let _other = mm.register_port_shrinker(Arc::clone(&other) as Arc<dyn PortShrinker>);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!((one.len(), other.len()), (0, 4));
    });
}

#[test]
fn kswapd_can_be_made_to_reclaim_at_an_allocation() {
    let events =
        rig(1024).pressure(Pressure::nth_allocation_of("main", 201).by_kswapd()).run(|mm| {
            mm.start_kswapd();
            let cache = PageCache::filled(mm, 200, Gfp::FS).shared();
            let _registered =
                mm.register_port_shrinker(Arc::clone(&cache) as Arc<dyn PortShrinker>);
            let _nofs = scope::nofs();
            assert!(mm.alloc(0, Gfp::KERNEL).is_some());
            while cache.len() == 200 {
                mm.sched().point();
            }
        });
    assert_eq!((reclaims(&events, Direct), reclaims(&events, Kswapd)), (0, 1));
}

#[test]
fn a_rule_can_reclaim_under_a_lock() {
    let rule = Pressure::at_lock("main", "journal");
    let events = rig(1024).pressure(rule).run(|mm| {
        mm.watch_locks();
        let other = Mutex::new(mm.sched(), "other", "", ());
        let journal = Mutex::new(mm.sched(), "journal", "", ());
        drop(other.lock());
        drop(journal.lock());
        drop(journal.lock());
    });
    assert_eq!(reclaims(&events, Direct), 1, "only the first time");
    let taken = events.iter().position(|kind| matches!(kind, EventKind::ReclaimEnter { .. }));
    let released = |kind: &&EventKind| matches!(kind, EventKind::LockReleased { .. });
    let before = events[..taken.expect("there was a reclaim")].iter().filter(released).count();
    assert_eq!(before, 1, "under the lock, after the other one was released");
}

#[test]
fn rules_that_can_never_hit_or_contradict_themselves_are_refused() {
    let refused = |rule: Pressure| {
        let sched = crate::sched::Sched::native(1, Box::new(crate::sched::log::Log::default()));
        let spec = PlanSpec { pressure: vec![Pressure::default(), rule], ..PlanSpec::default() };
        Plan::arm(&sched, spec).err().expect("refused").to_string()
    };
    for (rule, word) in [
        (Pressure::default().by_both().with_shrinkers(["a"]), "a rule by kswapd cannot choose"),
        (Pressure { times: Some(0), ..Pressure::default() }, "`times` is 0"),
        (Pressure { in_nofs: true, ..Pressure::at_lock("a", "b") }, "`at-lock` cannot be combined"),
        (Pressure::at_lock("a", "b").of(AllocSource::Heap), "`at-lock` cannot be combined"),
        (Pressure::default().with_shrinkers(Vec::<String>::new()), "`shrinkers` is an empty list"),
        (Pressure::default().with_pages([]), "`pages` is an empty list"),
    ] {
        let message = refused(rule);
        assert!(message.starts_with("pressure rule 2: ") && message.contains(word), "{message}");
    }
}
