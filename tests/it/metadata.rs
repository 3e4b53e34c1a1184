//! A filesystem that keeps its metadata in dm-bufio: the deadlock of 2014 needs no device-mapper
//! target, and its fix removes it. Also: errors for stacks that cannot be built.

use reclaimdep::kernel::fs::Fs;
use reclaimdep::{
    Code, Era, Errno, FsSpec, LoopSpec, MemorySpec, Pressure, Report, StackSpec, SwapSpec, World,
};
use reclaimdep_fixtures::stacks::{fs, loop_on_lower, make_below, metadata_on_loop};
use reclaimdep_tests::check_codes;

#[track_caller]
fn check(era: Era, expect: &[Code]) -> Report {
    let short = Pressure::first_nofs_allocation_of("rsync");
    let builder = World::builder().name(era.name()).era(era).stack(metadata_on_loop());
    check_codes(expect, builder.pressure(short).schedules(50), make_below)
}

#[test]
fn a_nofs_allocation_below_waited_for_the_metadata_of_a_filesystem_above() {
    let report = check(Era::V3_10, &[Code::RD02, Code::RD04]);
    let text = report.to_text();
    assert!(text.contains("dm-bufio:loop0"), "the shrinker of fs:upper's metadata:\n{text}");
}

#[test]
fn a_nofs_allocation_does_not_wait_since_the_shrinker_tests_for_fs() {
    for era in [Era::V3_18, Era::V5_9, Era::V6_12] {
        check(era, &[]);
    }
}

#[track_caller]
fn check_refused(fs: Vec<FsSpec>, loops: Vec<LoopSpec>, words: &[&str]) {
    let mut stack = StackSpec::default();
    (stack.fs, stack.loops) = (fs, loops);
    let error =
        World::builder().stack(stack).run(|_| {}).expect_err("it cannot be built").to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn a_stack_that_is_built_on_itself_is_refused() {
    check_refused(
        vec![FsSpec::on_loop("lower", "loop0")],
        vec![loop_on_lower("loop0", 64)],
        &[
            "are built on each other in a cycle",
            "fs `lower` on loop device `loop0`",
            "loop device `loop0` on fs `lower`",
            "on a disk",
        ],
    );
}

#[test]
fn a_filesystem_on_a_loop_device_that_nothing_defines_is_refused() {
    check_refused(
        vec![fs("lower"), FsSpec::on_loop("upper", "loop7")],
        vec![loop_on_lower("loop0", 64)],
        &["fs `upper`: no loop device is called `loop7`", "use one of `loop0`"],
    );
}

#[test]
fn a_loop_device_on_a_filesystem_that_nothing_defines_is_refused() {
    check_refused(
        vec![fs("other")],
        vec![loop_on_lower("loop0", 64)],
        &["loop device `loop0`: no filesystem is called `lower`", "`other`"],
    );
}

#[test]
fn a_size_for_a_filesystem_on_a_device_is_refused() {
    check_refused(
        vec![fs("lower"), FsSpec::on_loop("upper", "loop0").mib(10)],
        vec![loop_on_lower("loop0", 64)],
        &["fs `upper` of 10 MiB on loop device `loop0`", "leave `mib` out"],
    );
}

#[test]
fn two_loop_devices_of_one_name_are_refused() {
    let second = loop_on_lower("loop0", 8).file("other.img");
    check_refused(
        vec![fs("lower")],
        vec![loop_on_lower("loop0", 8), second],
        &["loop device `loop0` is defined twice"],
    );
}

#[test]
fn swap_on_the_device_of_a_filesystem_is_refused() {
    let area = SwapSpec::on_loop("swap0", "loop0", 8);
    let stack = metadata_on_loop().memory(MemorySpec::default().swap(area));
    let error =
        World::builder().stack(stack).run(|_| {}).expect_err("it cannot be built").to_string();
    assert!(
        error.contains("swap area `swap0` on loop device `loop0`, which fs `upper` has"),
        "{error}"
    );
}

#[test]
fn a_reader_during_unmount_gets_enodev_and_leaves_nothing_held() {
    let stack = StackSpec::default().fs(fs("lower").with_bufio());
    let report = World::builder().stack(stack).schedules(200).run(|world| {
        let above = reclaimdep::kernel::block::MemoryDevice::new(world.sched(), "vda", 4 << 20);
        let device: std::sync::Arc<dyn reclaimdep::kernel::block::BlockDevice> =
            std::sync::Arc::new(above);
        reclaimdep::kernel::fs::mkfs(&*device).expect("the device is large enough");
        let bufio = world.bufio("lower").bufio().clone();
        let metadata = reclaimdep::kernel::fs::Metadata::Bufio { bufio, node: None };
        let (sched, mm, plan) = (world.sched(), world.mm(), world.plan());
        let fs = Fs::mount_with(sched, mm, plan, "other", device, metadata).expect("it mounts");
        let theirs = fs.clone();
        let reader = world.spawn("reader", move || theirs.lookup("a"));
        fs.unmount().expect("unmount waits for readers");
        let found = reader.join();
        assert!(matches!(found, Err(Errno::ENOENT | Errno::ENODEV)), "{found:?}");
    });
    let report = report.expect("the harness runs the world");
    assert!(report.is_quiet(), "{report}");
}

#[test]
fn two_filesystems_on_one_loop_device_are_refused() {
    check_refused(
        vec![fs("lower"), FsSpec::on_loop("a", "loop0"), FsSpec::on_loop("b", "loop0")],
        vec![loop_on_lower("loop0", 64)],
        &["fs `b` on loop device `loop0`, which fs `a` has", "of its own"],
    );
}
