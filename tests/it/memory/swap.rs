//! Swap in whole worlds: a finding shows the page-out, and who submitted the request and where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reclaimdep::kernel::mm::{Page, PageClass, PageIo, PageState};
use reclaimdep::scope::{self, Gfp, Layer, Stop};
use reclaimdep::{
    Code, Condition, FsSpec, LoopSpec, MemorySpec, Pressure, Report, StackSpec, SwapSpec, Tier,
    World,
};

use super::{Planted, check};

/// A stack with `area`, and with the loop device `loop0` on the filesystem `lower`.
fn stack(area: SwapSpec) -> StackSpec {
    StackSpec::default()
        .memory(MemorySpec::default().swap(area))
        .fs(FsSpec::in_memory("lower", 96))
        .loop_device(LoopSpec::new("loop0", "lower", "swap.img", 8))
}

fn anon_page(world: &World) -> Arc<Page> {
    let block = world.mm().alloc(0, Gfp::NOWAIT).expect("there is memory");
    let state = PageState::CLEAN_FILE.with(PageClass::Anon, PageIo::Dirty);
    world.mm().add_page(block, state, None)
}

/// Who writes the page to swap.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PagesOut {
    /// The reclaim of the transaction itself.
    Main,
    /// The allocation of another task, while the transaction is open.
    App,
}

/// Makes `app`, whose allocation is short, begin to write the page. Only from here on may the page
/// be written.
fn page_out_by_app(world: &World, page: &Arc<Page>, go: &Condition, asked: &Arc<AtomicBool>) {
    page.update(|state| state.pinned = false);
    asked.store(true, Ordering::SeqCst);
    go.signal();
    while page.state().io != PageIo::Writeback {
        world.sched().point();
    }
}

/// A transaction of `lower` allocates. The shrinker waits until the page is written to swap, always
/// or only if the mask permits it to wait for a filesystem.
fn transaction(world: &World, by: PagesOut, looks_at_mask: bool) {
    let page = anon_page(world);
    page.update(|state| state.pinned = by == PagesOut::App);
    let (go, asked) = (world.condition("go"), Arc::new(AtomicBool::new(false)));
    let app = {
        let (mm, go, asked) = (world.mm().clone(), go.clone(), asked.clone());
        world.spawn("app", move || {
            go.wait_until("the transaction", || asked.load(Ordering::SeqCst));
            assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        })
    };
    let (own, theirs) = (world.clone(), page.clone());
    let (turn, told) = (go.clone(), asked.clone());
    let planted = Planted::new(
        |_| 200,
        move |mask, _| {
            // The allocation of `app` is short too.
            if mask.contains(Gfp::FS) || !mask.contains(Gfp::IO) || looks_at_mask {
                return Err(Stop);
            }
            if by == PagesOut::App && !told.load(Ordering::SeqCst) {
                page_out_by_app(&own, &theirs, &turn, &told);
            }
            theirs.wait_for_writeback();
            Err(Stop)
        },
    );
    let registered = world.mm().register_shrinker(planted);
    let made = world.fs("lower").create("a").map(drop);
    page.update(|state| state.pinned = false);
    asked.store(true, Ordering::SeqCst);
    go.signal();
    app.join();
    registered.unregister();
    assert!(made.is_ok() || !looks_at_mask, "{made:?}");
}

#[track_caller]
fn check_transaction(area: SwapSpec, by: PagesOut, expect: &[Code], tier: Tier) -> Report {
    let run = |expect, looks_at_mask| {
        let rule = match by {
            PagesOut::Main => Pressure::every_allocation().task("main").in_nofs(),
            PagesOut::App => Pressure::every_allocation(),
        };
        let builder = World::builder().tier(tier).stack(stack(area.clone())).pressure(rule);
        check(expect, builder, move |world| transaction(world, by, looks_at_mask))
    };
    run(&[], true);
    run(expect, false)
}

/// Every form of the report has all of `parts`, in this order.
#[track_caller]
fn check_forms(report: &Report, parts: &[&str]) {
    let text = report.to_text().split_whitespace().collect::<Vec<_>>().join(" ");
    for (form, text) in [("text", text), ("JSON", report.to_json()), ("HTML", report.to_html())] {
        let mut rest = text.as_str();
        for part in parts {
            let at = rest.find(part);
            let at = at.unwrap_or_else(|| panic!("`{part}` is not in the {form} form\n{report}"));
            rest = &rest[at + part.len()..];
        }
    }
}

const TIERS: [Tier; 2] = [Tier::Model, Tier::Native];
const DEADLOCK: &[Code] = &[Code::RD02, Code::RD03, Code::RD04];

#[test]
fn a_deadlock_through_swap_on_a_loop_device_shows_the_page_out_and_the_submission() {
    for tier in TIERS {
        let area = SwapSpec::on_loop("swap0", "loop0", 8);
        let report = check_transaction(area, PagesOut::Main, DEADLOCK, tier);
        let parts = [
            "paged out to swap:swap0 in the reclaim of the allocation at harness/src/fs/",
            "submitted request #",
            "write swap slot 0 = sectors 0..8 of loop0",
        ];
        check_forms(&report, &parts);
    }
}

#[test]
fn a_wait_for_a_page_that_another_task_pages_out_says_who_submitted_it_and_where() {
    for tier in TIERS {
        let area = SwapSpec::on_loop("swap0", "loop0", 8);
        let report = check_transaction(area, PagesOut::App, DEADLOCK, tier);
        let parts = [
            "write swap slot 0 = sectors 0..8 of loop0, submitted by app at \
             harness/src/stack/swap.rs:",
            "which paged out to swap:swap0 in the reclaim of the allocation at \
             tests/it/memory/swap.rs:",
        ];
        check_forms(&report, &parts);
    }
}

#[test]
fn a_wait_for_the_write_of_a_swap_file_depends_on_the_task_that_writes_it() {
    // The scan waits although it must not enter a filesystem.
    let expect = &[Code::RD02, Code::RD03, Code::RD04, Code::RD07];
    for tier in TIERS {
        let area = SwapSpec::file("swap0", "lower", 8);
        let report = check_transaction(area, PagesOut::App, expect, tier);
        let parts = ["promised to signal condition write to swap0", "entered swap:swap0"];
        for part in parts {
            check_forms(&report, &[part]);
        }
    }
}

/// An allocation with `mask` pages out under a scope that forbids it to enter swap.
#[track_caller]
fn check_forbidden(mask: Gfp, expect: &[Code]) {
    let stack = stack(SwapSpec::in_memory("swap0", 8));
    let builder = World::builder().stack(stack).pressure(Pressure::every_allocation());
    let report = check(expect, builder, move |world| {
        let _page = anon_page(world);
        let _no_swap = scope::forbid(&[Layer::SWAP]);
        assert!(world.mm().alloc(0, mask).is_some());
    });
    if !expect.is_empty() {
        check_forms(&report, &["entered swap:swap0", "forbid(swap)"]);
    }
}

#[test]
fn a_scope_that_forbids_swap_finds_the_page_out_of_an_allocation_that_may_do_io() {
    check_forbidden(Gfp::KERNEL, &[Code::RD01]);
    check_forbidden(Gfp::NOFS, &[Code::RD01]);
    check_forbidden(Gfp::NOIO, &[]);
}
