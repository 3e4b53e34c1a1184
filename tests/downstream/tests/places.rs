//! A site is a line of the code under test, also where the standard library calls a method that was
//! passed as a function, and where memory is allocated on the heap.

use std::sync::Arc;

use reclaimdep::kernel::inject::{AddedScope, AllocSource, ScopeChoice};
use reclaimdep::kernel::sched::Mutex;
use reclaimdep::scope::{self, Gfp, ScopeKind, Shrinker, Stop};
use reclaimdep::{Builder, Code, JoinHandle, PlanSpec, Pressure, Report, Tier, World};

#[global_allocator]
static HEAP: reclaimdep::Heap = reclaimdep::Heap::system();

/// A line of this file, as reports write it.
fn at(line: u32) -> String {
    format!("tests/downstream/tests/places.rs:{line}")
}

/// The report has these sites, and no line of the standard library.
#[track_caller]
fn check(report: &Report, code: Code, sites: &[String]) {
    let text = report.to_text();
    assert!(report.has(code), "{text}");
    for site in sites {
        assert!(text.contains(site.as_str()), "{site} in {text}");
    }
    for shown in [text, report.to_annotations("otherwise.rs:1"), report.to_json()] {
        for part in ["core/src/", "std/src/", "alloc/src/", "<heap>", "/rustc/"] {
            assert!(!shown.contains(part), "{part} in {shown}");
        }
    }
}

type Lock = Arc<Mutex<u32>>;

/// Runs `first` and then `second`, each on a task of its own, with the locks `a` and `b`.
fn in_turn(tier: Tier, first: fn(&Lock, &Lock), second: fn(&Lock, &Lock)) -> Report {
    let run = move |world: &World| {
        let [a, b] = ["a", "b"].map(|name| Arc::new(Mutex::new(world.sched(), name, "", 0)));
        for (name, body) in [("first", first), ("second", second)] {
            let (a, b) = (Arc::clone(&a), Arc::clone(&b));
            world.spawn(name, move || body(&a, &b)).join();
        }
    };
    World::builder().tier(tier).schedules(3).run(run).unwrap()
}

#[test]
fn a_lock_method_passed_as_a_function_has_the_line_that_passes_it() {
    for tier in [Tier::Model, Tier::Native] {
        const HERE: u32 = line!();
        let report = in_turn(
            tier,
            |a, b| {
                let held = [&**a].first().copied().map(Mutex::lock);
                let more: Vec<_> = [&**b].into_iter().map(Mutex::lock).collect();
                drop((held, more));
            },
            |a, b| {
                let held = None::<&Mutex<u32>>.map_or_else(|| b.lock(), Mutex::lock);
                [&**a].into_iter().map(Mutex::lock).for_each(drop);
                drop(held);
            },
        );
        check(&report, Code::RD03, &[at(HERE + 4), at(HERE + 5), at(HERE + 9), at(HERE + 10)]);
    }
}

#[test]
fn the_same_order_through_methods_passed_as_functions_is_quiet() {
    fn both(a: &Lock, b: &Lock) {
        drop([&**a, &**b].map(Mutex::lock));
    }
    for tier in [Tier::Model, Tier::Native] {
        let report = in_turn(tier, both, both);
        assert!(report.is_quiet(), "{report}");
    }
}

#[test]
fn locks_and_scopes_of_production_code_have_the_line_that_passes_their_function() {
    const HERE: u32 = line!();
    let report = World::builder().tier(Tier::Model).schedules(2).run(|_| {
        let [a, b] = [("a", 0), ("b", 0)].map(|(class, value)| scope::Mutex::new(class, value));
        drop([&a, &b].map(scope::Mutex::lock));
        drop([&b, &a].map(scope::Mutex::lock));
    });
    check(&report.unwrap(), Code::RD03, &[at(HERE + 3), at(HERE + 4)]);
}

/// Takes a lock when it is dropped, as a cache does that writes back what it holds.
struct Flushing<'a>(&'a Lock);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        *self.0.lock() += 1;
    }
}

#[test]
fn a_lock_taken_in_a_drop_has_the_line_of_the_drop() {
    const HERE: u32 = line!() - 6;
    for tier in [Tier::Model, Tier::Native] {
        let report = in_turn(
            tier,
            |a, b| {
                let held = a.lock();
                [b].map(Flushing).into_iter().for_each(drop);
                drop(held);
            },
            |a, b| {
                let held = b.lock();
                drop(vec![Flushing(a)]);
                drop(held);
            },
        );
        check(&report, Code::RD03, &[at(HERE)]);
    }
}

#[test]
fn a_scope_entered_by_a_function_passed_as_one_has_the_line_that_passes_it() {
    const HERE: u32 = line!();
    let report = World::builder().schedules(1).run(|_| {
        let open: Vec<_> = [ScopeKind::Nofs].into_iter().map(ScopeKind::enter).collect();
        open.into_iter().for_each(std::mem::forget);
    });
    let report = report.unwrap();
    check(&report, Code::RD06, &[at(HERE + 2)]);
}

#[test]
fn a_stall_has_the_line_that_passes_the_waiting_method() {
    for tier in [Tier::Model, Tier::Native] {
        const HERE: u32 = line!();
        let report = World::builder().tier(tier).schedules(2).run(|world| {
            let (never, task) = (world.condition("never"), "waiter");
            let waiter = world.spawn(task, move || [&never].map(|never| never.wait("nobody")));
            let _: [[(); 1]; 1] = [waiter].map(JoinHandle::join);
        });
        check(&report.unwrap(), Code::RD05, &[at(HERE + 3), at(HERE + 4)]);
    }
}

/// A shrinker that takes the lock `cache`, where the mask allows it.
struct Cache(Lock);

impl Shrinker for Cache {
    fn name(&self) -> &str {
        "cache"
    }

    fn count(&self) -> u64 {
        64
    }

    fn scan(&self, mask: Gfp, _: u64) -> Result<u64, Stop> {
        if !mask.contains(Gfp::FS) {
            return Err(Stop);
        }
        *self.0.lock() += 1;
        Ok(1)
    }
}

/// The line of the allocation in [`pushes`].
const PUSHES: u32 = line!() + 5;

fn pushes(world: &World) {
    let cache = Arc::new(Mutex::new(world.sched(), "cache", "", 0));
    let _shrinker = world.mm().register_shrinker(Arc::new(Cache(Arc::clone(&cache))));
    let (held, mut list) = (cache.lock(), Vec::with_capacity(1));
    list.extend([*held]);
    drop(held);
}

fn pushed() -> String {
    at(PUSHES)
}

fn pressed(tier: Tier) -> Builder {
    let rule = Pressure::every_allocation().of(AllocSource::Heap);
    World::builder().tier(tier).schedules(5).pressure(rule)
}

#[test]
fn a_scope_around_an_allocation_on_the_heap_is_found_as_a_cut() {
    let report = pressed(Tier::Model).try_cuts(true).run(pushes).unwrap();
    check(&report, Code::RD04, &[pushed()]);
    let cut = format!("scope nofs around the allocation of main at {}", pushed());
    assert!(report.cuts.iter().any(|line| line.ends_with(&cut)), "{report}");
}

#[test]
fn a_rule_for_a_file_applies_to_its_allocations_on_the_heap() {
    #[track_caller]
    fn check(file: &str, hits: bool) {
        let rule = Pressure::every_allocation().of(AllocSource::Heap).file(file).optional();
        let report = World::builder().schedules(5).pressure(rule).run(pushes).unwrap();
        assert_eq!(report.has(Code::RD04), hits, "{file}: {report}");
    }
    check("tests/places.rs", true);
    check("tests/heap.rs", false);
}

#[test]
fn a_planned_scope_around_an_allocation_on_the_heap_is_entered() {
    for tier in [Tier::Model, Tier::Native] {
        let scope = AddedScope::new(ScopeChoice::Nofs, pushed());
        let rule = Pressure::every_allocation().of(AllocSource::Heap);
        let plan = PlanSpec::default().pressure(rule).scope(scope);
        let report = World::builder().tier(tier).schedules(5).plan(plan).run(pushes).unwrap();
        assert!(report.is_quiet(), "{report}");
    }
}

#[test]
fn an_order_learnt_from_an_allocation_that_did_not_reclaim_has_its_line() {
    const HERE: u32 = line!();
    let report = World::builder().tier(Tier::Model).schedules(3).run(|world| {
        let cache = Arc::new(Mutex::new(world.sched(), "cache", "", 0));
        let held = cache.lock();
        drop(vec![*held]);
        drop(held);
        world.prime(|claim| claim.reclaim(Gfp::KERNEL, || drop(cache.lock())));
    });
    let report = report.unwrap();
    check(&report, Code::RD03, &[at(HERE + 4)]);
}

#[test]
fn a_trace_replays_with_the_same_places() {
    let first = pressed(Tier::Model).run(pushes).unwrap();
    let again = pressed(Tier::Model).run(pushes).unwrap();
    assert_eq!(first.to_json(), again.to_json());
}

#[test]
fn a_replayed_trace_shows_the_same_places() {
    let first = pressed(Tier::Model).run(pushes).unwrap();
    let trace = first.trace.clone().expect("the model tier has a trace");
    let again = pressed(Tier::Model).replay(trace).run(pushes).unwrap();
    check(&again, Code::RD04, &[pushed()]);
    assert_eq!(first.to_annotations("otherwise.rs:1"), again.to_annotations("otherwise.rs:1"));
}
