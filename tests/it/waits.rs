//! Waits in whole worlds: the condition of a wait that waits itself, promises, flushes; and the
//! limits of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reclaimdep::kernel::mm::Mempool;
use reclaimdep::kernel::sched::{Mutex, Work, WorkQueue};
use reclaimdep::scope::Gfp;
use reclaimdep::{Code, StackSpec, Tier, World};
use reclaimdep_tests::check_codes;

/// Runs `body` on the tiers model and native; exactly these codes must be found.
#[track_caller]
fn check(expect: &[Code], body: fn(&World)) {
    for tier in [Tier::Model, Tier::Native] {
        check_codes(expect, World::builder().tier(tier).schedules(100), body);
    }
}

/// main waits for log space under the journal, and its condition takes the log from commit. Commit
/// then needs the journal, and has signalled before that or not.
fn wait_under_the_journal(world: &World, signals: bool) {
    let lock = |class| Arc::new(Mutex::new(world.sched(), class, "", false));
    let (log, journal) = (lock("log"), lock("journal"));
    let (space, turn) = (world.condition("log space"), world.condition("turn"));
    let (has_log, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let commit = {
        let (log, journal, space, turn) =
            (log.clone(), journal.clone(), space.clone(), turn.clone());
        let (has_log, asked) = (has_log.clone(), asked.clone());
        world.spawn("commit", move || {
            let _promise = space.promise();
            let full = log.lock();
            has_log.store(true, Ordering::SeqCst);
            turn.signal();
            turn.wait_until("the writer", || asked.load(Ordering::SeqCst));
            drop(full);
            if signals {
                *log.lock() = true;
                space.signal();
            }
            drop(journal.lock());
        })
    };
    let held = journal.lock();
    turn.wait_until("commit", || has_log.load(Ordering::SeqCst));
    space.wait_until("log space", || {
        if !asked.swap(true, Ordering::SeqCst) {
            turn.signal();
            return false;
        }
        *log.lock()
    });
    drop(held);
    commit.join();
}

#[test]
fn a_deadlock_through_the_condition_of_a_wait_is_found_and_a_kept_promise_is_none() {
    check(&[Code::RD04], |world| wait_under_the_journal(world, false));
    check(&[], |world| wait_under_the_journal(world, true));
}

#[test]
fn a_task_that_promises_in_each_round_and_keeps_it_deadlocks_with_nobody() {
    check(&[], |world| {
        let (tick, lock) =
            (world.condition("tick"), Arc::new(Mutex::new(world.sched(), "table", "", 0)));
        let (theirs, table) = (tick.clone(), lock.clone());
        let ticker = world.spawn("ticker", move || {
            for _ in 0..3 {
                let _promise = theirs.promise();
                *table.lock() += 1;
                theirs.signal();
                *table.lock() += 1;
            }
        });
        tick.wait_until("ticks", || *lock.lock() >= 3);
        ticker.join();
    });
}

#[test]
fn a_report_names_the_elements_and_promises_of_each_task_with_their_lines() {
    let plan = reclaimdep_tests::always(reclaimdep::Failpoint::MempoolAlloc);
    let report = check_codes(&[Code::RD04], World::builder().plan(plan), |world| {
        let pool = Mempool::new(world.mm(), "bio", 1, 0).expect("there is memory");
        let _element = pool.alloc(Gfp::NOIO);
        let space = world.condition("log space");
        let (theirs, other) = (pool.clone(), space.clone());
        let has = world.condition("has");
        let (told, promised) = (has.clone(), Arc::new(AtomicBool::new(false)));
        let said = promised.clone();
        let commit = world.spawn("commit", move || {
            let _promise = other.promise();
            said.store(true, Ordering::SeqCst);
            told.signal();
            drop(theirs.alloc(Gfp::NOIO));
        });
        has.wait_until("commit", || promised.load(Ordering::SeqCst));
        space.wait("log space");
        commit.join();
    });
    let finding = &report.findings[0];
    let of = |task: &str| finding.held.iter().find(|held| held.task == task).expect("it is there");
    assert_eq!(of("main").elements, ["an element of pool bio"], "{report}");
    assert_eq!(of("commit").promises, ["condition log space#1"], "{report}");
    for text in ["has an element of pool bio", "promised to signal condition log space#1"] {
        let step = finding.chain.iter().find(|step| step.text == text);
        let site = step.and_then(|step| step.site.as_deref()).unwrap_or("no line");
        assert!(site.contains("waits.rs:"), "{text}: {site}");
    }
}

/// Under the lock that "takes" takes, main flushes "plain": when it was queued behind the other
/// and may still be, or when it runs already.
fn flush_under_a_lock(world: &World, runs: bool) {
    let queue = WorkQueue::new(world.sched(), "events");
    let lock = Arc::new(Mutex::new(world.sched(), "table", "", ()));
    let (theirs, begun) = (lock.clone(), Arc::new(AtomicBool::new(false)));
    let (began, told) = (begun.clone(), world.condition("begun"));
    let signal = told.clone();
    let takes = Work::new("item", move || drop(theirs.lock()));
    let sched = world.sched().clone();
    let plain = Work::new("item", move || {
        began.store(true, Ordering::SeqCst);
        signal.signal();
        sched.point();
    });
    if runs {
        queue.queue(&plain);
        queue.queue(&takes);
        told.wait_until("the item", || begun.load(Ordering::SeqCst));
        let held = lock.lock();
        queue.flush(&plain);
        drop(held);
    } else {
        let held = lock.lock();
        queue.queue(&takes);
        queue.queue(&plain);
        queue.flush(&plain);
        drop(held);
    }
    queue.destroy();
}

#[test]
fn a_flush_depends_on_the_items_before_the_item_and_not_on_those_behind_it() {
    let builder = || World::builder().schedules(200);
    let behind = builder().expect(&[Code::RD04]).run(|world| flush_under_a_lock(world, false));
    let behind = behind.expect("it runs");
    assert!(behind.has(Code::RD04), "{behind}");
    check_codes(&[], builder(), |world| flush_under_a_lock(world, true));
}

#[test]
fn a_million_ordinary_steps_are_no_hang() {
    check_codes(&[], World::builder().schedules(1), |world| {
        let lock = Mutex::new(world.sched(), "counter", "", 0_u64);
        for _ in 0..1_100_000 {
            *lock.lock() += 1;
        }
    });
}

#[test]
fn tasks_that_spin_or_fail_for_ever_are_a_hang() {
    let builder = || World::builder().steps(20_000).schedules(1);
    check_codes(&[Code::RD05], builder(), |world| {
        loop {
            world.sched().point();
        }
    });
    check_codes(&[Code::RD05], builder(), |world| {
        let lock = |class| Arc::new(Mutex::new(world.sched(), class, "", ()));
        let (one, other) = (lock("one"), lock("other"));
        let never_free = other.clone();
        let _held = never_free.lock();
        let tries = world.spawn("tries", move || {
            loop {
                let _first = one.lock();
                if other.try_lock().is_some() {
                    return;
                }
            }
        });
        tries.join();
    });
}

#[test]
fn a_loop_without_an_end_that_gets_on_is_inconclusive_and_says_which_limit_it_met() {
    let ended = World::builder().name("endless").steps(1_000).run(|world| {
        let lock = Mutex::new(world.sched(), "counter", "", 0_u64);
        loop {
            *lock.lock() += 1;
        }
    });
    let error = ended.expect_err("there is no verdict");
    assert_eq!(error.kind(), reclaimdep::ErrorKind::Inconclusive);
    let error = error.to_string();
    assert!(error.contains("`endless` is inconclusive") && error.contains("`steps`"), "{error}");
}

#[test]
fn a_memory_is_as_large_as_asked_or_refused() {
    let run = |pages: u64| {
        World::builder().stack(StackSpec::default().pages(pages)).schedules(1).run(|world| {
            drop(world.mm().alloc(0, Gfp::KERNEL));
        })
    };
    let largest = u64::from(u32::MAX);
    assert!(run(largest).expect("it is allowed").is_quiet());
    for pages in [largest + 1, 1 << 40, u64::MAX] {
        let refused = run(pages).expect_err("it is too large").to_string();
        assert!(refused.contains(&format!("{pages} pages")), "{refused}");
    }
}
