//! The same two stacks under every policy: the first deadlock, which some policies prevent; and
//! whether a NOFS transaction may still reclaim from the cache of another filesystem.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep::kernel::mm::policy::PolicyKind;
use reclaimdep::scope::{Gfp, Shrinker, Stop, Superblock};
use reclaimdep::{Code, Era, MemorySpec, Pressure, StackSpec, World};

use super::check;
use reclaimdep_fixtures::stacks::{bufio_on_loop, fs};

fn memory(policy: PolicyKind) -> MemorySpec {
    MemorySpec::default().policy(policy)
}

/// dm-bufio of 2013 on a loop device on the filesystem whose transaction allocates.
#[track_caller]
fn check_first_deadlock(policy: PolicyKind, expect: &[Code]) {
    let stack = bufio_on_loop().memory(memory(policy));
    let builder = World::builder()
        .name(policy.name())
        .era(Era::V3_10)
        .stack(stack)
        .pressure(Pressure::first_nofs_allocation_of("rsync"));
    check(expect, builder, reclaimdep_tests::make_a_file_and_write_metadata);
}

#[test]
fn mainline_with_the_old_shrinker_deadlocks_and_every_proposal_prevents_it() {
    check_first_deadlock(PolicyKind::Mainline, &[Code::RD02, Code::RD04]);
    for policy in PolicyKind::ALL.iter().filter(|policy| **policy != PolicyKind::Mainline) {
        check_first_deadlock(*policy, &[]);
    }
}

/// The cache of another filesystem; it enters that filesystem to free memory.
struct OtherCache {
    superblock: Superblock,
    scanned: Arc<AtomicU64>,
}

impl Shrinker for OtherCache {
    fn name(&self) -> &str {
        "sb:other"
    }

    fn count(&self) -> u64 {
        200
    }

    fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        if !mask.contains(Gfp::FS) {
            return Err(Stop);
        }
        let _fs = reclaimdep::scope::enter(reclaimdep::scope::Layer::FS, self.superblock.0);
        self.scanned.fetch_add(1, Ordering::Relaxed);
        Ok(nr_to_scan)
    }

    fn defers(&self) -> bool {
        true
    }

    fn superblock(&self) -> Option<Superblock> {
        Some(self.superblock)
    }
}

/// Checks whether a transaction of one filesystem may reclaim from the cache of another one with
/// the same depth.
#[track_caller]
fn check_other_cache(policy: PolicyKind, allowed: bool) {
    let stack = StackSpec::default().memory(memory(policy)).fs(fs("own")).fs(fs("other"));
    let builder = World::builder()
        .name(policy.name())
        .stack(stack)
        .pressure(Pressure::first_nofs_allocation_of("rsync"));
    check(&[], builder, move |world| {
        let scanned = Arc::new(AtomicU64::new(0));
        let superblock = world.fs("other").superblock();
        let cache = OtherCache { superblock, scanned: Arc::clone(&scanned) };
        let registered = world.mm().register_shrinker(Arc::new(cache));
        let own = world.fs("own");
        world.spawn("rsync", move || own.create("a").map(drop)).join().expect("the file is made");
        registered.unregister();
        assert_eq!(scanned.load(Ordering::Relaxed) > 0, allowed, "{}", policy.name());
    });
}

#[test]
fn only_policies_that_know_the_stack_let_nofs_reclaim_from_another_filesystem() {
    check_other_cache(PolicyKind::Mainline, false);
    check_other_cache(PolicyKind::Join, false);
    check_other_cache(PolicyKind::OnlySwapIo, false);
    check_other_cache(PolicyKind::ReclaimContext, true);
    check_other_cache(PolicyKind::Oracle, true);
}
