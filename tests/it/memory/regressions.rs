//! Reported bugs of memory management: found with the old behaviour, quiet with the new.

use std::sync::Arc;

use reclaimdep::kernel::era::MmKnobs;
use reclaimdep::kernel::mm::{PageClass, PageIo, PageOwner, PageState};
use reclaimdep::kernel::report::Finding;
use reclaimdep::kernel::sched::{Completion, SpinLock, WorkQueue};
use reclaimdep::scope::{self, Gfp, Layer, Stop};
use reclaimdep::{
    Builder, Code, Era, FsSpec, Knobs, LoopSpec, MemorySpec, Pressure, Report, StackSpec, SwapSpec,
    World,
};

use super::{Planted, check};

/// The knobs of the newest era with `mm` in place of its memory management.
fn with(mm: MmKnobs) -> Knobs {
    let mut knobs = Era::ALL.last().expect("there is an era").knobs();
    knobs.mm = mm;
    knobs
}

fn old(change: impl FnOnce(&mut MmKnobs)) -> Builder {
    let mut mm = MmKnobs::NEWEST;
    change(&mut mm);
    World::builder().knobs(with(mm)).pressure(Pressure::every_allocation())
}

fn new() -> Builder {
    World::builder().knobs(with(MmKnobs::NEWEST)).pressure(Pressure::every_allocation())
}

/// A cache that enters its filesystem if the mask permits it.
fn fs_cache() -> Arc<Planted> {
    Planted::new(
        |_| 200,
        |mask, _| {
            if !mask.contains(Gfp::FS) {
                return Err(Stop);
            }
            let _fs = scope::enter(Layer::FS, 0);
            Ok(0)
        },
    )
}

#[test]
fn a_noio_scope_that_clears_only_io_lets_reclaim_into_a_filesystem() {
    let body = |world: &World| {
        let _registered = world.mm().register_shrinker(fs_cache());
        let _noio = scope::noio();
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    };
    check(&[Code::RD01, Code::RD08], old(|mm| mm.noio_clears_fs = false), body);
    check(&[], new(), body);
}

#[test]
fn page_tables_of_vmalloc_in_nofs_entered_a_filesystem_until_5_16() {
    let body = |world: &World| {
        let _registered = world.mm().register_shrinker(fs_cache());
        let _fs = scope::enter(Layer::FS, 0);
        // The caller promises NOFS by the mask alone.
        let forbidden = scope::forbid(&[Layer::FS]);
        assert!(world.mm().vmalloc(1, Gfp::NOFS).is_some());
        drop(forbidden);
    };
    check(&[Code::RD01], old(|mm| mm.vmalloc_scope = false), body);
    check(&[], new(), body);
}

/// Makes a NOFS allocation beside an anonymous page, with a swap file on a filesystem.
#[track_caller]
fn check_swap_file(builder: Builder, expect: &[Code]) -> Report {
    let swap = SwapSpec::file("swap0", "lower", 8);
    let stack = StackSpec::default()
        .memory(MemorySpec::default().swap(swap))
        .fs(FsSpec::in_memory("lower", 96));
    check(expect, builder.stack(stack), |world| {
        let mm = world.mm();
        let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
        let _page =
            mm.add_page(block, PageState::CLEAN_FILE.with(PageClass::Anon, PageIo::Dirty), None);
        let _nofs = scope::nofs();
        assert!(mm.alloc(0, Gfp::KERNEL).is_some());
    })
}

#[test]
fn swap_on_a_loop_device_goes_through_the_filesystem_below_it() {
    let swap = SwapSpec::on_loop("swap0", "loop0", 8);
    let stack = StackSpec::default()
        .memory(MemorySpec::default().swap(swap))
        .fs(FsSpec::in_memory("lower", 96))
        .loop_device(LoopSpec::new("loop0", "lower", "swap.img", 8));
    let rule = Pressure::every_allocation().task("app");
    check(&[], World::builder().stack(stack).pressure(rule), |world| {
        let mm = world.mm().clone();
        let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
        let page =
            mm.add_page(block, PageState::CLEAN_FILE.with(PageClass::Anon, PageIo::Dirty), None);
        let theirs = Arc::clone(&page);
        world
            .spawn("app", move || {
                assert!(mm.alloc(0, Gfp::KERNEL).is_some());
                theirs.wait_for_writeback();
                assert!(mm.alloc(0, Gfp::KERNEL).is_some());
            })
            .join();
        assert!(page.is_freed());
    });
}

#[test]
fn a_nofs_allocation_wrote_to_a_swap_file_until_5_18() {
    let only = || Pressure::every_allocation().task("main").in_nofs();
    let old = old(|mm| mm.swap_over_fs_needs_fs = false);
    // Only allocations of this file are short: making the swap file is not what is tested.
    let skip = |builder: Builder| {
        builder.plan(reclaimdep::PlanSpec::default().pressure(only().file("regressions.rs")))
    };
    // RD03 predicts the same for other tasks: a task that changes the file waits for the journal,
    // whose holder allocates in NOFS and then writes to that file.
    let report = check_swap_file(skip(old), &[Code::RD01, Code::RD03]);
    let through_journal =
        |finding: &&Finding| finding.code != Code::RD03 || finding.summary.contains("lock journal");
    assert!(report.findings.iter().all(|finding| through_journal(&finding)), "{report}");
    check_swap_file(skip(new()), &[]);
}

/// A release hook that waits for a commit, either with any mask or only if the mask permits it.
struct CommitsOnRelease {
    looks_at_mask: bool,
    queue: WorkQueue,
    committed: reclaimdep::kernel::sched::Work,
}

impl PageOwner for CommitsOnRelease {
    fn release(&self, _page: &Arc<reclaimdep::kernel::mm::Page>, mask: Gfp) -> bool {
        if self.looks_at_mask && !mask.contains(Gfp::FS) {
            return false;
        }
        let _fs = scope::enter(Layer::FS, 0);
        self.queue.queue(&self.committed);
        self.queue.flush(&self.committed);
        true
    }
}

#[test]
fn a_release_hook_that_waits_in_compaction_is_found() {
    for (looks_at_mask, expect) in [(false, &[Code::RD01][..]), (true, &[])] {
        let rule = Pressure::every_allocation().min_order(1);
        check(expect, World::builder().pressure(rule), move |world| {
            let queue = WorkQueue::mem_reclaim(world.sched(), "nfsiod");
            let committed = reclaimdep::kernel::sched::Work::new("commit", || {});
            let owner =
                Arc::new(CommitsOnRelease { looks_at_mask, queue: queue.clone(), committed });
            let mm = world.mm();
            let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
            let state = PageState { private: true, ..PageState::CLEAN_FILE };
            let _page = mm.add_page(block, state, Some(owner));
            let _nofs = scope::nofs();
            assert!(mm.alloc(1, Gfp::KERNEL).is_some());
            queue.destroy();
        });
    }
}

#[test]
fn a_nofail_allocation_in_a_nowait_scope_is_found() {
    let body = |nowait: bool| {
        move |world: &World| {
            let _scope = nowait.then(scope::nowait);
            assert!(world.mm().alloc(0, Gfp::KERNEL | Gfp::NOFAIL).is_some());
        }
    };
    check(&[Code::RD08], World::builder(), body(true));
    check(&[], World::builder(), body(false));
}

#[test]
fn compaction_that_clears_the_flag_of_a_reclaimer_is_found() {
    let body = |world: &World| {
        let mm = world.mm();
        let _reclaimer = scope::noreclaim();
        mm.compact_memory();
        drop(mm.alloc(0, Gfp::KERNEL));
    };
    check(&[Code::RD06, Code::RD08], old(|mm| mm.compaction_nests = false), body);
    // Whoever still has the flag cannot reclaim, so no pressure applies.
    check(&[], World::builder().knobs(with(MmKnobs::NEWEST)), body);
}

/// kswapd holds the lock of a cache and waits for a write; the worker that serves it allocates.
#[track_caller]
fn check_worker(noio: bool, expect: &[Code]) {
    let rule = Pressure::every_allocation().task("kworker/loop0");
    let builder = World::builder()
        .pressure(rule)
        .pressure(Pressure::nth_allocation_of("main", 1).by_kswapd());
    check(expect, builder, move |world| {
        let cache =
            Arc::new(reclaimdep::kernel::sched::Mutex::new(world.sched(), "client", "bufio", ()));
        let queue = WorkQueue::mem_reclaim(world.sched(), "loop0");
        let mm = world.mm().clone();
        let serve = reclaimdep::kernel::sched::Work::new("write", move || {
            let _noio = noio.then(scope::noio);
            drop(mm.alloc(0, Gfp::KERNEL));
        });
        let (lock, theirs) = (Arc::clone(&cache), queue.clone());
        let planted = Planted::new(
            |_| 200,
            move |mask, _| {
                if !mask.contains(Gfp::IO) {
                    return Err(Stop);
                }
                let _held = lock.lock();
                theirs.queue(&serve);
                theirs.flush(&serve);
                Ok(0)
            },
        );
        let registered = world.mm().register_shrinker(planted);
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
        world.mm().stop_kswapd();
        registered.unregister();
        queue.destroy();
    });
}

#[test]
fn a_loop_worker_without_noio_waits_for_a_lock_that_kswapd_holds() {
    check_worker(false, &[Code::RD04, Code::RD07]);
    // kswapd must not wait for a worker that reclaims, with or without NOIO.
    check_worker(true, &[Code::RD07]);
}

#[test]
fn a_worker_that_signals_before_it_leaves_the_scope_is_found() {
    // The worker signals before it leaves the scope that it entered for the requester.
    check(&[Code::RD06], World::builder(), |world| {
        let lent = Arc::new(SpinLock::new(None));
        let done = Completion::new(world.sched(), reclaimdep::kernel::event::Resource::Timer);
        let outer = scope::nofs();
        *lent.lock() = Some(scope::Snapshot::take());
        let (theirs, signal) = (Arc::clone(&lent), done.clone());
        let worker = world.spawn("worker", move || {
            let snapshot = theirs.lock().take().expect("it was lent");
            let behalf = snapshot.enter();
            signal.complete();
            World::current().sched().point();
            drop(behalf);
        });
        done.wait("the worker");
        drop(outer);
        worker.join();
    });
}
