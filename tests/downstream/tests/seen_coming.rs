//! The README's first screen: predicts the deadlock of 2014 from two runs in which it does not
//! happen.

use reclaimdep::scope::Gfp;
use reclaimdep::{
    BufioSpec, Code, Era, FsSpec, LoopSpec, Orders, Pressure, Report, StackSpec, World,
};

/// A dm-bufio client on a loop device on a filesystem.
fn bufio_on_loop() -> StackSpec {
    StackSpec::default()
        .fs(FsSpec::in_memory("lower", 96))
        .loop_device(LoopSpec::new("loop0", "lower", "disk.img", 64))
        .bufio(BufioSpec::new("meta", "loop0").retain_bytes(0).dirty([0]))
}

#[test]
fn the_deadlock_is_predicted_only_in_the_kernel_that_had_it() {
    assert!(seen_coming(Era::V3_10).has(Code::RD03));
    assert!(seen_coming(Era::V3_18).is_quiet());
}

pub(crate) fn seen_coming(era: Era) -> Report {
    let orders = Orders::default(); // what runs show about order
    let world = || {
        let rule = Pressure::every_allocation().task("elsewhere");
        World::builder()
            .era(era)
            .stack(bufio_on_loop())
            .pressure(rule)
            .schedules(1)
            .remember(&orders)
    };
    // One run: a task makes a file. Memory is plentiful, nobody reclaims, nobody waits.
    let make = |world: &World| assert!(world.fs("lower").create("a").is_ok());
    assert!(world().run(make).unwrap().is_quiet());
    // Another: a task that holds nothing reclaims. Its write is served, and that is all.
    let reclaim = |world: &World| {
        let mm = world.mm().clone();
        world.spawn("elsewhere", move || mm.alloc(0, Gfp::NOFS).is_some()).join();
    };
    world().run(reclaim).unwrap()
}
