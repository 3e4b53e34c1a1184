//! Shrinkers that wait, return false numbers, panic, or count by the mask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep::kernel::sched::Mutex;
use reclaimdep::scope::Gfp;
use reclaimdep::{Code, Pressure, World};

use super::{Planted, check};

fn short() -> reclaimdep::Builder {
    World::builder().pressure(Pressure::every_allocation())
}

/// Makes one allocation that finds memory short, with a shrinker of 200 objects that calls `scan`.
#[track_caller]
fn check_scan(
    expect: &[Code],
    word: &str,
    scan: impl Fn(&World, u64) -> u64 + Clone + Send + Sync + 'static,
) {
    let report = check(expect, short(), move |world| {
        let (inner, scan) = (world.clone(), scan.clone());
        let left = Arc::new(AtomicU64::new(200));
        let theirs = Arc::clone(&left);
        let planted = Planted::new(
            move |_| left.load(Ordering::Relaxed),
            move |_, nr_to_scan| {
                let freed = scan(&inner, nr_to_scan);
                theirs.fetch_sub(freed.min(theirs.load(Ordering::Relaxed)), Ordering::Relaxed);
                Ok(freed)
            },
        );
        let registered = world.mm().register_shrinker(planted);
        assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
        registered.unregister();
    });
    assert!(report.to_text().contains(word), "`{word}` is not in\n{report}");
}

#[test]
fn a_scan_that_reports_what_it_freed_is_quiet() {
    check_scan(&[], "quiet", |_, nr_to_scan| nr_to_scan.min(1));
}

#[test]
fn a_scan_that_reports_more_than_it_scanned_is_found() {
    check_scan(&[Code::RD07], "scan claims too much", |_, nr_to_scan| nr_to_scan + 1);
}

#[test]
fn a_scan_that_panics_is_found_with_its_message() {
    check_scan(&[Code::RD07], "planted!", |_, _| panic!("planted!"));
}

/// Asks a shrinker for its count under each mask.
#[track_caller]
fn check_count(
    expect: &[Code],
    count: impl Fn(&World, Gfp) -> u64 + Clone + Send + Sync + 'static,
) {
    check(expect, World::builder(), move |world| {
        let (inner, count) = (world.clone(), count.clone());
        let planted = Planted::new(move |mask| count(&inner, mask), |_, _| Ok(0));
        let registered = world.mm().register_shrinker(planted);
        world.mm().probe_shrinkers();
        registered.unregister();
    });
}

#[test]
fn a_count_that_depends_on_the_mask_is_found() {
    check_count(&[], |_, _| 7);
    check_count(&[Code::RD07], |_, mask| if mask.contains(Gfp::FS) { 7 } else { 0 });
}

#[test]
fn a_count_that_allocates_is_found() {
    check_count(&[Code::RD07], |world, _| u64::from(world.mm().alloc(0, Gfp::NOWAIT).is_some()));
}

#[test]
fn a_count_that_waits_for_a_lock_is_found() {
    check(&[Code::RD07], World::builder(), |world| {
        let lock = Arc::new(Mutex::new(world.sched(), "cache", "", ()));
        let theirs = Arc::clone(&lock);
        let planted = Planted::new(
            move |_| {
                drop(theirs.lock());
                1
            },
            |_, _| Ok(0),
        );
        let registered = world.mm().register_shrinker(planted);
        let holder = {
            let world = world.clone();
            world.clone().spawn("holder", move || {
                let held = lock.lock();
                world.sched().point();
                drop(held);
            })
        };
        world.mm().probe_shrinkers();
        holder.join();
        registered.unregister();
    });
}

#[test]
fn a_shrinker_that_unregisters_itself_is_a_deadlock() {
    use reclaimdep::kernel::mm::Registration;
    use reclaimdep::kernel::sched::SpinLock;
    check(&[Code::RD04], short(), |world| {
        let own: Arc<SpinLock<Option<Registration>>> = Arc::default();
        let theirs = Arc::clone(&own);
        let planted = Planted::new(
            |_| 200,
            move |_, _| {
                let registration = theirs.lock().take();
                if let Some(registration) = registration {
                    registration.unregister();
                }
                Ok(0)
            },
        );
        *own.lock() = Some(world.mm().register_shrinker(planted));
        drop(world.mm().alloc(0, Gfp::KERNEL));
    });
}
