//! A single program of random steps, with random failpoints, against the model.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use reclaimdep::{Era, Failpoint, FailpointRule, World};
use reclaimdep_fixtures::programs::Step::{
    self, Age, Discard, Flush, Forget, Get, MarkDirty, Move, New, Prefetch, Put, Read, Reset,
    Resize, Shrink, Stamp, Touch, WriteAsync, WriteSync,
};
use reclaimdep_fixtures::programs::{BLOCKS, Programs, REGISTERS};

use super::losing;

/// Operations of one case at the most.
const LENGTH: u32 = 60;
/// The register of an operation that keeps no buffer.
const BRIEF: usize = REGISTERS - 1;

/// One operation: a few steps.
fn operation() -> impl Strategy<Value = Vec<Step>> {
    let (block, kept, count, sector) = (0..BLOCKS, 0..BRIEF, 1_u64..5, 0_usize..8);
    let (block, kept, count, sector) =
        (|| block.clone(), || kept.clone(), || count.clone(), || sector.clone());
    prop_oneof![
        2 => block().prop_map(|block| vec![Read(BRIEF, block), Put(BRIEF)]),
        2 => (kept(), block()).prop_map(|(to, block)| vec![Read(to, block)]),
        3 => block().prop_map(|block| {
            vec![New(BRIEF, block), Stamp(BRIEF), MarkDirty(BRIEF), Put(BRIEF)]
        }),
        3 => (block(), sector()).prop_map(|(block, sector)| {
            vec![Read(BRIEF, block), Touch(BRIEF, sector), MarkDirty(BRIEF), Put(BRIEF)]
        }),
        2 => (kept(), sector()).prop_map(|(of, sector)| vec![Touch(of, sector), MarkDirty(of)]),
        1 => block().prop_map(|block| vec![Get(BRIEF, block), Put(BRIEF)]),
        1 => (kept(), block()).prop_map(|(to, block)| vec![Get(to, block)]),
        3 => kept().prop_map(|of| vec![Put(of)]),
        1 => (kept(), block()).prop_map(|(from, to)| vec![Move(from, to)]),
        2 => Just(vec![WriteSync]),
        2 => Just(vec![WriteAsync]),
        1 => Just(vec![Flush]),
        1 => (block(), count()).prop_map(|(block, count)| vec![Forget(block, count)]),
        1 => (block(), count()).prop_map(|(block, count)| vec![Prefetch(block, count)]),
        1 => (block(), count()).prop_map(|(block, count)| vec![Discard(block, count)]),
        1 => Just(vec![Age]),
        1 => Just(vec![Shrink]),
        1 => (0_u64..12).prop_map(|buffers| vec![Resize(buffers)]),
        1 => Just(vec![Reset]),
    ]
}

/// Rules for these points, each at most once; none of them fires for ever.
fn rules(points: &'static [Failpoint]) -> impl Strategy<Value = Vec<FailpointRule>> {
    let rule = (0_u64..30, 1_u64..6);
    let all = proptest::collection::vec(rule, points.len());
    (proptest::sample::subsequence(points, 0..=points.len()), all).prop_map(|(points, numbers)| {
        let rule = |(point, (skip, times))| FailpointRule::new(point).skip(skip).times(times);
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
/// A task that waits for a free buffer looks again by itself since 6.4, so it may be made to wait.
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

/// Operations of all cases of one era together, about.
fn operations() -> u32 {
    let more = std::env::var("RECLAIMDEP_BUFIO_STEPS").ok();
    more.map_or(3000, |more| more.parse().expect("RECLAIMDEP_BUFIO_STEPS is a number"))
}

/// Runs one case on a disk that loses the last of each `loses` writes; the error says what is
/// wrong.
fn case(
    era: Era,
    steps: Vec<Step>,
    failpoints: Vec<FailpointRule>,
    loses: u64,
) -> Result<(), TestCaseError> {
    let programs = Programs::single(steps, failpoints);
    let builder = programs.builder(era).schedules(1);
    let report = builder.run(move |world: &World| programs.run(world, losing(world, loses)));
    let report = report.map_err(|error| TestCaseError::fail(error.to_string()))?;
    if report.is_quiet() { Ok(()) } else { Err(TestCaseError::fail(report.to_text())) }
}

#[track_caller]
fn check(era: Era, points: &'static [Failpoint]) {
    // Half of the largest length is the mean.
    let cases = operations().div_ceil(LENGTH / 2);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let drawn = (proptest::collection::vec(operation(), 1..=LENGTH as usize), rules(points));
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let ended = TestRunner::new_with_rng(config, random)
        .run(&drawn, |(operations, rules)| case(era, operations.concat(), rules, 0));
    if let Err(error) = ended {
        panic!("{era}: {error}");
    }
}

#[test]
fn every_operation_does_what_the_model_does_in_2014() {
    check(Era::V3_18, EVERYWHERE);
}

#[test]
fn every_operation_does_what_the_model_does_with_the_classic_index() {
    check(Era::V5_9, EVERYWHERE);
}

#[test]
fn every_operation_does_what_the_model_does_with_the_modern_index() {
    check(Era::V6_12, SINCE_6_4);
}

#[test]
fn a_write_that_the_disk_loses_is_noticed_where_all_is_written_and_where_it_is_read_again() {
    let new = |block| vec![New(0, block), Stamp(0), MarkDirty(0), Put(0)];
    let new = [new(1), new(2)].concat();
    let read_again = vec![WriteAsync, Flush, Forget(2, 1), Read(0, 2), Put(0)];
    for rest in [vec![WriteSync], read_again] {
        let steps = [new.clone(), rest].concat();
        case(Era::V6_12, steps.clone(), Vec::new(), 0).expect("it is written");
        let wrong = case(Era::V6_12, steps, Vec::new(), 2).expect_err("the second write is lost");
        let wrong = wrong.to_string();
        assert!(wrong.contains("block 2 has stamps [0, 0, 0, 0, 0, 0, 0, 0]"), "{wrong}");
    }
}
