//! Worlds that end by a finding or a panic while destructors wait: the process goes on, and the
//! report is there.

use std::sync::Arc;

use super::*;
use crate::report::{Outcome, Report};
use crate::sched::Mutex;
use crate::scope::{self, Gfp};
use crate::witness::Code;

const TIERS: [Tier; 2] = [Tier::Model, Tier::Native];

/// A cache of production code: its thread waits for work, and `Drop` stops and joins it.
struct Cache {
    stop: Arc<Mutex<bool>>,
    more: Condition,
    flusher: Option<JoinHandle<()>>,
}

impl Cache {
    /// A cache whose thread owns `inner` and ends before it.
    fn new<T: Send + 'static>(world: &World, inner: T) -> Self {
        let stop = Arc::new(Mutex::new(world.sched(), "cache", "", false));
        let more = world.condition("more work");
        let (theirs, signal) = (Arc::clone(&stop), more.clone());
        let flusher = world.spawn("flusher", move || {
            let _inner = inner;
            signal.wait_until("more work", || theirs.try_lock().is_some_and(|stop| *stop));
        });
        Self { stop, more, flusher: Some(flusher) }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        *self.stop.lock() = true;
        self.more.signal();
        self.flusher.take().expect("it is dropped once").join();
    }
}

/// Locks a mutex that the task holds already: a deadlock that nothing can break.
fn deadlock(world: &World) {
    let lock = Mutex::new(world.sched(), "twice", "", ());
    let _held = lock.lock();
    let _again = lock.lock();
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn run(tier: Tier, body: fn(&World)) -> Report {
    World::builder().name("unwinding").tier(tier).schedules(20).run(body).expect("the run works")
}

#[track_caller]
fn check_found(code: Code, body: fn(&World)) {
    for tier in TIERS {
        let report = run(tier, body);
        assert_eq!(report.codes(), [code], "{tier}: {report}");
    }
}

#[track_caller]
fn check_panicked(says: &str, body: fn(&World)) {
    for tier in TIERS {
        let report = run(tier, body);
        let panicked = Outcome::Panicked { message: says.to_owned() };
        assert_eq!(report.outcome, panicked, "{tier}: {report}");
    }
}

#[test]
fn a_cache_that_joins_its_thread_in_drop_survives_a_deadlock() {
    check_found(Code::RD04, |world| {
        let _cache = Cache::new(world, ());
        deadlock(world);
    });
}

#[test]
fn a_cache_inside_the_thread_of_a_cache_does_too() {
    check_found(Code::RD04, |world| {
        let inner = Cache::new(world, Cache::new(world, ()));
        let _outer = Cache::new(world, inner);
        deadlock(world);
    });
}

#[test]
fn several_tasks_whose_destructors_join_others_all_unwind() {
    check_found(Code::RD04, |world| {
        let worker = |name: &'static str| {
            let theirs = world.clone();
            world.spawn(name, move || {
                let _cache = Cache::new(&theirs, ());
                theirs.condition("never").wait("what nobody signals");
            })
        };
        let (_one, _other) = (worker("one"), worker("other"));
        world.sched().point();
        deadlock(world);
    });
}

#[test]
fn a_panic_with_a_cache_in_scope_is_the_panic() {
    check_panicked("as planned", |world| {
        let _cache = Cache::new(world, ());
        panic!("as planned");
    });
}

#[test]
fn a_panic_of_another_task_unwinds_those_that_wait() {
    check_panicked("as planned", |world| {
        let _cache = Cache::new(world, ());
        let failing = world.spawn("failing", || panic!("as planned"));
        failing.join();
    });
}

#[test]
fn a_destructor_that_joins_what_never_ends_by_itself_does_not_turn_a_panic_into_a_hang() {
    check_panicked("as planned", |world| {
        let never = world.condition("never");
        let worker = world.spawn("worker", move || never.wait("what nobody signals"));
        let mut worker = Some(worker);
        let _join = OnDrop(|| worker.take().expect("dropped once").join());
        panic!("as planned");
    });
}

#[test]
fn destructors_may_lock_signal_allocate_and_enter_scopes() {
    check_found(Code::RD04, |world| {
        let lock = Arc::new(Mutex::new(world.sched(), "shared", "", 0));
        let theirs = (Arc::clone(&lock), world.clone());
        let holder = world.spawn("holder", move || {
            let _held = theirs.0.lock();
            theirs.1.condition("never").wait("what nobody signals");
        });
        world.sched().point();
        let (mine, mm) = (Arc::clone(&lock), world.mm().clone());
        let _drop = OnDrop(move || {
            *mine.lock() += 1;
            let _scope = scope::nofs();
            assert!(mm.alloc(0, Gfp::KERNEL).is_some());
        });
        drop(holder);
        deadlock(world);
    });
}

#[test]
fn a_destructor_that_spins_until_another_task_has_unwound_ends() {
    check_found(Code::RD04, |world| {
        let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (theirs, never) = (Arc::clone(&gone), world.condition("never"));
        let begun = Arc::new(Mutex::new(world.sched(), "begun", "", false));
        let (begins, begins_now) = (world.condition("begins"), Arc::clone(&begun));
        let tells = begins.clone();
        let worker = world.spawn("worker", move || {
            let _gone = OnDrop(|| theirs.store(true, std::sync::atomic::Ordering::Release));
            *begins_now.lock() = true;
            tells.signal();
            never.wait("what nobody signals");
        });
        begins.wait_until("the worker", || begun.try_lock().is_some_and(|begun| *begun));
        let sched = world.sched().clone();
        let _spin = OnDrop(move || {
            while !gone.load(std::sync::atomic::Ordering::Acquire) {
                sched.point();
            }
        });
        drop(worker);
        deadlock(world);
    });
}

#[test]
fn a_destructor_that_spins_for_ever_is_left_behind() {
    let spins = |world: &World| {
        let sched = world.sched().clone();
        let _spin = OnDrop(move || {
            loop {
                sched.point();
            }
        });
        deadlock(world);
    };
    let builder = World::builder().name("unwinding").schedules(1).steps(10_000);
    let report = builder.run(spins).expect("the run works");
    assert!(report.has(Code::RD04), "{report}");
    assert!(report.notes.iter().any(|note| note.contains("left behind")), "{report}");
}

#[test]
fn code_that_catches_every_unwind_and_goes_on_is_left_behind() {
    for tier in TIERS {
        let builder = World::builder().name("unwinding").tier(tier).schedules(1);
        let report = builder.deadline(std::time::Duration::from_millis(200)).run(|world| {
            let never = world.condition("never");
            loop {
                let wait = std::panic::AssertUnwindSafe(|| never.wait("what nobody signals"));
                drop(std::panic::catch_unwind(wait));
            }
        });
        let report = report.expect("the run works");
        assert!(report.has(Code::RD05), "{tier}: {report}");
        assert!(report.notes.iter().any(|note| note.contains("left behind")), "{tier}: {report}");
    }
}

#[test]
fn a_task_that_was_not_joined_and_a_world_kept_by_the_user_unwind() {
    check_found(Code::RD04, |world| {
        let kept = world.clone();
        drop(world.spawn("detached", move || {
            let _kept = Cache::new(&kept, kept.clone());
            kept.condition("never").wait("what nobody signals");
        }));
        deadlock(world);
    });
}

#[test]
fn a_destructor_that_submits_io_does_not_end_the_process() {
    for tier in TIERS {
        let builder = World::builder().name("unwinding").tier(tier).schedules(20);
        let report = builder.stack(c01_stack()).run(|world| {
            let fs = world.fs("lower");
            let _late = OnDrop(move || {
                let _ = fs.create("late").and_then(|ino| fs.fsync(ino));
            });
            deadlock(world);
        });
        let report = report.expect("the run works");
        assert!(report.has(Code::RD04), "{tier}: {report}");
    }
}
