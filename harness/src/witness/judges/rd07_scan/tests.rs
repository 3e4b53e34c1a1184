//! RD07: scans without FS.

use super::*;
use crate::event::{LockMode, TaskId, WaitId};
use crate::witness::script::{Script, breaches};

/// The breaches that are named in a scan with `mask`.
#[track_caller]
fn check(mask: Gfp, expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    let shrinker = s.names.add_shrinker("cache");
    s.scan(task, shrinker, mask);
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

#[test]
fn a_superblocks_lock_is_not_even_tried_for_without_fs() {
    let takes = |class| {
        move |s: &mut Script, task| {
            let lock = s.lock(class, "fs:lower");
            s.take(task, lock, LockMode::Shared);
        }
    };
    check(Gfp::NOFS, &[Breach::ScanTakesSuperblock], takes(SUPERBLOCK));
    check(Gfp::KERNEL, &[], takes(SUPERBLOCK));
    check(Gfp::NOFS, &[], takes("cache"));
}

#[test]
fn nothing_is_waited_for_without_fs() {
    let waits = |s: &mut Script, task| s.wait(task, Resource::Condition(WaitId(0)), "anything");
    check(Gfp::NOFS, &[Breach::ScanWaits], waits);
    check(Gfp::NOIO, &[Breach::ScanWaits], waits);
    check(Gfp::KERNEL, &[], waits);
}

#[test]
fn io_that_the_mask_permits_is_for_others_to_judge() {
    let waits = |s: &mut Script, task| {
        let (queue, _) = s.queue("vda");
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "buffer WRITING");
    };
    check(Gfp::NOFS, &[], waits);
    // Of the wait itself there is nothing more to say than of any other.
    let mut s = Script::default();
    let task = s.task("cp");
    let shrinker = s.names.add_shrinker("cache");
    s.scan(task, shrinker, Gfp::NOIO);
    waits(&mut s, task);
    assert_eq!(breaches(&s), [Breach::ScanWaits]);
}
