//! Programs of several tasks on one dm-bufio client, on a real loop device: one test for each set
//! and era.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use reclaimdep::kernel::host::{Backing, HostLoop, IoOptions, LoopOptions};
use reclaimdep::kernel::units::Sectors;
use reclaimdep::{Era, Tier, World};
use reclaimdep_fixtures::programs::{Disk, SETS, Set, run::BYTES};

/// One test for each set in an era of each index type.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (set, era) in SETS.iter().flat_map(|set| [(set, Era::V5_9), (set, Era::V6_12)]) {
        let name = format!("programs::{}::{era}", set.name);
        let again = ["--exact", &name, "--include-ignored"].map(str::to_owned);
        trials.push(crate::trial(name, move || loses_nothing(set, era, again)));
    }
    trials
}

fn loses_nothing(set: &'static Set, era: Era, again: [String; 3]) -> Result<(), Failed> {
    let run = set.builder(era).tier(Tier::Loop).rerun(again);
    let report = run.run(move |world: &World| set.run(world, on_loop(world)))?;
    if report.is_quiet() { Ok(()) } else { Err(report.to_text().into()) }
}

/// A loop device on an unlinked file.
fn on_loop(world: &World) -> Disk {
    let file = tempfile::tempfile().expect("there is room for a file");
    file.set_len(BYTES).expect("there is room for 64 KiB");
    let (backing, sectors) = (Backing::Open(file.as_fd()), Sectors::from_bytes(BYTES));
    let (options, io) = (LoopOptions::default(), IoOptions::default());
    let device = HostLoop::attach(world.sched(), "loop0", backing, sectors, options, io);
    Disk { device: Arc::new(device.expect("root can attach a loop device")), whole_sectors: false }
}
