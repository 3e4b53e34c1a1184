//! Limit reclaim.

use std::sync::Arc;

use super::super::{MemcgSpec, PageState, PortShrinker};
use super::cache::PageCache;
use super::pages::freed;
use super::{Rig, reclaims, rig};
use crate::error::ErrorKind;
use crate::event::ReclaimKind::{Direct, Memcg};
use crate::event::{EventKind, Gfp};
use crate::inject::Pressure;
use crate::units::Pages;
use reclaimdep_scope as scope;

fn limited(limit: u64, low: u64) -> Rig {
    let mut rig = rig(1024);
    rig.options.memcg = Some(MemcgSpec { limit: Pages(limit), low: Pages(low), legacy: false });
    rig
}

#[test]
fn only_accounted_requests_are_charged() {
    limited(8, 0).run(|mm| {
        let charged = mm.alloc(1, Gfp::KERNEL_ACCOUNT);
        let _free = mm.alloc(1, Gfp::KERNEL);
        assert_eq!(mm.charged(), Some(Pages(2)));
        drop(charged);
        assert_eq!(mm.charged(), Some(Pages(0)));
    });
}

#[test]
fn the_limit_is_reclaimed_for_in_the_charging_task_with_its_own_mask() {
    let events = limited(8, 0).run(|mm| {
        let fill = || mm.alloc(0, Gfp::KERNEL_ACCOUNT).expect("below the limit");
        let clean: Vec<_> =
            (0..8).map(|_| mm.add_page(fill(), PageState::CLEAN_FILE, None)).collect();
        let _nofs = scope::nofs();
        assert!(mm.alloc(0, Gfp::KERNEL_ACCOUNT).is_some());
        assert!(freed(&clean) > 0);
    });
    let masks: Vec<_> = events
        .iter()
        .filter_map(|kind| match kind {
            EventKind::ReclaimEnter { kind: Memcg, mask } => Some(*mask),
            _ => None,
        })
        .collect();
    assert_eq!(masks, [Gfp::NOFS | Gfp::ACCOUNT]);
    assert_eq!(reclaims(&events, Direct), 0);
}

/// Charges one page more than the limit, with nothing to reclaim; returns whether it was had and
/// what is charged then.
#[track_caller]
fn check_over(mask: Gfp, enter: Option<fn() -> scope::ScopeGuard>, had: bool, charged: u64) {
    limited(4, 0).run(move |mm| {
        let _full: Vec<_> = (0..4).map(|_| mm.alloc(0, Gfp::KERNEL_ACCOUNT)).collect();
        let _scope = enter.map(|enter| enter());
        let more = mm.alloc(0, mask | Gfp::ACCOUNT);
        assert_eq!((more.is_some(), mm.charged()), (had, Some(Pages(charged))), "{mask}");
    });
}

#[test]
fn over_the_limit_some_fail_some_overshoot_and_a_reclaimer_passes() {
    check_over(Gfp::NOWAIT, None, false, 4);
    check_over(Gfp::KERNEL | Gfp::NORETRY, None, false, 4);
    check_over(Gfp::KERNEL, None, false, 4);
    check_over(Gfp::ATOMIC, None, true, 5);
    check_over(Gfp::KERNEL | Gfp::NOFAIL, None, true, 5);
    check_over(Gfp::KERNEL, Some(scope::noreclaim), true, 5);
}

#[test]
fn the_memcg_killer_may_kill_for_a_nofs_request() {
    let events = limited(4, 0).run(|mm| {
        let _full: Vec<_> = (0..4).map(|_| mm.alloc(0, Gfp::KERNEL_ACCOUNT)).collect();
        assert!(mm.alloc(0, Gfp::NOFS | Gfp::ACCOUNT).is_none());
    });
    assert!(events.contains(&EventKind::OomKill { victim: None }), "nobody is there to be killed");
}

#[test]
fn limit_reclaim_calls_aware_shrinkers_alone() {
    limited(4, 0).run(|mm| {
        let plain = PageCache::filled(mm, 8, Gfp::FS).shared();
        let mut aware = PageCache::filled(mm, 8, Gfp::FS).named("aware");
        aware.aware = true;
        let aware = aware.shared();
        let _plain = mm.register_port_shrinker(Arc::clone(&plain) as Arc<dyn PortShrinker>);
        let _aware = mm.register_port_shrinker(Arc::clone(&aware) as Arc<dyn PortShrinker>);
        let _full: Vec<_> = (0..4).map(|_| mm.alloc(0, Gfp::KERNEL_ACCOUNT)).collect();
        drop(mm.alloc(0, Gfp::KERNEL_ACCOUNT | Gfp::NORETRY));
        assert_eq!(plain.scans(), 0);
        assert!(aware.scans() > 0);
    });
}

#[test]
fn global_reclaim_leaves_a_protected_memcg_alone_until_nothing_else_is_left() {
    let short =
        Pressure { task: Some("main".into()), skip: 8, times: Some(1), ..Pressure::default() };
    limited(8, 8).pressure(short).run(|mm| {
        let fill = |mask| mm.alloc(0, mask).expect("there is memory");
        let theirs: Vec<_> = (0..4)
            .map(|_| mm.add_page(fill(Gfp::KERNEL_ACCOUNT), PageState::CLEAN_FILE, None))
            .collect();
        let ours: Vec<_> =
            (0..4).map(|_| mm.add_page(fill(Gfp::KERNEL), PageState::CLEAN_FILE, None)).collect();
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!((freed(&ours), freed(&theirs)), (4, 0));
    });
    let short = Pressure { skip: 4, times: Some(1), ..Pressure::default() };
    limited(8, 8).pressure(short).run(|mm| {
        let fill = || mm.alloc(0, Gfp::KERNEL_ACCOUNT).expect("there is memory");
        let theirs: Vec<_> =
            (0..4).map(|_| mm.add_page(fill(), PageState::CLEAN_FILE, None)).collect();
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(freed(&theirs), 4, "nothing else could be freed");
    });
}

#[test]
fn a_memcg_without_a_limit_is_refused() {
    for spec in [
        MemcgSpec { limit: Pages(0), low: Pages(0), legacy: false },
        MemcgSpec { limit: Pages(4), low: Pages(5), legacy: false },
    ] {
        let error = super::super::memcg::Memcg::new(spec).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}
