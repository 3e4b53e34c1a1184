//! The test that the README shows.

use reclaimdep::{BufioSpec, Code, Era, FsSpec, LoopSpec, Pressure, StackSpec, Tier, World};

#[test]
fn a_nofs_allocation_does_not_wait_for_a_loop_device() {
    let stack = StackSpec::default()
        .fs(FsSpec::in_memory("lower", 96))
        .loop_device(LoopSpec::new("loop0", "lower", "disk.img", 64))
        .bufio(BufioSpec::new("meta", "loop0").dirty([0]));
    let report = World::builder()
        .tier(Tier::Model) // Tier::Loop: the same on a real device, as root
        .era(Era::V3_10) // V3_18 and V5_9 stay quiet
        .stack(stack)
        .pressure(Pressure::first_nofs_allocation_of("rsync"))
        .expect(&[Code::RD02, Code::RD04])
        .run(|world| {
            let fs = world.fs("lower");
            world.spawn("rsync", move || fs.create("a")).join().unwrap();
        })
        .unwrap();
    report.matches(&[Code::RD02, Code::RD04]).unwrap_or_else(|wrong| panic!("{wrong}\n{report}"));
}
