//! The model-based tester of dm-bufio's client: [`reclaimdep_fixtures::programs`].
//!
//! Programs of several tasks lose nothing in any schedule, on threads and on a file; on a real loop
//! device `tests/privileged` runs them. A single program of random steps and failpoints, drawn and
//! shrunk by proptest, does what the model does. Canaries show that the checks can fail.
//! `RECLAIMDEP_BUFIO_SCHEDULES` asks for more schedules, `RECLAIMDEP_BUFIO_STEPS` for more steps.

mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep::kernel::block::{BlockDevice, FilterDevice};
use reclaimdep::kernel::event::Op;
use reclaimdep::kernel::host::{HostFile, IoOptions};
use reclaimdep::{Builder, Code, Era, ErrorKind, Failpoint, FailpointRule, Report, Tier, World};
use reclaimdep_fixtures::programs::run::BYTES;
use reclaimdep_fixtures::programs::{Disk, SETS, Set};

/// A device that says of the last of each `every` writes that it is done, and does nothing; with 0
/// it loses none.
fn lossy(below: Arc<dyn BlockDevice>, every: u64) -> Arc<dyn BlockDevice> {
    let writes = AtomicU64::new(0);
    Arc::new(FilterDevice::new(below, move |bio| {
        let lost = bio.op() == Op::Write
            && (writes.fetch_add(1, Ordering::AcqRel) + 1).checked_rem(every) == Some(0);
        lost.then_some(Ok(()))
    }))
}

/// A disk in memory that loses writes in this way.
fn losing(world: &World, every: u64) -> Disk {
    let Disk { device, whole_sectors } = Disk::memory(world);
    Disk { device: lossy(device, every), whole_sectors }
}

fn run(set: &'static Set, builder: Builder) -> Report {
    let run = builder.run(|world: &World| set.run(world, Disk::memory(world)));
    run.expect("the harness has no trouble")
}

/// Schedules of all sets with one form of the index.
fn schedules() -> u64 {
    let more = std::env::var("RECLAIMDEP_BUFIO_SCHEDULES").ok();
    more.map_or(150, |more| more.parse().expect("RECLAIMDEP_BUFIO_SCHEDULES is a number"))
}

#[track_caller]
fn explored(era: Era) {
    let each = schedules().div_ceil(SETS.len() as u64);
    for set in SETS {
        let report = run(set, set.builder(era).schedules(each));
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
            let report = run(set, set.builder(era).tier(Tier::Native));
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

/// The set in which buffers are scarcest, without any wake-up when a buffer is free.
fn without_wake_ups(era: Era) -> Report {
    let set = SETS.last().expect("there are sets");
    let mut plan = set.programs().plan();
    plan.failpoints.push(FailpointRule::new(Failpoint::BufioLostWake));
    run(set, set.builder(era).plan(plan).schedules(100))
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
        let run = set
            .builder(Era::V6_12)
            .schedules(1)
            .run(move |world: &World| set.run(world, losing(world, 1)));
        let text = run.expect("the harness has no trouble").to_text();
        assert!(
            text.contains("on the device") || text.contains("has stamps"),
            "{}:\n{text}",
            set.name
        );
    }
}
