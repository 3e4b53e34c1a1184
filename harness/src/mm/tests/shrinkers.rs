//! The protocol, and shrinkers that break it.

use std::sync::Arc;

use super::super::{
    Mm, PortShrinker, Registration, ScanControl, SuperCounts, SuperOps, SuperblockShrinker,
};
use super::cache::PageCache;
use super::{reclaims, rig};
use crate::era::MmKnobs;
use crate::event::{EventKind, Gfp, LockMode, ReclaimKind, Resource, TaskKind};
use crate::inject::Pressure;
use crate::sched::{RwSem, SpinLock};
use reclaimdep_scope::{Stop, Superblock};

/// The first allocation after the caches were filled.
fn after(skip: u64) -> Pressure {
    Pressure { skip, times: Some(1), ..Pressure::default() }
}

#[test]
fn an_allocation_that_finds_memory_short_goes_through_the_shrinkers() {
    let events = rig(256).pressure(after(0)).run(|mm| {
        let cache = PageCache::filled(mm, 10, Gfp::FS).shared();
        let _registered = mm.register_port_shrinker(Arc::clone(&cache) as Arc<dyn PortShrinker>);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(cache.len(), 0, "the cache gave what it had");
    });
    assert_eq!(reclaims(&events, ReclaimKind::Direct), 1);
}

#[test]
fn a_shrinker_that_stops_is_not_called_again_in_the_pass_and_owes_the_rest() {
    rig(4096).pressure(Pressure::every_allocation()).run(|mm| {
        let cache = PageCache::filled(mm, 200, Gfp::FS).shared();
        let _registered = mm.register_port_shrinker(Arc::clone(&cache) as Arc<dyn PortShrinker>);
        assert!(mm.alloc(0, Gfp::NOFS).is_some());
        let stopped = cache.scans();
        assert!(
            stopped > 0 && stopped <= 13,
            "once at each priority that asks for a batch: {stopped}"
        );
        assert_eq!(cache.len(), 200);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert!(cache.len() < 200, "the debt is paid by who may");
    });
}

#[test]
fn an_unregistered_shrinker_is_not_called() {
    for explicit in [false, true] {
        rig(256).pressure(Pressure::every_allocation()).run(move |mm| {
            let cache = PageCache::filled(mm, 10, Gfp::FS).shared();
            let registered = mm.register_port_shrinker(Arc::clone(&cache) as Arc<dyn PortShrinker>);
            if explicit {
                registered.unregister();
            } else {
                drop(registered);
            }
            drop(mm.alloc(0, Gfp::KERNEL));
            assert_eq!(cache.len(), 10);
        });
    }
}

#[test]
fn a_scan_may_say_that_it_looked_at_less() {
    struct Lazy;
    impl PortShrinker for Lazy {
        fn name(&self) -> &str {
            "lazy"
        }
        fn count(&self, _mask: Gfp) -> u64 {
            1000
        }
        fn scan(&self, control: &mut ScanControl) -> Result<u64, Stop> {
            control.nr_scanned = 0;
            Ok(0)
        }
    }
    let ran = rig(256).pressure(after(0)).try_run(|mm| {
        let _registered = mm.register_port_shrinker(Arc::new(Lazy));
        assert!(mm.alloc(0, Gfp::KERNEL | Gfp::NORETRY).is_some());
    });
    assert!(ran.finished, "a shrinker that looks at nothing is called a bounded number of times");
}

#[test]
fn a_shrinker_that_panics_is_told_and_not_called_again() {
    let ran = rig(256).pressure(Pressure::every_allocation()).try_run(|mm| {
        let cache = PageCache::filled(mm, 10, Gfp::FS).doing(|_| panic!("planted")).shared();
        let _registered = mm.register_port_shrinker(Arc::clone(&cache) as Arc<dyn PortShrinker>);
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        assert_eq!(cache.scans(), 1);
    });
    assert!(ran.finished);
    assert_eq!(ran.panic.as_deref(), Some("shrinker pages: planted"));
    let told = |kind: &&EventKind| matches!(kind, EventKind::ShrinkerPanicked { .. });
    assert_eq!(ran.events.iter().filter(told).count(), 1);
}

#[test]
fn a_scan_may_register_and_unregister_others() {
    rig(256).pressure(after(0)).run(|mm| {
        let kept: Arc<SpinLock<Vec<Registration>>> = Arc::default();
        let (inner, theirs) = (mm.clone(), Arc::clone(&kept));
        let cache = PageCache::filled(mm, 1, Gfp::FS).doing(move |_| {
            let other = PageCache::filled(&inner, 0, Gfp::FS).named("other").shared();
            theirs.lock().push(inner.register_port_shrinker(other));
        });
        let _registered = mm.register_port_shrinker(cache.shared());
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        let other = kept.lock().pop().expect("the scan registered it");
        other.unregister();
    });
}

/// Whether unregistering below the shrinker's own scan waits, and for what.
#[track_caller]
fn check_self_unregister(knobs: MmKnobs, expect: &str) {
    let ran = rig(256).knobs(knobs).pressure(after(0)).try_run(|mm| {
        let own: Arc<SpinLock<Option<Registration>>> = Arc::default();
        let theirs = Arc::clone(&own);
        let cache = PageCache::filled(mm, 1, Gfp::FS).doing(move |_| {
            let registration = theirs.lock().take();
            if let Some(registration) = registration {
                registration.unregister();
            }
        });
        *own.lock() = Some(mm.register_port_shrinker(cache.shared()));
        drop(mm.alloc(0, Gfp::KERNEL));
    });
    assert!(!ran.finished, "it waits for itself");
    let waits = ran.events.iter().rev().find_map(|kind| match kind {
        EventKind::WaitBegin { resource: Resource::Lock(_), why, .. } => Some(*why),
        _ => None,
    });
    assert_eq!(waits, Some(expect), "for a lock that the scan holds");
}

#[test]
fn a_shrinker_that_unregisters_itself_waits_for_itself_and_the_judges_see_it() {
    check_self_unregister(MmKnobs::NEWEST, "shrinker scans");
    check_self_unregister(MmKnobs::V5_9, "rwsem");
}

/// How registering went while another task's scan was under way.
fn register_during_a_scan(knobs: MmKnobs) -> Vec<EventKind> {
    rig(256)
        .knobs(knobs)
        .pressure(Pressure { task: Some("scanner".into()), ..Pressure::default() })
        .run(|mm| {
            let inner = mm.clone();
            let cache = PageCache::filled(mm, 1, Gfp::FS)
                .doing(move |_| inner.retry_wait(Gfp::NOWAIT))
                .shared();
            let registered = mm.register_port_shrinker(cache);
            let scanner = {
                let mm = mm.clone();
                mm.sched()
                    .clone()
                    .spawn("scanner", TaskKind::Task, move || drop(mm.alloc(0, Gfp::KERNEL)))
            };
            let registrar = {
                let mm = mm.clone();
                mm.sched().clone().spawn("registrar", TaskKind::Task, move || {
                    mm.retry_wait(Gfp::KERNEL);
                    let other = PageCache::filled(&mm, 0, Gfp::FS).named("other").shared();
                    drop(mm.register_port_shrinker(other));
                })
            };
            scanner.join();
            registrar.join();
            drop(registered);
        })
}

#[test]
fn registering_waits_for_scans_under_the_old_rwsem_only() {
    let waits = |events: &[EventKind]| {
        events.iter().any(|kind| {
            matches!(kind, EventKind::WaitBegin { resource: Resource::Lock(_), why: "rwsem", .. })
        })
    };
    assert!(waits(&register_during_a_scan(MmKnobs::V5_9)));
    assert!(!waits(&register_during_a_scan(MmKnobs::NEWEST)));
}

#[test]
fn a_probe_asks_every_shrinker_for_each_mask() {
    let events = rig(256).run(|mm| {
        let _registered = mm.register_port_shrinker(PageCache::filled(mm, 3, Gfp::FS).shared());
        mm.probe_shrinkers();
    });
    let counts: Vec<_> = events
        .iter()
        .filter_map(|kind| match kind {
            EventKind::ShrinkCountBegin { mask, .. } => Some(*mask),
            _ => None,
        })
        .collect();
    assert_eq!(
        counts,
        [Gfp::KERNEL, Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO],
        "one twice: it must say the same"
    );
}

/// A filesystem whose caches are numbers.
struct Caches {
    counts: SpinLock<Option<SuperCounts>>,
    pruned: SpinLock<Vec<(&'static str, u64)>>,
}

impl SuperOps for Caches {
    fn counts(&self) -> Option<SuperCounts> {
        *self.counts.lock()
    }

    fn prune_dentries(&self, count: u64) -> u64 {
        self.pruned.lock().push(("dentries", count));
        count
    }

    fn prune_inodes(&self, count: u64) -> u64 {
        self.pruned.lock().push(("inodes", count));
        count
    }

    fn free_objects(&self, count: u64) -> u64 {
        self.pruned.lock().push(("objects", count));
        count
    }
}

fn superblock(
    mm: &Mm,
    counts: Option<SuperCounts>,
) -> (Arc<Caches>, Arc<RwSem<()>>, SuperblockShrinker) {
    let caches = Arc::new(Caches { counts: SpinLock::new(counts), pruned: SpinLock::default() });
    let s_umount = Arc::new(RwSem::new(mm.sched(), "s_umount", "fs:a", ()));
    let ops = Arc::clone(&caches) as Arc<dyn SuperOps>;
    let shrinker = SuperblockShrinker::new("a", Superblock(0), Arc::clone(&s_umount), ops);
    (caches, s_umount, shrinker)
}

const COUNTS: SuperCounts = SuperCounts { dentries: 600, inodes: 300, objects: 99 };

#[test]
fn a_superblocks_quota_is_split_in_proportion_dentries_first() {
    rig(64).run(|mm| {
        let (caches, _, shrinker) = superblock(mm, Some(COUNTS));
        assert_eq!(shrinker.scan(&mut ScanControl::new(Gfp::KERNEL, 100)), Ok(61 + 31 + 10));
        assert_eq!(*caches.pruned.lock(), [("dentries", 61), ("inodes", 31), ("objects", 10)]);
    });
}

#[test]
fn a_superblock_counts_for_everybody_and_scans_only_with_fs() {
    rig(64).run(|mm| {
        let (caches, _, shrinker) = superblock(mm, Some(COUNTS));
        for mask in [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO] {
            assert_eq!(shrinker.count(mask), 999);
        }
        for mask in [Gfp::NOFS, Gfp::NOIO] {
            assert_eq!(shrinker.scan(&mut ScanControl::new(mask, 100)), Err(Stop));
        }
        assert!(caches.pruned.lock().is_empty());
    });
}

#[test]
fn a_superblock_that_is_being_unmounted_is_passed_over() {
    rig(64).run(|mm| {
        let (_, s_umount, shrinker) = superblock(mm, Some(COUNTS));
        let _unmounting = s_umount.write();
        assert_eq!(shrinker.scan(&mut ScanControl::new(Gfp::KERNEL, 100)), Err(Stop));
    });
}

#[test]
fn a_superblock_says_what_it_has_and_how_much_of_it_it_offers() {
    rig(64).run(|mm| {
        assert_eq!(superblock(mm, None).2.count(Gfp::KERNEL), 0, "not fully mounted");
        let empty = superblock(mm, Some(SuperCounts::default())).2;
        assert_eq!(empty.count(Gfp::KERNEL), super::super::shrinker::EMPTY);
        let half = superblock(mm, Some(COUNTS)).2.with_pressure(50);
        assert_eq!(half.count(Gfp::KERNEL), 499);
    });
}

#[test]
fn the_try_lock_of_a_superblock_is_told_as_one() {
    let events = rig(64).run(|mm| {
        let shrinker = superblock(mm, Some(COUNTS)).2;
        assert!(shrinker.scan(&mut ScanControl::new(Gfp::KERNEL, 100)).is_ok());
    });
    let tried = |kind: &EventKind| {
        matches!(kind, EventKind::LockAttempt { mode: LockMode::Shared, try_lock: true, .. })
    };
    assert!(events.iter().any(tried), "so that it adds no edge into the lock");
}
