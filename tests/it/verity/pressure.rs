//! Memory pressure while a verification waits for its hash blocks.
//!
//! The target's buffers are clean, so no shrinker form writes anything. One old problem remains:
//! the count of the shrinker waited for the client lock, behind a reader. In case C05 of the
//! catalogue in docs/kernel/deadlocks.md, 59 tasks waited there beside a verity target.

use std::sync::Arc;

use reclaimdep::kernel::era::ShrinkerForm;
use reclaimdep::kernel::inject::AllocSource;
use reclaimdep::{Code, Era, Pressure, Report, World};

use super::image::{Format, noise};
use super::{Devices, room_for};
use reclaimdep_fixtures::stacks::bufio_on_loop;

/// Verifies an image while a filesystem makes a file, in the given era and under the given
/// pressure.
fn verify_under(era: Era, pressure: Pressure, schedules: u64) -> Report {
    let builder =
        World::builder().name("verity").era(era).stack(bufio_on_loop()).pressure(pressure);
    let report = builder.schedules(schedules).run(|world| {
        world.bufio("meta").write_dirty_buffers().expect("written");
        let image = Format::small().image(noise(64 * 512));
        let target = Devices::of(world, &image)
            .open_with(world, image.root, &room_for(64))
            .expect("an image");
        let target = Arc::new(target);
        let theirs = Arc::clone(&target);
        let verifier = world.spawn("verifier", move || theirs.verify());
        let fs = world.fs("lower");
        let writer = world.spawn("rsync", move || fs.create("a").map(drop));
        assert_eq!(verifier.join(), Ok(()));
        writer.join().expect("the file is made");
        target.close().expect("nothing is held");
    });
    report.expect("the harness runs the world")
}

/// The eras whose shrinker counts without the client lock.
fn eras_that_count_freely() -> impl Iterator<Item = Era> {
    Era::ALL.iter().copied().filter(|era| era.knobs().bufio_shrinker == ShrinkerForm::S5)
}

#[test]
fn reclaim_in_the_middle_of_a_verification_is_harmless() {
    for era in Era::ALL {
        let of_its_own = Pressure::every_allocation().task("verifier").of(AllocSource::Pages);
        let report = verify_under(*era, of_its_own, 60);
        assert!(report.is_quiet(), "{era}:\n{}", report.to_text());
    }
}

#[test]
fn a_count_without_the_client_lock_does_not_wait_for_a_reader() {
    for era in eras_that_count_freely() {
        let report = verify_under(era, Pressure::first_nofs_allocation_of("rsync"), 60);
        assert!(report.is_quiet(), "{era}:\n{}", report.to_text());
    }
}

#[test]
fn a_count_under_the_client_lock_waits_for_a_reader() {
    let report = verify_under(Era::V3_10, Pressure::first_nofs_allocation_of("rsync"), 3000);
    assert!(report.codes().contains(&Code::RD07), "{}", report.to_text());
}
