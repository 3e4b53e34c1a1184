//! Invariants of memory management that no other test breaks. Each test breaks one on purpose, with
//! a bug planted in the ports or a mistake of a user, and has a healthy twin that keeps it.
//! `docs/invariants.md` has the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep::kernel::era::MmKnobs;
use reclaimdep::kernel::inject::Bug;
use reclaimdep::kernel::mm::{Mempool, Mm, Page, PageBlock, PageOwner, PageState, Watermarks};
use reclaimdep::kernel::sched::{Mutex, RwSem, Work, WorkQueue};
use reclaimdep::kernel::units::Pages;
use reclaimdep::kernel::witness::Breach;
use reclaimdep::scope::{self, Gfp, Layer, Stop};
use reclaimdep::{Builder, Code, Era, Failpoint, MemorySpec, Pressure, Report, StackSpec, World};

use super::{Planted, check};

/// The newest memory management, in which every allocation finds memory short.
fn short() -> Builder {
    let mut knobs = Era::ALL.last().expect("there is an era").knobs();
    knobs.mm = MmKnobs::NEWEST;
    World::builder().knobs(knobs).pressure(Pressure::every_allocation())
}

/// 64 pages of memory, with a min watermark of 16.
fn small() -> Builder {
    let watermarks = Watermarks { min: Pages(16), low: Pages(20), high: Pages(24) };
    let memory = MemorySpec::default().watermarks(watermarks);
    World::builder().stack(StackSpec::default().pages(64).memory(memory))
}

/// A world in which the failpoint `point` always fires.
fn failing(point: Failpoint) -> Builder {
    World::builder().plan(reclaimdep_tests::always(point))
}

/// Checks that exactly this rule is found broken.
#[track_caller]
fn check_rule(rule: Breach, builder: Builder, body: impl Fn(&World) + Send + Sync + 'static) {
    says(&check(&[rule.code()], builder, body), rule.name());
}

#[track_caller]
fn says(report: &Report, what: &str) {
    assert!(
        report.findings.iter().any(|finding| finding.headline.ends_with(what)),
        "`{what}`:\n{report}"
    );
}

/// Checks that `rule` is found broken with `bug` planted, and that the run is quiet without it.
#[track_caller]
fn check_planted(
    bug: Bug,
    rule: Breach,
    builder: fn() -> Builder,
    body: impl Fn(&World) + Clone + Send + Sync + 'static,
) {
    check_rule(rule, builder().plant(bug), body.clone());
    check(&[], builder(), body);
}

/// Allocates single pages with `mask` until that fails.
fn hoard(mm: &Mm, mask: Gfp) -> Vec<PageBlock> {
    std::iter::from_fn(|| mm.alloc(0, mask)).collect()
}

#[test]
fn an_allocator_that_ignores_a_scope_is_found() {
    check_planted(Bug::ScopeIgnored, Breach::ScopeIgnored, World::builder, |world| {
        let _nofs = scope::nofs();
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    });
}

#[test]
fn a_mask_narrowed_for_all_tasks_is_quiet() {
    check(&[], World::builder(), |world| {
        let _suspended = world.mm().allowed().constrain(Gfp::IO | Gfp::FS);
        let _nofs = scope::nofs();
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    });
}

#[test]
fn a_nowait_scope_makes_no_mask_malformed() {
    check(&[], World::builder(), |world| {
        let _nowait = scope::nowait();
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    });
}

#[test]
fn reclaim_in_a_noio_scope_enters_no_block_layer() {
    let body = |looks_at_mask: bool| {
        move |world: &World| {
            let planted = Planted::new(
                |_| 200,
                move |mask, _| {
                    if looks_at_mask && !mask.contains(Gfp::IO) {
                        return Err(Stop);
                    }
                    let _io = scope::enter(Layer::IO, 0);
                    Ok(0)
                },
            );
            let registered = world.mm().register_shrinker(planted);
            let noio = scope::noio();
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            drop(noio);
            registered.unregister();
        }
    };
    check(&[Code::RD01], short(), body(false));
    check(&[], short(), body(true));
}

#[test]
fn a_callback_that_forgets_a_scope_restricts_its_caller() {
    struct Forgets(bool);
    impl PageOwner for Forgets {
        fn release(&self, _page: &Arc<Page>, _mask: Gfp) -> bool {
            let nofs = scope::nofs();
            if self.0 {
                std::mem::forget(nofs);
            }
            true
        }
    }
    let body = |forgets: bool| {
        move |world: &World| {
            let mm = world.mm();
            let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
            let state = PageState { private: true, ..PageState::CLEAN_FILE };
            let _page = mm.add_page(block, state, Some(Arc::new(Forgets(forgets))));
            mm.compact_memory();
        }
    };
    says(&check(&[Code::RD06], World::builder(), body(true)), "open past a call");
    check(&[], World::builder(), body(false));
}

#[test]
fn a_scan_that_forgets_a_scope_unbalances_the_annotation_around_it() {
    let body = |forgets: bool| {
        move |world: &World| {
            let planted = Planted::new(
                |_| 200,
                move |_, _| {
                    let nofs = scope::nofs();
                    if forgets {
                        std::mem::forget(nofs);
                    }
                    Ok(0)
                },
            );
            let registered = world.mm().register_shrinker(planted);
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            registered.unregister();
        }
    };
    says(&check(&[Code::RD06, Code::RD08], short(), body(true)), "annotation unbalanced");
    check(&[], short(), body(false));
}

#[test]
fn an_annotation_whose_halves_test_different_conditions_is_found() {
    check_planted(Bug::AnnotationInside, Breach::AnnotationUnbalanced, short, |world| {
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    });
}

#[test]
fn a_count_that_changes_the_cache_is_found() {
    let body = |changes: u64| {
        move |world: &World| {
            let left = AtomicU64::new(100);
            let count = move |_| left.fetch_sub(changes, Ordering::Relaxed);
            let registered = world.mm().register_shrinker(Planted::new(count, |_, _| Ok(0)));
            world.mm().probe_shrinkers();
            registered.unregister();
        }
    };
    check_rule(Breach::CountChanges, World::builder(), body(1));
    check(&[], World::builder(), body(0));
}

/// Checks a shrinker that calls `scan` for a NOFS allocation; its twin tests the mask first.
#[track_caller]
fn check_scan_without_fs(rule: Breach, scan: impl Fn(&World) + Clone + Send + Sync + 'static) {
    let body = |looks_at_mask: bool| {
        let scan = scan.clone();
        move |world: &World| {
            let (scan, inner) = (scan.clone(), world.clone());
            let planted = Planted::new(
                |_| 200,
                move |mask, _| {
                    if looks_at_mask && !mask.contains(Gfp::FS) {
                        return Err(Stop);
                    }
                    scan(&inner);
                    Ok(0)
                },
            );
            let registered = world.mm().register_shrinker(planted);
            let nofs = scope::nofs();
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            drop(nofs);
            registered.unregister();
        }
    };
    let only_main = || {
        let rule = Pressure::every_allocation().task("main").in_nofs();
        World::builder().pressure(rule)
    };
    check_rule(rule, only_main(), body(false));
    check(&[], only_main(), body(true));
}

#[test]
fn a_scan_without_fs_that_tries_the_superblock_lock_is_found() {
    let scan = |world: &World| {
        let s_umount = RwSem::new(world.sched(), "s_umount", "fs:lower", ());
        assert!(s_umount.try_read().is_some());
    };
    check_scan_without_fs(Breach::ScanTakesSuperblock, scan);
}

#[test]
fn a_scan_without_fs_that_waits_is_found() {
    let scan = |world: &World| world.mm().retry_wait(Gfp::NOWAIT);
    check_scan_without_fs(Breach::ScanWaits, scan);
}

/// Allocates beside a cache of 10000 objects whose scan always refuses.
fn refused(world: &World) {
    let registered = world.mm().register_shrinker(Planted::new(|_| 10_000, |_, _| Err(Stop)));
    for _ in 0..3 {
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    }
    registered.unregister();
}

#[test]
fn pressure_that_is_not_deferred_is_found() {
    check_planted(Bug::DeferredForgotten, Breach::DeferredWrong, short, refused);
}

#[test]
fn deferred_work_without_a_bound_is_found() {
    check_planted(Bug::DeferredUnbounded, Breach::DeferredWrong, short, refused);
}

fn by_kswapd() -> Builder {
    World::builder().pressure(Pressure::nth_allocation_of("main", 1).by_kswapd())
}

#[test]
fn a_kswapd_that_uses_the_mask_of_its_waker_is_found() {
    check_planted(Bug::KswapdBorrowsMask, Breach::KswapdMask, by_kswapd, |world| {
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
        world.mm().stop_kswapd();
    });
}

#[test]
fn a_release_hook_that_lets_kswapd_wait_for_a_reclaimer_is_found() {
    struct Flushes {
        waits: bool,
        queue: WorkQueue,
        work: Work,
    }
    impl PageOwner for Flushes {
        fn release(&self, _page: &Arc<Page>, _mask: Gfp) -> bool {
            self.queue.queue(&self.work);
            if self.waits && scope::context::flags().contains(scope::TaskFlags::KSWAPD) {
                self.queue.flush(&self.work);
            }
            true
        }
    }
    let body = |waits: bool| {
        move |world: &World| {
            let mm = world.mm();
            let theirs = mm.clone();
            let queue = WorkQueue::mem_reclaim(world.sched(), "commit");
            let work = Work::new("commit", move || drop(theirs.alloc(0, Gfp::NOIO)));
            let owner = Arc::new(Flushes { waits, queue: queue.clone(), work });
            let state = PageState { private: true, ..PageState::CLEAN_FILE };
            for _ in 0..4 {
                let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
                drop(mm.add_page(block, state, Some(Arc::clone(&owner) as Arc<dyn PageOwner>)));
            }
            assert!(mm.alloc(0, Gfp::KERNEL).is_some());
            mm.stop_kswapd();
            queue.destroy();
        }
    };
    let worker = || Pressure::every_allocation().task("kworker/commit");
    check_rule(Breach::KswapdWaits, by_kswapd().pressure(worker()), body(true));
    check(&[], by_kswapd().pressure(worker()), body(false));
}

/// Allocates with `mask` from a pool of one element, which another task holds and gives back.
fn pool_of_one(mask: Gfp) -> impl Fn(&World) + Clone + Send + Sync + 'static {
    move |world| {
        let pool = Mempool::new(world.mm(), "bio", 1, 0).expect("there is memory");
        let (theirs, taken) = (pool.clone(), world.condition("taken"));
        let said = taken.clone();
        let done = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&done);
        let holder = world.spawn("holder", move || {
            let held = theirs.alloc(Gfp::NOIO);
            done.store(1, Ordering::Release);
            said.signal();
            World::current().mm().retry_wait(Gfp::NOWAIT);
            drop(held);
        });
        taken.wait_until("the element is taken", || seen.load(Ordering::Acquire) == 1);
        drop(pool.alloc(mask));
        holder.join();
    }
}

fn starved() -> Builder {
    failing(Failpoint::MempoolAlloc)
}

#[test]
fn a_pool_that_sleeps_against_the_mask_is_found() {
    check_planted(Bug::PoolSleeps, Breach::PoolSleeps, starved, pool_of_one(Gfp::NOWAIT));
}

#[test]
fn a_pool_that_fails_where_it_must_wait_is_found() {
    check_planted(Bug::PoolFails, Breach::PoolFails, starved, pool_of_one(Gfp::NOIO));
}

#[test]
fn a_pool_that_does_not_wake_its_waiter_is_found() {
    check_planted(Bug::PoolStarves, Breach::PoolStarves, starved, pool_of_one(Gfp::NOIO));
}

#[test]
fn a_pool_that_uses_the_reserves_is_found() {
    check_planted(Bug::PoolTakesReserves, Breach::PoolTakesReserves, World::builder, |world| {
        let pool = Mempool::new(world.mm(), "bio", 1, 0).expect("there is memory");
        assert!(pool.alloc(Gfp::NOIO).is_some());
    });
}

#[test]
fn an_allocator_that_opens_the_reserves_is_found() {
    check_planted(Bug::ReservesOpen, Breach::ReservesTaken, small, |world| {
        let _all = hoard(world.mm(), Gfp::NOWAIT);
        drop(world.mm().alloc(0, Gfp::KERNEL | Gfp::NORETRY));
    });
}

#[test]
fn a_nofail_request_that_uses_all_reserves_before_the_oom_killer_is_found() {
    check_planted(Bug::NofailTakesAll, Breach::ReservesTaken, small, |world| {
        let _all = hoard(world.mm(), Gfp::ATOMIC);
        assert!(world.mm().alloc(0, Gfp::KERNEL | Gfp::NOFAIL).is_some());
    });
}

#[test]
fn the_lowest_number_of_free_pages_below_min_is_noted() {
    let noted = |mask| check(&[], small(), move |world| drop(hoard(world.mm(), mask))).notes;
    let drawn = "allocations used the reserves: free pages fell to 6, below the min watermark 16";
    assert_eq!(noted(Gfp::ATOMIC), [drawn]);
    assert_eq!(noted(Gfp::NOWAIT), [""; 0]);
}

#[test]
fn an_allocator_that_fails_a_nofail_request_is_found() {
    // Without the bug such a request does not pass the point.
    let failing = || {
        let rule = reclaimdep::FailpointRule::new(Failpoint::MmAlloc).optional();
        World::builder().plan(reclaimdep::PlanSpec::default().failpoint(rule))
    };
    check_planted(Bug::NofailFails, Breach::NofailFailed, failing, |world| {
        drop(world.mm().alloc(0, Gfp::KERNEL | Gfp::NOFAIL));
    });
}

#[test]
fn a_scan_that_flushes_an_unsafe_queue_is_found() {
    let body = |make: fn(&reclaimdep::kernel::sched::Sched, &str) -> WorkQueue| {
        move |world: &World| {
            let queue = make(world.sched(), "cleaner");
            let (theirs, work) = (queue.clone(), Work::new("clean", || {}));
            let planted = Planted::new(
                |_| 200,
                move |_, _| {
                    theirs.queue(&work);
                    theirs.flush(&work);
                    Ok(0)
                },
            );
            let registered = world.mm().register_shrinker(planted);
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            registered.unregister();
            queue.destroy();
        }
    };
    let main = || World::builder().pressure(Pressure::nth_allocation_of("main", 1));
    check_rule(Breach::WaitsForUnsafeQueue, main(), body(WorkQueue::new));
    check(&[], main(), body(WorkQueue::mem_reclaim));
}

#[test]
fn a_worker_that_reclaim_waits_for_and_that_flushes_an_unsafe_queue_is_found() {
    let body = |make: fn(&reclaimdep::kernel::sched::Sched, &str) -> WorkQueue| {
        move |world: &World| {
            let (safe, other) =
                (WorkQueue::mem_reclaim(world.sched(), "log"), make(world.sched(), "events"));
            let (theirs, event) = (other.clone(), Work::new("event", || {}));
            let push = Work::new("push", move || {
                theirs.queue(&event);
                theirs.flush(&event);
            });
            safe.queue(&push);
            safe.flush(&push);
            safe.destroy();
            other.destroy();
        }
    };
    check_rule(Breach::WaitsForUnsafeQueue, World::builder(), body(WorkQueue::new));
    check(&[], World::builder(), body(WorkQueue::mem_reclaim));
}

/// Reclaim takes an `inode` lock, and a task allocates under another lock of that class.
#[test]
fn an_allocation_under_a_class_that_reclaim_takes_is_a_lint() {
    let body = |scoped: bool| {
        move |world: &World| {
            let inodes =
                ["one", "two"].map(|name| Arc::new(Mutex::new(world.sched(), "inode", name, ())));
            let [mine, theirs] = inodes;
            let planted = Planted::new(
                |_| 200,
                move |mask, _| {
                    if !mask.contains(Gfp::FS) {
                        return Err(Stop);
                    }
                    drop(theirs.lock());
                    Ok(0)
                },
            );
            let registered = world.mm().register_shrinker(planted);
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            let nofs = scoped.then(scope::nofs);
            let held = mine.lock();
            assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            drop((held, nofs));
            registered.unregister();
        }
    };
    let lints = || World::builder().lints(true).pressure(Pressure::nth_allocation_of("main", 1));
    check_rule(Breach::UnscopedUnderLock, lints(), body(false));
    check(&[], lints(), body(true));
}

#[test]
fn a_scope_around_a_single_allocation_is_a_lint() {
    let body = |allocations: u32| {
        move |world: &World| {
            let _nofs = scope::nofs();
            for _ in 0..allocations {
                assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
            }
        }
    };
    check_rule(Breach::ScopeAroundOne, World::builder().lints(true), body(1));
    check(&[], World::builder().lints(true), body(2));
}
