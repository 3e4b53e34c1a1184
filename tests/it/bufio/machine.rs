//! A state machine of all of a client's operations, against a map with explicit dirty and held
//! sets.
//!
//! Steps and failpoints are drawn and shrunk by proptest; each case is a world of the model tier,
//! on a disk whose requests another task completes. [`model`] says what each step may return and
//! what must be where. `RECLAIMDEP_BUFIO_STEPS` asks for more steps.

mod model;

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use reclaimdep::World;
use reclaimdep::era::Era;
use reclaimdep::inject::{Failpoint, FailpointRule, PlanSpec, Pressure};

use model::Machine;

/// Blocks of the device.
const BLOCKS: u64 = 24;
/// Steps of one case at the most.
const LENGTH: u32 = 60;
/// The task for which memory is short.
const RECLAIMER: &str = "reclaimer";

/// One step. Numbers of holds are taken modulo how many there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read { block: u64, keep: bool },
    New { block: u64, byte: u8 },
    Change { block: u64, sector: usize, byte: u8 },
    ChangeHeld { hold: usize, byte: u8 },
    Get { block: u64, keep: bool },
    Release { hold: usize },
    Move { hold: usize, to: u64 },
    WriteSync,
    WriteAsync,
    Flush,
    Forget { block: u64, count: u64 },
    Prefetch { block: u64, count: u64 },
    Discard { block: u64, count: u64 },
    AgeOut,
    Reclaim,
    Resize { buffers: u64 },
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let (block, byte, hold, count) = (0..BLOCKS, any::<u8>(), 0_usize..3, 1_u64..5);
    let keep = any::<bool>;
    prop_oneof![
        4 => (block.clone(), keep()).prop_map(|(block, keep)| Step::Read { block, keep }),
        3 => (block.clone(), byte).prop_map(|(block, byte)| Step::New { block, byte }),
        3 => (block.clone(), 0_usize..8, byte)
            .prop_map(|(block, sector, byte)| Step::Change { block, sector, byte }),
        2 => (hold.clone(), byte).prop_map(|(hold, byte)| Step::ChangeHeld { hold, byte }),
        2 => (block.clone(), keep()).prop_map(|(block, keep)| Step::Get { block, keep }),
        3 => hold.clone().prop_map(|hold| Step::Release { hold }),
        1 => (hold, block.clone()).prop_map(|(hold, to)| Step::Move { hold, to }),
        2 => Just(Step::WriteSync),
        2 => Just(Step::WriteAsync),
        1 => Just(Step::Flush),
        1 => (block.clone(), count.clone()).prop_map(|(block, count)| Step::Forget { block, count }),
        1 => (block.clone(), count.clone()).prop_map(|(block, count)| Step::Prefetch { block, count }),
        1 => (block, count).prop_map(|(block, count)| Step::Discard { block, count }),
        1 => Just(Step::AgeOut),
        1 => Just(Step::Reclaim),
        1 => (0_u64..12).prop_map(|buffers| Step::Resize { buffers }),
        1 => Just(Step::Reset),
    ]
}

/// Rules for these points, each at most once; what may fire for ever is not among them.
fn rules(points: &'static [Failpoint]) -> impl Strategy<Value = Vec<FailpointRule>> {
    let rule = (0_u64..30, 1_u64..6);
    let all = proptest::collection::vec(rule, points.len());
    (proptest::sample::subsequence(points, 0..=points.len()), all).prop_map(|(points, numbers)| {
        let rule = |(point, (skip, times))| FailpointRule { point, skip, times: Some(times) };
        points.into_iter().zip(numbers).map(rule).collect()
    })
}

const EVERYWHERE: &[Failpoint] = &[
    Failpoint::BufioAllocNowait,
    Failpoint::BufioAllocNoio,
    Failpoint::BufioRead,
    Failpoint::BufioWrite,
    Failpoint::BufioAge,
    Failpoint::BufioWorkLate,
    Failpoint::BufioPauseClean,
    Failpoint::BufioPauseShrink,
];
/// Where a task that waits for a free buffer looks again by itself, it may be made to wait.
const SINCE_6_4: &[Failpoint] = &[
    Failpoint::BufioAllocNowait,
    Failpoint::BufioAllocNoio,
    Failpoint::BufioReserve,
    Failpoint::BufioSteal,
    Failpoint::BufioRead,
    Failpoint::BufioWrite,
    Failpoint::BufioAge,
    Failpoint::BufioWorkLate,
];

/// Steps of all cases of one era together, about.
fn steps() -> u32 {
    let more = std::env::var("RECLAIMDEP_BUFIO_STEPS").ok();
    more.map_or(3000, |more| more.parse().expect("RECLAIMDEP_BUFIO_STEPS is a number"))
}

/// Runs one case in a world; what is wrong, if anything is.
fn case(
    era: Era,
    steps: &[Step],
    failpoints: &[FailpointRule],
    loses: u64,
) -> Result<(), TestCaseError> {
    let pressure = vec![Pressure { task: Some(RECLAIMER.into()), ..Pressure::default() }];
    let plan = PlanSpec { failpoints: failpoints.to_vec(), pressure, ..PlanSpec::default() };
    let outcome = Arc::new(Mutex::new(Err("the world did not end".to_owned())));
    let (told, steps, rules) = (Arc::clone(&outcome), steps.to_vec(), failpoints.to_vec());
    let run = World::builder().era(era).plan(plan).schedules(1);
    let report = run.run(move |world| {
        let result = Machine::run(world, &steps, &rules, loses);
        *told.lock().expect("nobody panics with it") = result;
    });
    let report = report.map_err(|error| TestCaseError::fail(error.to_string()))?;
    if !report.is_quiet() {
        return Err(TestCaseError::fail(report.to_text()));
    }
    outcome.lock().expect("nobody panics with it").clone().map_err(TestCaseError::fail)
}

#[track_caller]
fn check(era: Era, points: &'static [Failpoint]) {
    // Half of the largest length is the mean.
    let cases = steps().div_ceil(LENGTH / 2);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let drawn = (proptest::collection::vec(step(), 1..=LENGTH as usize), rules(points));
    let ended = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    )
    .run(&drawn, |(steps, rules)| case(era, &steps, &rules, 0));
    if let Err(error) = ended {
        panic!("{era}: {error}");
    }
}

#[test]
fn every_operation_does_what_a_map_does_in_2014() {
    check(Era::V3_18, EVERYWHERE);
}

#[test]
fn every_operation_does_what_a_map_does_with_the_classic_index() {
    check(Era::V5_9, EVERYWHERE);
}

#[test]
fn every_operation_does_what_a_map_does_with_the_modern_index() {
    check(Era::V6_12, SINCE_6_4);
}

#[test]
fn a_write_that_the_disk_loses_is_noticed_where_all_is_written_and_where_it_is_read_again() {
    let new = [1, 2].map(|block| Step::New { block, byte: 7 });
    let read = [Step::WriteAsync, Step::Flush, Step::Forget { block: 2, count: 1 }];
    let read_again = [&new[..], &read[..], &[Step::Read { block: 2, keep: false }]].concat();
    for steps in [[&new[..], &[Step::WriteSync]].concat(), read_again] {
        case(Era::V6_12, &steps, &[], 0).expect("it is written");
        let wrong =
            case(Era::V6_12, &steps, &[], 2).expect_err("the second write is lost").to_string();
        assert!(wrong.contains("block 2 is [0, 0, 0, 0, 0, 0, 0, 0]"), "{wrong}");
    }
}
