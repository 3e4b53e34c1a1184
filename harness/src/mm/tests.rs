//! The allocator and reclaim, on a native world with caches of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope as scope;

use super::*;
use crate::event::{Event, EventKind, Gfp, Names, Observer, Reaction};
use crate::inject::{Plan, PlanSpec, Pressure};
use crate::sched::{Sched, SpinLock};
use crate::units::Pages;

#[derive(Clone, Default)]
struct Log(Arc<SpinLock<Vec<EventKind>>>);

impl Observer for Log {
    fn observe(&mut self, event: &Event, _names: &Names) -> Reaction {
        self.0.lock().push(event.kind);
        Reaction::Go
    }
}

fn run(pages: u64, pressure: Vec<Pressure>, body: impl FnOnce(&Sched, &Mm)) -> Vec<EventKind> {
    let log = Log::default();
    let sched = Sched::native(1, Box::new(log.clone()));
    let plan = PlanSpec { pressure, ..PlanSpec::default() };
    let ended = sched.run_main(|| {
        let mm = Mm::new(&sched, Pages(pages), Plan::arm(&sched, plan));
        body(&sched, &mm);
    });
    ended.expect("the body does not panic");
    std::mem::take(&mut *log.0.lock())
}

/// A cache of pages that gives them back one by one, and that can be told to allocate in its scan.
struct PageCache {
    pages: SpinLock<Vec<PageBlock>>,
    allocates: Option<(Mm, Gfp)>,
    got: AtomicU64,
}

impl PageCache {
    fn filled(mm: &Mm, count: usize, allocates: Option<(Mm, Gfp)>) -> Arc<Self> {
        let pages = (0..count).map_while(|_| mm.alloc(0, Gfp::NOWAIT)).collect();
        Arc::new(Self { pages: SpinLock::new(pages), allocates, got: AtomicU64::new(0) })
    }
}

impl Shrinker for PageCache {
    fn name(&self) -> &str {
        "pages"
    }

    fn count(&self, _mask: Gfp) -> u64 {
        self.pages.lock().len() as u64
    }

    fn scan(&self, control: ScanControl) -> Result<u64, Stop> {
        if !control.mask.contains(Gfp::FS) {
            return Err(Stop);
        }
        if let Some((mm, mask)) = &self.allocates {
            self.got.fetch_add(u64::from(mm.alloc(0, *mask).is_some()), Ordering::Relaxed);
        }
        let mut pages = self.pages.lock();
        let kept = pages.len().saturating_sub(usize::try_from(control.nr_to_scan).unwrap_or(usize::MAX));
        Ok(pages.drain(kept..).count() as u64)
    }
}

fn reclaims(events: &[EventKind]) -> usize {
    events.iter().filter(|kind| matches!(kind, EventKind::ReclaimEnter { .. })).count()
}

#[test]
fn plentiful_memory_is_taken_without_reclaim_and_comes_back() {
    let events = run(256, Vec::new(), |_, mm| {
        let block = mm.alloc(2, Gfp::KERNEL).expect("there is memory");
        assert_eq!(mm.free(), Pages(252));
        drop(block);
        assert_eq!(mm.free(), Pages(256));
    });
    assert_eq!(reclaims(&events), 0);
}

#[test]
fn an_allocation_that_finds_memory_short_goes_through_the_shrinkers() {
    let events = run(256, vec![Pressure { times: Some(1), skip: 10, ..Pressure::default() }], |_, mm| {
        let cache = PageCache::filled(mm, 10, None);
        let _registered = mm.register_shrinker(Arc::clone(&cache) as Arc<dyn Shrinker>);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(cache.pages.lock().len(), 0, "the cache gave what it had");
    });
    assert_eq!(reclaims(&events), 1);
}

/// The mask that reclaim runs with for a request inside `scope`.
#[track_caller]
fn check_reclaim_mask(enter: Option<fn() -> scope::ScopeGuard>, request: Gfp, expect: Gfp) {
    let events = run(256, vec![Pressure::every_allocation()], |_, mm| {
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
    let events = run(256, vec![Pressure::every_allocation()], |_, mm| {
        let block = mm.alloc(0, Gfp::NOWAIT);
        assert!(block.is_some(), "the marks are far away");
    });
    assert_eq!(reclaims(&events), 0);
}

#[test]
fn an_allocation_below_reclaim_does_not_reclaim_again() {
    let events = run(256, vec![Pressure { skip: 10, ..Pressure::default() }], |_, mm| {
        let cache = PageCache::filled(mm, 10, Some((mm.clone(), Gfp::KERNEL)));
        let _registered = mm.register_shrinker(Arc::clone(&cache) as Arc<dyn Shrinker>);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert!(cache.got.load(Ordering::Relaxed) > 0, "the reserves are open to the reclaimer");
    });
    assert_eq!(reclaims(&events), 1);
}

#[test]
fn nomemalloc_closes_the_reserves_but_does_not_open_reclaim() {
    let events = run(64, Vec::new(), |_, mm| {
        let hoard = PageCache::filled(mm, 64, None);
        let _reclaimer = scope::noreclaim();
        assert!(mm.alloc(0, Gfp::KERNEL | Gfp::NOMEMALLOC).is_none());
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        drop(hoard);
    });
    assert_eq!(reclaims(&events), 0);
}

#[test]
fn exhausted_memory_fails_and_noretry_gives_up_after_one_round() {
    for (mask, rounds) in [(Gfp::KERNEL | Gfp::NORETRY, 1), (Gfp::KERNEL, 17)] {
        let events = run(64, Vec::new(), |_, mm| {
            let _hoard = PageCache::filled(mm, 64, None);
            assert!(mm.alloc(0, mask).is_none());
        });
        assert_eq!(reclaims(&events), rounds, "{mask}");
    }
}

#[test]
fn an_unregistered_shrinker_is_not_called() {
    run(256, vec![Pressure::every_allocation()], |_, mm| {
        let cache = PageCache::filled(mm, 10, None);
        drop(mm.register_shrinker(Arc::clone(&cache) as Arc<dyn Shrinker>));
        drop(mm.alloc(0, Gfp::KERNEL));
        assert_eq!(cache.pages.lock().len(), 10);
    });
}
