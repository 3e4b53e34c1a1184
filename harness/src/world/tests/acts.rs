//! Conditions with units and actors, waits for the reserves, and waits that were over before they
//! began, in worlds of the tiers model and native.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::event::{Actor, Needs, Site};
use crate::mm::PageBlock;
use crate::report::Report;
use crate::sched::{Mutex, SpinLock};
use crate::scope::{self, Gfp, Shrinker, Stop};
use crate::stack::{MemorySpec, StackSpec};
use crate::tier::Tier;
use crate::witness::Code;
use crate::world::{Builder, World};

/// Runs on both tiers; every run finds exactly `expect`.
#[track_caller]
fn check(expect: &[Code], body: impl Fn(&World) + Send + Sync + Clone + 'static) -> Report {
    let run = |tier| {
        let builder = World::builder().name("acts").tier(tier).schedules(100).expect(expect);
        let report = builder.run(body.clone()).expect("the run works");
        report.matches(expect).unwrap_or_else(|wrong| panic!("{wrong}\n{}", report.to_text()));
        report
    };
    run(Tier::Native);
    run(Tier::Model)
}

fn lock(world: &World, name: &'static str) -> Arc<Mutex<()>> {
    Arc::new(Mutex::new(world.sched(), name, "", ()))
}

/// Two tasks hold 4 units each of 8. One gives them back when it gets a lock that the waiter holds,
/// the other at once.
fn units(needed: u32) -> impl Fn(&World) + Send + Sync + Clone + 'static {
    move |world| {
        let (space, ready) = (world.condition("space"), world.condition("ready"));
        let (held, free, began) =
            (lock(world, "held"), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let guard = held.lock();
        let holders = [true, false].map(|stuck| {
            let (space, ready, held) = (space.clone(), ready.clone(), Arc::clone(&held));
            let (free, began) = (Arc::clone(&free), Arc::clone(&began));
            world.spawn(if stuck { "stuck" } else { "other" }, move || {
                let me = Actor::Task(World::current().sched().current());
                space.promise_by(me, 4, Site::here());
                began.fetch_add(1, Ordering::AcqRel);
                ready.signal();
                if stuck {
                    drop(held.lock());
                }
                free.fetch_add(4, Ordering::AcqRel);
                space.signal();
            })
        });
        ready.wait_until("the holders", || began.load(Ordering::Acquire) == 2);
        let missing = || Needs::Units(needed.saturating_sub(free.load(Ordering::Acquire)));
        space.wait_needing(missing, "space", Site::here(), || {
            free.load(Ordering::Acquire) >= needed
        });
        drop(guard);
        holders.into_iter().for_each(|task| task.join());
    }
}

#[test]
fn a_wait_for_more_units_than_the_others_have_is_a_deadlock() {
    let report = check(&[Code::RD04], units(6));
    let text = report.to_text();
    for says in ["units of condition space", "stuck promised 4 units of condition space"] {
        assert!(text.contains(says), "{text}");
    }
    // RD03 remains: were both stuck, four units would be too many.
    let report = World::builder().schedules(100).expect(&[Code::RD03]).run(units(4));
    assert!(!report.expect("the run works").has(Code::RD04));
}

/// The last of two users of a count to zero needs a lock of the task that waits for zero.
fn count(stuck: bool) -> impl Fn(&World) + Send + Sync + Clone + 'static {
    move |world| {
        let users = world.condition("users");
        let (held, left) = (lock(world, "held"), Arc::new(AtomicU32::new(2)));
        let tasks = [stuck, false].map(|stuck| {
            let (users, held, left) = (users.clone(), Arc::clone(&held), Arc::clone(&left));
            world.spawn("user", move || {
                users.promise_by(Actor::Task(World::current().sched().current()), 1, Site::here());
                World::current().sched().point();
                if stuck {
                    drop(held.lock());
                }
                left.fetch_sub(1, Ordering::AcqRel);
                users.signal();
            })
        });
        let guard = held.lock();
        users.wait_needing(
            || Needs::All,
            "no user",
            Site::here(),
            || left.load(Ordering::Acquire) == 0,
        );
        drop(guard);
        tasks.into_iter().for_each(|task| task.join());
    }
}

#[test]
fn a_count_to_zero_needs_every_user() {
    let report = World::builder()
        .schedules(200)
        .expect(&[Code::RD04])
        .run(count(true))
        .expect("the run works");
    assert!(report.has(Code::RD04), "{}", report.to_text());
    check(&[], count(false));
}

/// A cache that needs a lock to free pages.
struct Cache {
    lock: Arc<Mutex<()>>,
    pages: Arc<SpinLock<Vec<PageBlock>>>,
    waits: bool,
}

impl Shrinker for Cache {
    fn name(&self) -> &str {
        "cache"
    }

    fn count(&self) -> u64 {
        self.pages.lock().len() as u64
    }

    fn scan(&self, _: Gfp, nr: u64) -> Result<u64, Stop> {
        let guard = if self.waits { Some(self.lock.lock()) } else { self.lock.try_lock() };
        let free = (0..nr).map_while(|_| self.pages.lock().pop()).count();
        drop(guard);
        Ok(free as u64)
    }
}

/// A task that holds a lock waits for kswapd, because the reserves are low; the scan of kswapd
/// takes the lock, or only tries.
fn reserves() -> Builder {
    let mut stack = StackSpec { pages: 256, ..StackSpec::default() };
    stack.memory = MemorySpec { kswapd: true, ..MemorySpec::default() };
    World::builder().name("reserves").stack(stack).schedules(100)
}

fn reserves_body(waits: bool) -> impl Fn(&World) + Send + Sync + Clone + 'static {
    move |world| {
        let (lock, pages) = (lock(world, "table"), Arc::default());
        let cache = Cache { lock: Arc::clone(&lock), pages: Arc::clone(&pages), waits };
        let registered = world.mm().register_shrinker(Arc::new(cache));
        let mm = world.mm().clone();
        let asker = world.spawn("asker", move || {
            let guard = lock.lock();
            {
                let _reclaimer = scope::noreclaim();
                while mm.free().0 > mm.watermarks().min.0 / 2 {
                    let page = mm.alloc(0, Gfp::KERNEL);
                    pages.lock().extend(page);
                }
            }
            let page = mm.alloc(0, Gfp::KERNEL);
            drop((page, guard));
        });
        asker.join();
        registered.unregister();
    }
}

#[test]
fn a_wait_for_the_reserves_leads_to_kswapd_and_on() {
    let report = reserves().expect(&[Code::RD04]).run(reserves_body(true)).expect("it runs");
    let found = report.findings.iter().find(|finding| finding.code == Code::RD04);
    let found = found.unwrap_or_else(|| panic!("{}", report.to_text()));
    assert!(found.tasks.iter().any(|task| task == "kswapd0"), "{}", report.to_text());
    assert!(!report.has(Code::RD05), "{}", report.to_text());
    let report = reserves().run(reserves_body(false)).expect("it runs");
    assert!(!report.has(Code::RD04) && !report.has(Code::RD05), "{}", report.to_text());
}

/// A task that promised takes a lock and signals; later the other comes to the wait under that
/// lock, and need not wait.
fn comes_late(world: &World) {
    let (lock, space, over) =
        (lock(world, "table"), world.condition("space"), world.condition("over"));
    let done = Arc::new(AtomicBool::new(false));
    let (theirs, signals, ends, is_done) =
        (Arc::clone(&lock), space.clone(), over.clone(), Arc::clone(&done));
    let other = world.spawn("other", move || {
        let _promise = signals.promise();
        drop(theirs.lock());
        is_done.store(true, Ordering::Release);
        signals.signal();
        ends.signal();
    });
    over.wait_until("the other", || done.load(Ordering::Acquire));
    let guard = lock.lock();
    space.wait_until("space", || done.load(Ordering::Acquire));
    drop(guard);
    other.join();
}

#[test]
fn a_run_that_asks_for_it_predicts_from_waits_that_were_over_before_they_began() {
    let run = |on| {
        let builder = World::builder().name("late").schedules(50).passed_waits(on);
        builder.expect(if on { &[Code::RD03] } else { &[] }).run(comes_late).expect("it runs")
    };
    assert!(run(true).has(Code::RD03), "space is waited for under the lock");
    assert!(run(false).is_quiet(), "{}", run(false).to_text());
}
