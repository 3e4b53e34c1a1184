//! Cuts by scopes: one around an allocation, one around each of two, and more allocations than are
//! tried.

use std::sync::Arc;

use crate::event::intern;
use crate::report::Report;
use crate::sched::Mutex;
use crate::scope::Gfp;
use crate::world::World;

/// A function that allocates, on a line of its own.
type Alloc = fn(&World);

/// Reclaim takes as many locks as there are allocations, and each allocation is under one of them:
/// every one is a finding of its own (RD03).
fn under_locks(allocs: &'static [Alloc]) -> Report {
    let run = World::builder().schedules(1).try_cuts(true).run(move |world| {
        for (number, alloc) in allocs.iter().enumerate() {
            let lock =
                Arc::new(Mutex::new(world.sched(), intern(&format!("lock{number}")), "", ()));
            world.prime(|claim| claim.reclaim(Gfp::KERNEL, || drop(lock.lock())));
            let _held = lock.lock();
            alloc(world);
        }
    });
    run.unwrap()
}

/// What an allocation is called in a cut, at `line` of this file.
fn at(line: u32) -> String {
    format!("scope nofs around the allocation of main at harness/src/world/tests/cuts.rs:{line}")
}

/// The note of a run that nothing cuts.
fn nothing(scopes: usize, pairs: usize) -> String {
    format!(
        "nothing was quiet: 11 other eras, knobs and policies, {scopes} scopes and {pairs} pairs \
         of scopes were tried, 50 schedules each"
    )
}

/// The scopes that cut, and notes beside them.
#[track_caller]
fn check(allocs: &'static [Alloc], cuts: &[String], notes: &[&str]) {
    let report = under_locks(allocs);
    let found: Vec<_> = report.cuts.iter().filter(|cut| cut.contains("scope")).collect();
    let said = |cut: &String| format!("quiet in 50 schedules under {cut}");
    assert_eq!(found, cuts.iter().map(said).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    assert_eq!(report.notes, notes);
}

#[test]
fn one_scope_around_one_allocation_cuts() {
    const LINE: u32 = line!() + 1;
    check(&[|world| drop(world.mm().alloc(0, Gfp::KERNEL))], &[at(LINE)], &[]);
}

#[test]
fn where_no_single_scope_cuts_pairs_of_scopes_do() {
    const LINE: u32 = line!() + 2;
    let allocs: &[Alloc] = &[
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
    ];
    let pair = format!("{} and {}", at(LINE), at(LINE + 1));
    let note = "no single scope was quiet: 4 were tried, around 2 allocations, 50 schedules each";
    check(allocs, &[pair], &[note]);
}

#[test]
fn where_no_pair_of_scopes_cuts_the_report_says_how_many_were_tried() {
    let allocs: &[Alloc] = &[
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
    ];
    let none = "no single scope was quiet: 6 were tried, around 3 allocations, 50 schedules each; \
                nor was any of 12 pairs of scopes";
    check(allocs, &[], &[none, &nothing(6, 12)]);
}

#[test]
fn allocations_beyond_the_eighth_are_counted_and_not_tried() {
    let allocs: &[Alloc] = &[
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
        |world| drop(world.mm().alloc(0, Gfp::KERNEL)),
    ];
    let none = "no single scope was quiet: 16 were tried, around 8 allocations, 50 schedules \
                each; nor was any of 112 pairs of scopes";
    let left = "cuts: no scope was tried around 1 of the 9 allocations of the chains";
    check(allocs, &[], &[none, left, &nothing(16, 112)]);
}
