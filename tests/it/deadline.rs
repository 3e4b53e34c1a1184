//! Runs that reach no scheduling point any more: the deadline ends them with RD05, and names the
//! task. What is stuck is let go after the assertion, so that it burns no processor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use reclaimdep::kernel::sched::{self, WaitQueue, Waiting};
use reclaimdep::{Builder, Code, JoinHandle, Outcome, Report, Tier, World};

const TIERS: [Tier; 2] = [Tier::Model, Tier::Native];
const SHORT: Duration = Duration::from_millis(200);

/// Lets a stuck task go on when it is dropped.
#[derive(Clone, Default)]
struct Release(Arc<AtomicBool>);

impl Release {
    fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn builder(tier: Tier) -> Builder {
    World::builder().name("stuck").tier(tier).deadline(SHORT).schedules(5)
}

/// The task `worker` of each tier does `stop`, which ends when the flag is given.
#[track_caller]
fn check(stop: fn(&World, &Release), says: &[&str]) {
    for tier in TIERS {
        let release = Release::default();
        let theirs = release.clone();
        let report = builder(tier).expect(&[Code::RD05]).run(move |world| {
            let (flag, inside) = (theirs.clone(), world.clone());
            world.spawn("worker", move || stop(&inside, &flag)).join();
        });
        release.0.store(true, Ordering::Relaxed);
        let report = report.expect("the run works");
        assert_eq!(report.codes(), [Code::RD05], "{tier}: {report}");
        let text = report.to_text();
        for part in [&["worker", "200 ms of real time", "last scheduling point"], says].concat() {
            assert!(text.contains(part), "{tier}: {part}\n{text}");
        }
        assert!(report.matches(&[Code::RD05]).is_ok());
    }
}

#[test]
fn a_loop_without_a_scheduling_point_is_found_with_its_function() {
    fn spins_here(release: &Release) {
        while !release.is_given() {
            std::hint::spin_loop();
        }
    }
    check(|_, release| spins_here(release), &["its thread runs", "spins_here"]);
}

#[test]
fn a_channel_of_std_that_nobody_sends_on_is_found() {
    static SENDER: Mutex<Vec<mpsc::Sender<()>>> = Mutex::new(Vec::new());
    check(
        |_, _| {
            let (sender, receiver) = mpsc::channel();
            SENDER.lock().unwrap().push(sender);
            let _ = receiver.recv();
        },
        &["waits in the kernel", "recv", "use the former"],
    );
    SENDER.lock().unwrap().clear();
}

#[test]
fn a_lock_of_std_that_another_holds_is_found() {
    static HELD: Mutex<()> = Mutex::new(());
    let held = HELD.lock().unwrap();
    check(|_, _| drop(HELD.lock()), &["waits in the kernel"]);
    drop(held);
}

#[test]
fn a_panic_that_is_caught_for_ever_is_found() {
    check(
        |_, release| {
            while !release.is_given() {
                let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(0)));
                assert!(caught.is_err());
            }
        },
        &["catch_unwind"],
    );
}

#[test]
fn the_last_scheduling_point_is_named_by_its_line() {
    let line = line!() + 3;
    check(
        |world, release| {
            drop(sched::Mutex::new(world.sched(), "before", "", ()).lock());
            while !release.is_given() {
                std::hint::spin_loop();
            }
        },
        &[&format!("it/deadline.rs:{line}")],
    );
}

fn report(tier: Tier, body: impl Fn(&World) + Send + Sync + 'static) -> Report {
    builder(tier).run(body).expect("the run works")
}

#[test]
fn what_was_found_before_is_kept() {
    for tier in TIERS {
        let release = Release::default();
        let theirs = release.clone();
        let report = report(tier, move |world| {
            let stored = world.durable("counter");
            stored.acknowledged(2);
            stored.recovered(1);
            while !theirs.is_given() {
                std::hint::spin_loop();
            }
        });
        release.0.store(true, Ordering::Relaxed);
        assert_eq!(report.codes(), [Code::RD05, Code::RD13], "{report}");
    }
}

#[test]
fn a_native_world_in_which_every_task_waits_is_a_stall() {
    let report = report(Tier::Native, |world| world.condition("never").wait("what nobody signals"));
    assert_eq!(report.codes(), [Code::RD05], "{report}");
    assert!(report.to_text().contains("no task can run: 1 waits"), "{report}");
}

#[test]
fn waits_with_a_timeout_and_a_run_that_goes_on_are_not_stuck() {
    let report = report(Tier::Native, |world| {
        let queue = WaitQueue::new(world.sched());
        let waiting = Waiting::on(reclaimdep::kernel::event::Resource::Timer, "time");
        assert!(!queue.wait_timeout(waiting, reclaimdep::kernel::units::Ticks(400), || false));
    });
    assert!(report.is_quiet(), "{report}");
}

#[test]
fn without_a_deadline_a_slow_task_is_not_stuck() {
    for tier in TIERS {
        let report = builder(tier).schedules(1).deadline(Duration::ZERO).run(|_| {
            std::thread::park_timeout(Duration::from_millis(300));
        });
        assert!(report.expect("the run works").is_quiet());
    }
}

#[test]
fn the_engine_has_the_name_of_the_thread_that_runs_it() {
    let name = std::thread::current().name().map(str::to_owned);
    let report = report(Tier::Model, move |_| {
        assert_eq!(std::thread::current().name(), name.as_deref());
    });
    assert!(report.is_quiet(), "{report}");
}

#[inline(never)]
fn deep(levels: u32) -> u64 {
    let frame = std::hint::black_box([u64::from(levels); 512]);
    if levels == 0 { frame[0] } else { frame[1] + deep(levels - 1) }
}

#[test]
fn a_task_may_use_most_of_a_mebibyte_of_stack_and_more_where_it_is_given() {
    let kib_300 = report(Tier::Model, |world| {
        world.spawn("deep one", || deep(75)).join();
    });
    assert!(kib_300.is_quiet(), "{kib_300}");
    let mib_8 = builder(Tier::Model).task_stack(16 << 20).run(|world| {
        world.spawn("deep one", || deep(2000)).join();
    });
    assert!(mib_8.expect("the run works").is_quiet());
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_that_overflows_its_stack_is_named_and_other_runs_go_on() {
    let overflow = report(Tier::Model, |world| {
        world.spawn("deep one", || deep(100_000)).join();
    });
    let Outcome::Panicked { message } = &overflow.outcome else {
        panic!("{overflow}");
    };
    assert!(message.starts_with("task deep one overflowed its stack"), "{message}");
    assert!(message.contains("deep"), "{message}");
    assert!(report(Tier::Model, |_| {}).is_quiet());
}

#[test]
fn a_destructor_that_waits_for_what_never_comes_leaves_its_threads_behind() {
    struct JoinsANumber(Option<JoinHandle<u32>>);
    impl Drop for JoinsANumber {
        fn drop(&mut self) {
            self.0.take().expect("dropped once").join();
        }
    }
    for tier in TIERS {
        let report = report(tier, |world| {
            let never = world.condition("never");
            let worker = world.spawn("worker", move || {
                never.wait("what nobody signals");
                7
            });
            let _joins = JoinsANumber(Some(worker));
            let lock = sched::Mutex::new(world.sched(), "twice", "", ());
            let _held = lock.lock();
            let _again = lock.lock();
        });
        assert_eq!(report.codes(), [Code::RD04], "{tier}: {report}");
        assert!(report.notes.iter().any(|note| note.contains("left behind")), "{report}");
    }
}
