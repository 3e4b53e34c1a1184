//! The programs of [`reclaimdep_fixtures::programs`] lose nothing: in any schedule, on threads, on
//! a file.
//!
//! On a real loop device `tests/privileged` runs them.

use std::sync::Arc;

use reclaimdep::era::Era;
use reclaimdep::error::ErrorKind;
use reclaimdep::host::{HostFile, IoOptions};
use reclaimdep::inject::{Failpoint, FailpointRule};
use reclaimdep::report::Report;
use reclaimdep::witness::Code;
use reclaimdep::world::Builder;
use reclaimdep::{Tier, World};
use reclaimdep_fixtures::programs::run::BYTES;
use reclaimdep_fixtures::programs::{Disk, SETS, Set};

use super::lossy::lossy;

fn run(set: &'static Set, builder: Builder) -> reclaimdep::error::Result<Report> {
    builder.run(|world: &World| set.run(world, Disk::memory(world)))
}

/// Schedules of all sets with one index form; `RECLAIMDEP_BUFIO_SCHEDULES` asks for more.
fn schedules() -> u64 {
    let more = std::env::var("RECLAIMDEP_BUFIO_SCHEDULES").ok();
    more.map_or(150, |more| more.parse().expect("RECLAIMDEP_BUFIO_SCHEDULES is a number"))
}

#[track_caller]
fn explored(era: Era) {
    let each = schedules().div_ceil(SETS.len() as u64);
    for set in SETS {
        let report =
            run(set, set.builder(era).schedules(each)).expect("the harness has no trouble");
        assert!(report.is_quiet(), "{} in {era}:\n{report}", set.name);
        assert_eq!(report.schedules, each, "{} in {era}", set.name);
    }
}

#[test]
fn programs_lose_nothing_with_the_classic_index() {
    explored(Era::V5_9);
}

#[test]
fn programs_lose_nothing_with_the_modern_index() {
    explored(Era::V6_12);
}

#[test]
fn programs_lose_nothing_on_threads() {
    for era in [Era::V4_19, Era::V5_9, Era::V6_12] {
        for set in SETS {
            let report =
                run(set, set.builder(era).tier(Tier::Native)).expect("the harness has no trouble");
            assert!(report.is_quiet(), "{} in {era}:\n{report}", set.name);
        }
    }
}

#[test]
fn programs_lose_nothing_on_a_real_file() {
    for era in [Era::V5_9, Era::V6_12] {
        for set in SETS {
            let run = set.builder(era).tier(Tier::Native).run(|world: &World| {
                let device = HostFile::temp(world.sched(), "vda", BYTES, IoOptions::default());
                let device = Arc::new(device.expect("there is room for a file"));
                set.run(world, Disk { device, whole_sectors: false });
            });
            let report = run.expect("the harness has no trouble");
            assert!(report.is_quiet(), "{} in {era}:\n{report}", set.name);
        }
    }
}

#[test]
fn a_real_file_in_the_model_tier_is_a_misuse_that_says_what_to_use() {
    let run = World::builder().schedules(1).run(|world| {
        let device = HostFile::temp(world.sched(), "vda", BYTES, IoOptions::default());
        let error = device.err().expect("tasks of the model tier are no threads");
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("use a MemoryDevice there"), "{error}");
    });
    assert!(run.expect("the harness has no trouble").is_quiet());
}

/// The set in which buffers are scarcest, where nobody is told that one is free.
fn without_wake_ups(era: Era) -> Report {
    let set = SETS.last().expect("there are sets");
    let mut plan = set.plan();
    plan.failpoints.push(FailpointRule { point: Failpoint::BufioLostWake, skip: 0, times: None });
    run(set, set.builder(era).plan(plan).schedules(100)).expect("the harness has no trouble")
}

#[test]
fn a_wake_up_that_is_lost_is_a_hang_with_the_classic_index() {
    let report = without_wake_ups(Era::V5_9);
    assert!(report.has(Code::RD05) || report.has(Code::RD04), "{report}");
}

#[test]
fn a_wake_up_that_is_lost_is_a_wait_until_a_timer_with_the_modern_index() {
    let report = without_wake_ups(Era::V6_12);
    assert!(
        !report.is_quiet() && report.to_text().contains("nobody waited until a timer"),
        "{report}"
    );
}

#[test]
fn a_write_that_the_disk_loses_is_noticed_by_every_set() {
    for set in SETS {
        let run = set.builder(Era::V6_12).schedules(1).run(move |world: &World| {
            let Disk { device, whole_sectors } = Disk::memory(world);
            set.run(world, Disk { device: lossy(device, 1), whole_sectors });
        });
        let report = run.expect("the harness has no trouble");
        let text = report.to_text();
        assert!(
            text.contains("on the device") || text.contains("generation"),
            "{}:\n{text}",
            set.name
        );
    }
}
