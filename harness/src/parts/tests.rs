//! Stand-ins in worlds, as Rust code uses them.

use std::sync::Arc;

use super::*;
use crate::block::write_at;
use crate::event::{Gfp, Op, RequestId};
use crate::{Code, Pressure, World};

/// Runs `body` on the model tier; it must find exactly `expected`.
#[track_caller]
fn check(expected: &[Code], body: impl Fn(&World) + Send + Sync + 'static) {
    let world = World::builder().schedules(100).expect(expected);
    let report = world.run(body).expect("it runs");
    if let Err(why) = report.matches(expected) {
        panic!("{why}\n{report}");
    }
}

/// Two tasks have four units each; one of them waits for a flag that nobody but the waiter for
/// units would set.
fn two_holders(wanted: u64) -> impl Fn(&World) + Send + Sync + 'static {
    move |world| {
        let space = Space::new(world.sched(), "log", 8, 0);
        let flag = Flag::new(world.sched(), "go", false);
        let ready = Count::new(world.sched(), "holders", 2);
        let mut tasks = Vec::new();
        for name in ["blocked", "free"] {
            let (space, flag, ready) = (space.clone(), flag.clone(), ready.clone());
            tasks.push(world.spawn(name, move || {
                let _counts = ready.zero().promise();
                space.reserve(4);
                let _gives = space.room().promise_units(4);
                ready.dec();
                if name == "blocked" {
                    flag.wait(true);
                }
                space.release();
            }));
        }
        ready.wait();
        let _sets = flag.becomes(true).promise();
        space.reserve(wanted);
        flag.put(true);
        space.release();
        tasks.into_iter().for_each(crate::JoinHandle::join);
    }
}

#[test]
fn a_reservation_is_stuck_where_the_free_holders_have_too_little() {
    check(&[Code::RD04], two_holders(6));
    // The order alone counts no units: that another holder has enough is seen by RD04 alone.
    check(&[Code::RD03], two_holders(4));
}

struct Nothing;

impl DeviceOps for Nothing {
    fn serve(&self, _request: RequestId, _op: Op) {}

    fn done(&self, _request: RequestId, _op: Op) {}
}

#[test]
fn a_request_is_passed_down_and_complete_when_the_one_below_is() {
    check(&[], |world| {
        let server = Server::start(world.sched(), "worker", 2, false);
        let below = DeviceOptions::default().served_by(&server);
        let disk = Device::new(world.sched(), "disk", below, Arc::new(Nothing));
        let above = DeviceOptions::default().on(Arc::new(disk));
        let mapped = Device::new(world.sched(), "dm0", above, Arc::new(Nothing));
        assert_eq!(write_at(&mapped, 4096, &[0; 4096]), Ok(()));
        server.stop();
    });
}

/// The task that suspends a device writes to it before it resumes it, or after.
fn suspends(writes_before: bool) -> impl Fn(&World) + Send + Sync + 'static {
    move |world| {
        let device = Device::new(world.sched(), "dm0", DeviceOptions::default(), Arc::new(Nothing));
        device.suspend();
        let resumes = device.suspension().becomes(false).promise();
        if writes_before {
            let _written = write_at(&device, 0, &[0; 512]);
        }
        device.resume();
        drop(resumes);
        assert_eq!(write_at(&device, 0, &[0; 512]), Ok(()));
    }
}

#[test]
fn a_task_that_writes_to_the_device_that_it_suspended_waits_for_itself() {
    check(&[Code::RD04], suspends(true));
    check(&[], suspends(false));
}

#[test]
fn a_suspension_waits_for_the_requests_in_flight() {
    check(&[], |world| {
        let server = Server::start(world.sched(), "worker", 1, false);
        let options = DeviceOptions::default().served_by(&server);
        let device = Device::new(world.sched(), "dm0", options, Arc::new(Nothing));
        let theirs = device.clone();
        let writer = world.spawn("writer", move || write_at(&theirs, 0, &[0; 512]));
        device.suspend();
        device.resume();
        assert_eq!(writer.join(), Ok(()));
        server.stop();
    });
}

/// A holder of a lock allocates with `mask`; a cache takes the lock in its scan.
fn cache_under_lock(mask: Gfp) -> impl Fn(&World) + Send + Sync + 'static {
    struct Locks(crate::sched::Mutex<()>);
    impl CacheOps for Locks {
        fn count(&self, _mask: Gfp) {}

        fn scan(&self, mask: Gfp) -> Result<(), reclaimdep_scope::Stop> {
            if !mask.contains(Gfp::FS) {
                return Err(reclaimdep_scope::Stop);
            }
            drop(self.0.lock());
            Ok(())
        }
    }
    move |world| {
        let ops = Arc::new(Locks(crate::sched::Mutex::new(world.sched(), "sm", "", ())));
        let cache = Cache::new(world.mm(), "i915", 64, false, ops.clone());
        let held = ops.0.lock();
        drop(world.mm().alloc(0, mask));
        drop(held);
        cache.unregister();
    }
}

#[test]
fn the_scan_of_a_cache_gets_the_mask_of_reclaim() {
    #[track_caller]
    fn check(mask: Gfp, expected: &[Code]) {
        let world = World::builder().schedules(10).pressure(Pressure::every_allocation());
        let report = world.expect(expected).run(cache_under_lock(mask)).expect("it runs");
        assert_eq!(report.codes(), expected, "{report}");
    }
    check(Gfp::KERNEL, &[Code::RD04]);
    check(Gfp::NOFS, &[]);
}
