//! Reported mistakes of memory management: found with the old behaviour, quiet with the new.

use std::sync::Arc;

use reclaimdep::World;
use reclaimdep::era::{Era, Knobs, MmKnobs};
use reclaimdep::event::{Gfp, Layer};
use reclaimdep::inject::Pressure;
use reclaimdep::mm::page::{Class, Io};
use reclaimdep::mm::{PageOwner, PageState};
use reclaimdep::report::{Finding, Report};
use reclaimdep::sched::{Completion, SpinLock, WorkQueue};
use reclaimdep::scope::{self, Stop};
use reclaimdep::stack::{FsSpec, LoopSpec, MemorySpec, StackSpec, SwapSpec};
use reclaimdep::witness::Code;
use reclaimdep::world::Builder;

use super::{Planted, check};

/// The newest era with one behaviour as it was.
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

/// A cache that writes to its filesystem where the mask lets it.
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
fn vmalloc_in_nofs_let_its_page_tables_into_a_filesystem_until_5_16() {
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

/// An anonymous page, a swap file on a filesystem, and a NOFS allocation.
#[track_caller]
fn check_swap_file(builder: Builder, expect: &[Code]) -> Report {
    let swap = SwapSpec::file("swap0", "lower", 8);
    let stack = StackSpec::default()
        .memory(MemorySpec::default().swap(swap))
        .fs(FsSpec::in_memory("lower", 96));
    check(expect, builder.stack(stack), |world| {
        let mm = world.mm();
        let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
        let _page = mm.add_page(block, PageState::CLEAN_FILE.with(Class::Anon, Io::Dirty), None);
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
        let page = mm.add_page(block, PageState::CLEAN_FILE.with(Class::Anon, Io::Dirty), None);
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
    // Making the file is not the story.
    let skip = |builder: Builder| {
        builder
            .plan(reclaimdep::inject::PlanSpec::default().pressure(only().file("regressions.rs")))
    };
    // RD03 says the same of other tasks: one that changes the file waits for the journal, whose
    // holder allocates in NOFS and is sent to write to that file.
    let report = check_swap_file(skip(old), &[Code::RD01, Code::RD03]);
    let through_journal =
        |finding: &&Finding| finding.code != Code::RD03 || finding.summary.contains("lock journal");
    assert!(report.findings.iter().all(|finding| through_journal(&finding)), "{report}");
    check_swap_file(skip(new()), &[]);
}

/// A release hook that waits for a commit whatever the mask, or that looks at it first.
struct Commits {
    looks_at_mask: bool,
    queue: WorkQueue,
    committed: reclaimdep::sched::Work,
}

impl PageOwner for Commits {
    fn release(&self, _page: &Arc<reclaimdep::mm::Page>, mask: Gfp) -> bool {
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
            let committed = reclaimdep::sched::Work::new("commit", || {});
            let owner = Arc::new(Commits { looks_at_mask, queue: queue.clone(), committed });
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
fn a_callee_that_cannot_fail_is_refused_in_a_nowait_scope() {
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
fn a_reclaimer_whose_flag_compaction_took_away_reclaims_below_itself() {
    let body = |world: &World| {
        let mm = world.mm();
        let _reclaimer = scope::noreclaim();
        mm.compact_memory();
        drop(mm.alloc(0, Gfp::KERNEL));
    };
    check(&[Code::RD06, Code::RD08], old(|mm| mm.compaction_nests = false), body);
    check(&[], new(), body);
}

/// kswapd holds a cache's lock and waits for a write; the worker that serves the write allocates.
#[track_caller]
fn check_worker(noio: bool, expect: &[Code]) {
    let rule = Pressure::every_allocation().task("kworker/loop0");
    let builder = World::builder()
        .pressure(rule)
        .pressure(Pressure::nth_allocation_of("main", 1).by_kswapd());
    check(expect, builder, move |world| {
        let cache = Arc::new(reclaimdep::sched::Mutex::new(world.sched(), "client", "bufio", ()));
        let queue = WorkQueue::mem_reclaim(world.sched(), "loop0");
        let mm = world.mm().clone();
        let serve = reclaimdep::sched::Work::new("write", move || {
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
fn a_loop_worker_without_noio_comes_back_to_what_kswapd_holds() {
    check_worker(false, &[Code::RD04, Code::RD07]);
    // That kswapd waits at all for a worker that reclaims is wrong either way.
    check_worker(true, &[Code::RD07]);
}

#[test]
fn completing_before_restoring_is_left_to_the_judge_of_scopes() {
    // What a worker signals before it restores the scope that it was lent.
    check(&[Code::RD06], World::builder(), |world| {
        let lent = Arc::new(SpinLock::new(None));
        let done = Completion::new(world.sched(), reclaimdep::event::Resource::Timer);
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
