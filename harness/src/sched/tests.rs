//! The scheduler, tested by counting schedules and by running the primitives on both engines.

use std::sync::Arc;

use super::controlled::{self, Driver};
use super::*;
use crate::event::{
    Event, EventKind, Names, Observer, Reaction, Resource, TaskKind, Trace, WaitOutcome,
};
use crate::explore::{Budget, Dfs, Random, Replay};
use crate::units::Ticks;

mod queues;
mod sites;

/// Keeps the events and breaks nothing.
#[derive(Clone, Default)]
struct EventLog(Arc<SpinLock<Vec<Event>>>);

impl Observer for EventLog {
    fn observe(&mut self, event: &Event, _names: &Names) -> Reaction {
        self.0.lock().push(*event);
        Reaction::Go
    }
}

/// Runs `body` as main under `strategy`; returns the number of executions that came to their end,
/// and the last log.
fn explore(
    strategy: impl Strategy + 'static,
    body: impl Fn(&Sched) + Send + Sync + 'static,
) -> (usize, Vec<Event>, Trace) {
    let driver = Driver::new(Box::new(strategy));
    let runs = Arc::new(SpinLock::new((0, Vec::new(), Trace::default())));
    let (theirs, inner) = (Arc::clone(&runs), Arc::clone(&driver));
    controlled::run(&driver, controlled::TASK_STACK, move || {
        let log = EventLog::default();
        let sched = Sched::controlled(Arc::clone(&inner), 10_000, Box::new(log.clone()));
        let ended = sched.run_main(|| body(&sched));
        let mut runs = theirs.lock();
        runs.0 += usize::from(ended.is_some());
        runs.1 = std::mem::take(&mut *log.0.lock());
        runs.2 = inner.lock().take_trace();
    });
    std::mem::take(&mut *runs.lock())
}

/// Every one of `runs` random executions comes to its end.
#[track_caller]
fn check_all_end(runs: usize, body: impl Fn(&Sched) + Send + Sync + 'static) {
    let (ended, _, _) = explore(Budget::new(Random::new(1), runs as u64), body);
    assert_eq!(ended, runs);
}

fn native(body: impl FnOnce(&Sched)) -> Vec<Event> {
    let log = EventLog::default();
    let sched = Sched::native(1, Box::new(log.clone()));
    sched.run_main(|| body(&sched)).expect("the body neither panics nor is aborted");
    std::mem::take(&mut *log.0.lock())
}

/// Two tasks add one to a counter under a mutex, `rounds` times each.
fn counter(sched: &Sched, rounds: u32) -> u32 {
    let counter = Arc::new(Mutex::new(sched, "counter", "test", 0));
    let add = |name: &str| {
        let counter = Arc::clone(&counter);
        sched.spawn(name, TaskKind::Task, move || {
            for _ in 0..rounds {
                *counter.lock() += 1;
            }
        })
    };
    let (a, b) = (add("a"), add("b"));
    a.join();
    b.join();
    *counter.lock()
}

#[test]
fn a_mutex_excludes_on_both_engines() {
    check_all_end(50, |sched| assert_eq!(counter(sched, 5), 10));
    native(|sched| assert_eq!(counter(sched, 200), 400));
}

#[test]
fn a_world_is_freed_after_production_code_locked_in_it() {
    static LOCK: reclaimdep_scope::Mutex<u32> = reclaimdep_scope::Mutex::new("lock", 0);
    let sched = Sched::native(1, Box::new(EventLog::default()));
    assert!(sched.run_main(|| *LOCK.lock() += 1).is_some());
    let left = Arc::downgrade(&sched.0);
    drop(sched);
    assert!(left.upgrade().is_none(), "the world holds a reference to itself");
}

#[test]
fn depth_first_search_runs_every_schedule_once() {
    // Two tasks that each pass one point and end; main spawns both, then joins in turn. Every
    // schedule that differs in an order of real choices is counted once.
    let seen = Arc::new(SpinLock::new(Vec::new()));
    let theirs = Arc::clone(&seen);
    let (runs, _, _) = explore(Dfs::new(), move |sched| {
        let order = Arc::new(SpinLock::new(String::new()));
        let note = |name: &'static str| {
            let (order, mine) = (Arc::clone(&order), sched.clone());
            sched.spawn(name, TaskKind::Task, move || {
                mine.point();
                order.lock().push_str(name);
            })
        };
        let (a, b) = (note("a"), note("b"));
        a.join();
        b.join();
        theirs.lock().push(order.lock().clone());
    });
    let mut orders = seen.lock().clone();
    // Each child has two steps, and main has one before each join. Another number means that
    // scheduling points moved.
    assert_eq!((runs, orders.len()), (26, 26));
    orders.sort();
    orders.dedup();
    assert_eq!(orders, ["ab", "ba"], "both orders are among the {runs} schedules");
}

#[test]
fn a_trace_replays_to_the_same_events() {
    let body = |sched: &Sched| assert_eq!(counter(sched, 3), 6);
    let (_, events, trace) = explore(Budget::new(Random::new(7), 1), body);
    let replay = Replay::new(trace.clone());
    let mismatch = replay.mismatch();
    let (_, again, same) = explore(replay, body);
    assert_eq!(mismatch.position(), None);
    assert_eq!((events, trace), (again, same));
}

#[test]
fn a_waiting_writer_goes_before_a_later_reader() {
    check_all_end(200, |sched| {
        let sem = Arc::new(RwSem::new(sched, "sem", "test", Vec::new()));
        let held = sem.read();
        let (theirs, queue) = (Arc::clone(&sem), sched.clone());
        let writer = sched.spawn("writer", TaskKind::Task, move || theirs.write().push("writer"));
        while !is_waiting(&queue, &sem) {
            sched.point();
        }
        assert!(sem.try_read().is_none(), "a reader would pass the writer");
        drop(held);
        writer.join();
        assert_eq!(*sem.read(), ["writer"]);
    });
}

fn is_waiting(_sched: &Sched, sem: &RwSem<Vec<&'static str>>) -> bool {
    sem.try_read().is_none()
}

#[test]
fn virtual_time_passes_only_when_no_task_can_run() {
    check_all_end(20, |sched| {
        let queue = WaitQueue::new(sched);
        let before = sched.now();
        let came =
            queue.wait_timeout(Waiting::on(Resource::Timer, "a timer"), Ticks(250), || false);
        assert!(!came);
        assert_eq!(sched.now() - before, Ticks(250));
    });
}

#[test]
fn a_world_in_which_no_task_can_go_on_reports_a_stall_and_unwinds() {
    let (_, events, _) = explore(Budget::new(Random::new(1), 1), |sched| {
        let lock = Arc::new(Mutex::new(sched, "lock", "test", ()));
        let _held = lock.lock();
        let theirs = Arc::clone(&lock);
        let stuck = sched.spawn("stuck", TaskKind::Task, move || drop(theirs.lock()));
        stuck.join();
    });
    let stalls =
        events.iter().filter(|event| matches!(event.kind, EventKind::Stall { step_budget: false }));
    assert_eq!(stalls.count(), 1);
}

#[test]
fn a_run_beyond_its_step_budget_reports_a_stall_and_unwinds() {
    let (_, events, _) = explore(Budget::new(Random::new(1), 1), |sched| {
        loop {
            sched.point();
        }
    });
    let stalls =
        events.iter().filter(|event| matches!(event.kind, EventKind::Stall { step_budget: true }));
    assert_eq!(stalls.count(), 1);
}

/// Breaks every breakable wait.
struct Breaker;

impl Observer for Breaker {
    fn observe(&mut self, event: &Event, _names: &Names) -> Reaction {
        match event.kind {
            EventKind::WaitBegin { breakable: true, .. } => Reaction::Break(event.task),
            EventKind::WaitEnd { outcome, .. } if event.task.0 == 1 => {
                assert!(matches!(outcome, WaitOutcome::Broken(_)));
                Reaction::Go
            }
            _ => Reaction::Go,
        }
    }
}

#[test]
fn a_broken_wait_returns_edeadlk_and_the_lock_stays_usable() {
    let sched = Sched::native(1, Box::new(Breaker));
    sched.run_main(|| {
        let lock = Arc::new(Mutex::new(&sched, "lock", "test", 0));
        let held = lock.lock();
        let theirs = Arc::clone(&lock);
        let broken =
            sched.spawn("broken", TaskKind::Task, move || theirs.lock_breakable().map(drop));
        assert_eq!(broken.join(), Err(crate::error::Errno::EDEADLK));
        drop(held);
        *lock.lock() += 1;
    });
}

/// Breaks the first wait of task 0 for a condition as soon as it began.
struct BreaksOuter;

impl Observer for BreaksOuter {
    fn observe(&mut self, event: &Event, _names: &Names) -> Reaction {
        match event.kind {
            EventKind::WaitBegin { resource: Resource::Condition(_), .. } => {
                Reaction::Break(event.task)
            }
            _ => Reaction::Go,
        }
    }
}

#[test]
fn a_break_of_a_wait_is_not_lost_while_its_condition_waits_for_a_lock() {
    let sched = Sched::native(1, Box::new(BreaksOuter));
    sched.run_main(|| {
        let (lock, asked) =
            (Arc::new(Mutex::new(&sched, "lock", "", ())), Arc::new(SpinLock::new(0)));
        let (theirs, seen, inner) = (Arc::clone(&lock), Arc::clone(&asked), sched.clone());
        let held = lock.lock();
        let resource = Resource::Condition(sched.names(|names| names.add_condition("never")));
        let waiter = sched.spawn("waiter", TaskKind::Task, move || {
            let never = || {
                *seen.lock() += 1;
                if *seen.lock() > 1 {
                    drop(theirs.lock());
                }
                false
            };
            WaitQueue::new(&inner).wait_until(Waiting::on(resource, "never").breakable(), never)
        });
        while *asked.lock() < 2 {
            sched.point();
        }
        drop(held);
        assert_eq!(waiter.join(), Err(crate::error::Errno::EDEADLK));
    });
}

#[test]
fn a_task_whose_condition_panics_waits_no_longer() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let events = native(|sched| {
        let mut asked = 0;
        let panics = std::panic::AssertUnwindSafe(|| {
            let condition = || {
                asked += 1;
                assert!(asked < 2, "planted");
                false
            };
            let waiting = Waiting::on(Resource::Timer, "anything");
            WaitQueue::new(sched).wait_until(waiting, condition)
        });
        assert!(std::panic::catch_unwind(panics).is_err());
    });
    std::panic::set_hook(hook);
    let abandoned = |event: &&Event| {
        matches!(event.kind, EventKind::WaitEnd { outcome: WaitOutcome::Abandoned, .. })
    };
    assert_eq!(events.iter().filter(abandoned).count(), 1);
}

#[test]
fn a_program_that_gets_on_is_no_stall_however_long_it_is() {
    for (rounds, out_of_steps) in [(90_000, false), (110_000, true)] {
        let ended = Arc::new(SpinLock::new((false, false)));
        let theirs = Arc::clone(&ended);
        let (_, events, _) = explore(Budget::new(Random::new(1), 1), move |sched| {
            let lock = Mutex::new(sched, "lock", "", 0);
            let (inner, ended) = (sched.clone(), Arc::clone(&theirs));
            let looked = Looks(Box::new(move || *ended.lock() = (true, inner.is_out_of_steps())));
            for _ in 0..rounds {
                *lock.lock() += 1;
            }
            drop(looked);
        });
        assert!(!events.iter().any(|event| matches!(event.kind, EventKind::Stall { .. })));
        assert_eq!(*ended.lock(), (true, out_of_steps), "{rounds}");
    }
}

/// Calls its closure when it is dropped, also where the world unwinds.
struct Looks(Box<dyn Fn()>);

impl Drop for Looks {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_work_item_that_is_pending_is_not_queued_again() {
    check_all_end(50, |sched| {
        let queue = WorkQueue::new(sched, "test");
        let runs = Arc::new(SpinLock::new(0));
        let theirs = Arc::clone(&runs);
        let work = Work::new("count", move || *theirs.lock() += 1);
        let first = queue.queue(&work);
        let second = queue.queue(&work);
        queue.flush(&work);
        queue.destroy();
        assert!(first);
        assert_eq!(*runs.lock(), 1 + i32::from(second));
    });
}

#[test]
fn a_panic_in_a_task_unwinds_the_world_and_its_message_is_kept() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let sched = Sched::native(1, Box::new(EventLog::default()));
    let ended = sched.run_main(|| {
        let task = sched.spawn("bad", TaskKind::Task, || panic!("the reason"));
        task.join();
    });
    std::panic::set_hook(hook);
    assert!(ended.is_none());
    assert_eq!(sched.panic_message().as_deref(), Some("the reason"));
}

#[test]
fn flush_waits_for_work_that_is_running() {
    check_all_end(200, |sched| {
        let queue = WorkQueue::new(sched, "test");
        let done = Arc::new(SpinLock::new(false));
        let (theirs, inner) = (Arc::clone(&done), sched.clone());
        let work = Work::new("slow", move || {
            inner.point();
            *theirs.lock() = true;
        });
        queue.queue(&work);
        sched.point();
        queue.flush(&work);
        assert!(*done.lock());
        queue.destroy();
        assert!(!queue.queue(&work), "a destroyed queue takes no work");
    });
}
