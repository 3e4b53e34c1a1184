//! The oracle in whole worlds: it predicts what an allocation could lead to, from runs in which no
//! task reclaims, and compares what a policy permits with what is safe (invariant 20).

use std::sync::Arc;

use reclaimdep::kernel::mm::policy::{
    PolicyKind, ReclaimContextKnobs, ReclaimContextPolicy, Waits, WithoutSuperblock,
};
use reclaimdep::kernel::mm::{Page, PageOwner, PageState};
use reclaimdep::kernel::witness::Pairs;
use reclaimdep::scope::{self, Gfp, Shrinker, Stop, Superblock};
use reclaimdep::{
    Builder, Code, Era, Knobs, MemorySpec, Pressure, Report, StackSpec, SwapSpec, World,
};

use reclaimdep_fixtures::stacks::{bufio_on_loop, fs};

const CYCLE: &str = "io_reclaim -> requests of loop0 -> lock journal of fs:lower -> io_reclaim";

/// The stack of the first deadlock without dirty buffers.
fn clean() -> StackSpec {
    let mut stack = bufio_on_loop();
    stack.bufio.iter_mut().for_each(|client| client.dirty.clear());
    stack
}

fn under(policy: PolicyKind, stack: StackSpec) -> StackSpec {
    let memory = stack.memory.clone().policy(policy);
    stack.memory(memory)
}

/// One schedule with plenty of memory.
fn world(era: Era, stack: StackSpec) -> Builder {
    World::builder().name("oracle").era(era).stack(stack).oracle(true).schedules(1)
}

/// The report of a run in which rsync makes a file on fs:lower.
fn make_a_file(builder: Builder) -> Report {
    builder.run(reclaimdep_tests::make_a_file).expect("the harness runs the world")
}

fn pairs(report: &Report) -> Pairs {
    report.pairs.expect("the oracle was asked")
}

#[track_caller]
fn check_quiet(report: &Report) {
    assert!(report.is_quiet() && pairs(report).unsound == 0, "{report}");
}

#[track_caller]
fn check_cycles(report: &Report, expect: &[&str]) {
    let cycles: Vec<&str> =
        report.findings.iter().map(|finding| finding.summary.as_str()).collect();
    assert_eq!(cycles, expect, "{report}");
}

#[test]
fn the_deadlock_of_2014_is_predicted_from_one_allocation() {
    let report = make_a_file(world(Era::V3_10, clean()));
    check_cycles(&report, &[CYCLE]);
    assert_eq!(report.codes(), [Code::RD03], "{report}");
    assert_eq!(pairs(&report).unsound, 1, "{report}");
    assert!(report.to_text().contains("declared, not seen to happen"), "{report}");
    for era in [Era::V3_18, Era::V5_9] {
        check_quiet(&make_a_file(world(era, clean())));
    }
}

#[test]
fn without_the_oracle_nothing_is_predicted() {
    let report = make_a_file(world(Era::V3_10, clean()).oracle(false));
    assert!(report.is_quiet() && report.pairs.is_none(), "{report}");
}

/// The cache has a dirty block, so the loop worker allocates while it serves the write.
#[track_caller]
fn check_worker(era: Era, noio: bool, expect: &[&str]) {
    let mut knobs = era.knobs();
    knobs.loop_worker_noio = noio;
    knobs.mm.noio_clears_fs = true;
    check_cycles(&make_a_file(world(era, bufio_on_loop()).knobs(knobs)), expect);
}

#[test]
fn a_loop_worker_without_a_scope_may_reclaim_from_the_cache_above_it() {
    let (io, fs) = (
        "io_reclaim -> requests of loop0 -> io_reclaim",
        "fs_reclaim -> requests of loop0 -> fs_reclaim",
    );
    check_worker(Era::V3_10, false, &[CYCLE, io]);
    check_worker(Era::V3_10, true, &[CYCLE]);
    check_worker(Era::V3_18, false, &[fs]);
    check_worker(Era::V3_18, true, &[]);
    check_worker(Era::V5_9, true, &[]);
}

#[test]
fn a_prediction_that_happens_is_reported_as_the_deadlock() {
    let rule = Pressure::first_nofs_allocation_of("rsync");
    let expect = [Code::RD02, Code::RD04];
    let builder = world(Era::V3_10, bufio_on_loop()).pressure(rule).expect(&expect).schedules(200);
    let mut knobs = Era::V3_10.knobs();
    knobs.loop_worker_noio = true;
    knobs.mm.noio_clears_fs = true;
    let report = builder.knobs(knobs).run(reclaimdep_tests::make_a_file_and_write_metadata);
    let report = report.expect("the harness runs the world");
    let predicted = report.findings.iter().position(|finding| finding.summary == CYCLE);
    assert!(report.covered_by(predicted.expect("it is predicted too")).is_some(), "{report}");
    assert_eq!(report.codes(), expect, "{report}");
}

#[test]
fn nothing_is_predicted_under_a_policy_that_prevents_the_deadlock() {
    for policy in PolicyKind::ALL {
        let report = make_a_file(world(Era::V3_10, under(*policy, clean())));
        let expect: &[&str] = if *policy == PolicyKind::Mainline { &[CYCLE] } else { &[] };
        check_cycles(&report, expect);
        assert_eq!(pairs(&report).unsound, expect.len() as u64, "{policy}:\n{report}");
    }
}

#[test]
fn a_policy_that_ignores_shrinkers_without_a_superblock_is_found_unsound() {
    let without_superblock = WithoutSuperblock::Uncovered;
    let knobs = ReclaimContextKnobs { without_superblock, ..ReclaimContextKnobs::default() };
    let unsound = world(Era::V3_10, clean()).policy(ReclaimContextPolicy::with(knobs));
    let report = make_a_file(unsound);
    check_cycles(&report, &[CYCLE]);
    assert_eq!(pairs(&report).unsound, 1, "{report}");
    check_quiet(&make_a_file(world(Era::V3_10, clean()).policy(ReclaimContextPolicy::default())));
}

/// The superblock shrinker of a filesystem.
struct Inodes(Superblock);

impl Shrinker for Inodes {
    fn name(&self) -> &str {
        "sb"
    }

    fn count(&self) -> u64 {
        0
    }

    fn scan(&self, _: Gfp, _: u64) -> Result<u64, Stop> {
        Err(Stop)
    }

    fn superblock(&self) -> Option<Superblock> {
        Some(self.0)
    }
}

/// A transaction of one filesystem allocates while the shrinker of the filesystem `whose` is
/// registered.
fn superblock(policy: PolicyKind, whose: &'static str, mask: Gfp) -> Report {
    let stack = StackSpec::default().fs(fs("own")).fs(fs("other"));
    let body = move |world: &World| {
        let inodes = Inodes(world.fs(whose).superblock());
        let registered = world.mm().register_shrinker(Arc::new(inodes));
        let own = world.fs("own");
        let tx = own.begin(1).expect("there is room in the log");
        drop(world.mm().alloc(0, mask));
        drop(tx);
        registered.unregister();
    };
    let builder = world(Era::V5_9, under(policy, stack));
    builder.run(body).expect("the harness runs the world")
}

#[test]
fn safe_pairs_that_a_policy_denies_are_counted() {
    let mainline = superblock(PolicyKind::Mainline, "other", Gfp::KERNEL);
    check_quiet(&mainline);
    assert!(pairs(&mainline).denied_but_safe > 0, "{mainline}");
    assert!(mainline.to_text().contains("denied but safe"), "{mainline}");
    assert!(mainline.to_json().contains("\"denied_but_safe\""), "{mainline}");
    for policy in [PolicyKind::ReclaimContext, PolicyKind::Oracle] {
        let report = superblock(policy, "other", Gfp::KERNEL);
        check_quiet(&report);
        assert_eq!(pairs(&report).denied_but_safe, 0, "{policy}:\n{report}");
    }
}

#[test]
fn denying_a_transaction_its_own_filesystems_inodes_is_not_counted_as_safe() {
    for policy in PolicyKind::ALL {
        let report = superblock(*policy, "own", Gfp::KERNEL);
        check_quiet(&report);
        assert_eq!(pairs(&report).denied_but_safe, 0, "{policy}:\n{report}");
    }
}

/// Swap is on `area`; a transaction of fs:lower allocates.
#[track_caller]
fn check_swap(area: SwapSpec, knobs: Knobs, expect: &[&str]) {
    let plain = bufio_on_loop();
    let memory = MemorySpec::default().swap(area);
    let mut stack = plain.memory(memory);
    stack.bufio.clear();
    check_cycles(&make_a_file(world(Era::V5_9, stack).knobs(knobs)), expect);
}

#[test]
fn swap_on_a_filesystem_leads_reclaim_back_into_it() {
    let area = SwapSpec::in_memory("swap", 16);
    let over_loop = SwapSpec::on_loop("swap", "loop0", 16);
    let file = SwapSpec::file("swap", "lower", 16);
    let new = Era::V5_9.knobs();
    let mut old = new;
    old.mm.swap_over_fs_needs_fs = false;
    let mut newest = new;
    newest.mm.swap_over_fs_needs_fs = true;
    check_swap(area, new, &[]);
    check_swap(over_loop, new, &[CYCLE]);
    check_swap(file.clone(), old, &["io_reclaim -> lock journal of fs:lower -> io_reclaim"]);
    check_swap(file, newest, &[]);
}

/// A page whose release hook waits for its filesystem under the rule `waits`.
struct WaitsOnRelease(Superblock, Waits);

impl PageOwner for WaitsOnRelease {
    fn superblock(&self) -> Option<Superblock> {
        Some(self.0)
    }

    fn waits(&self) -> Waits {
        self.1
    }

    fn release(&self, _page: &Arc<Page>, _mask: Gfp) -> bool {
        false
    }
}

/// A transaction makes a NOFS allocation while such a page is on the LRU lists.
#[track_caller]
fn check_pages(waits: Waits, expect: &[&str]) {
    let stack = StackSpec::default().fs(fs("lower"));
    let body = move |world: &World| {
        let mm = world.mm();
        let block = mm.alloc(0, Gfp::NOWAIT).expect("there is memory");
        let owner = WaitsOnRelease(world.fs("lower").superblock(), waits);
        let _page = mm.add_page(block, PageState::CLEAN_FILE, Some(Arc::new(owner)));
        world.fs("lower").create("a").map(drop).expect("the file is made");
    };
    check_cycles(&world(Era::V5_9, stack).run(body).expect("the harness runs the world"), expect);
}

#[test]
fn a_release_hook_that_waits_with_io_but_without_fs_is_found() {
    check_pages(Waits::WithIo, &["io_reclaim -> lock journal of fs:lower -> io_reclaim"]);
    check_pages(Waits::WithFs, &[]);
    check_pages(Waits::Never, &[]);
}

#[test]
fn healthy_stacks_are_quiet_in_a_thousand_schedules() {
    let report = world(Era::V5_9, bufio_on_loop())
        .pressure(Pressure::default())
        .schedules(1000)
        .run(|world| {
            let fs = world.fs("lower");
            let rsync = world.spawn("rsync", move || fs.create("a").map(drop));
            let meta = world.bufio("meta");
            let cleaner = world.spawn("cleaner", move || meta.write_dirty_buffers());
            rsync.join().expect("the file is made");
            cleaner.join().expect("the device is healthy");
            let _nofs = scope::nofs();
            drop(world.mm().alloc(0, Gfp::KERNEL));
        })
        .expect("the harness runs the world");
    check_quiet(&report);
    assert_eq!(report.schedules, 1000);
}
