//! Filesystems of this project on real loop devices whose backing files are on such filesystems.

use libtest_mimic::{Failed, Trial};
use reclaimdep::kernel::block;
use reclaimdep::{Builder, Code, Era, Pressure, StackSpec, Tier, World};
use reclaimdep_fixtures::stacks::{loop_on_lower, make_below, metadata_on_loop};

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    let deadlock = |era, expect: &'static [Code]| {
        let name = format!("stacked::metadata_of_a_filesystem_above::{era}");
        trial(name, move |builder| {
            let short = Pressure::first_nofs_allocation_of("rsync");
            let builder = builder.era(era).stack(metadata_on_loop()).pressure(short).expect(expect);
            check(builder, expect, make_below)
        })
    };
    vec![
        deadlock(Era::V3_10, &[Code::RD02, Code::RD04]),
        deadlock(Era::V3_18, &[]),
        deadlock(Era::V6_12, &[]),
        trial("stacked::two_real_devices_on_each_other".into(), |builder| {
            let mut stack: StackSpec = metadata_on_loop();
            stack.loops.push(loop_on_lower("loop1", 16).fs("upper"));
            check(builder.stack(stack), &[], on_top)
        }),
    ]
}

/// Data written to the topmost device can be read from the device and from its backing file.
fn on_top(world: &World) {
    let (device, upper) =
        (world.stack().device("loop1").expect("it is in the stack"), world.fs("upper"));
    let written = vec![0xA5; 256 << 10];
    block::write_at(&**device, 1 << 20, &written).expect("it is written");
    block::flush(&**device).expect("it is synced");
    let mut read = vec![0; written.len()];
    block::read_at(&**device, 1 << 20, &mut read).expect("it is read");
    assert!(read == written, "the device has what was written to it");
    let file = upper.lookup("loop1.img").expect("it is the device's");
    assert_eq!(upper.read(file, 1 << 20, &mut read), Ok(written.len()));
    assert!(read == written, "the file below has what was written to the device");
}

fn trial(name: String, body: impl Fn(Builder) -> Result<(), Failed> + Send + 'static) -> Trial {
    let again = ["--exact", &name, "--include-ignored"].map(str::to_owned).to_vec();
    crate::trial(name.clone(), move || {
        body(World::builder().name(&name).tier(Tier::Loop).rerun(&again))
    })
}

fn check(
    builder: Builder,
    expect: &[Code],
    body: impl Fn(&World) + Send + Sync + 'static,
) -> Result<(), Failed> {
    let report = builder.run(body).map_err(|error| error.to_string())?;
    report.matches(expect).map_err(|wrong| format!("{wrong}\n{report}").into())
}
