//! With the harness's heap as the global allocator, a `Vec::push` whose reclaim re-enters the cache
//! is found.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "everyday code uses hash maps and plain threads"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use downstream::Notebook;
use reclaimdep::kernel::inject::AllocSource;
use reclaimdep::kernel::mm::Registration;
use reclaimdep::kernel::report::StepKind;
use reclaimdep::kernel::sched::{Completion, Mutex};
use reclaimdep::scope::{Gfp, Shrinker, Stop};
use reclaimdep::{BufioSpec, Code, FsSpec, LoopSpec, Pressure, Report, StackSpec, Tier, World};

#[global_allocator]
static HEAP: reclaimdep::Heap = reclaimdep::Heap::system();

/// A shrinker that always counts 64 objects and frees them by calling the closure.
struct Scans<F>(F);

impl<F: Fn(Gfp, u64) -> Option<u64> + Send + Sync> Shrinker for Scans<F> {
    fn name(&self) -> &str {
        "test"
    }

    fn count(&self) -> u64 {
        64
    }

    fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        (self.0)(mask, nr_to_scan).ok_or(Stop)
    }
}

fn shrinks(
    world: &World,
    scan: impl Fn(Gfp, u64) -> Option<u64> + Send + Sync + 'static,
) -> Registration {
    world.mm().register_shrinker(Arc::new(Scans(scan)))
}

fn add_a_few(world: &World, ignores_mask: bool) {
    let book = Arc::new(Notebook::new(0));
    let theirs = Arc::clone(&book);
    let _registered = shrinks(world, move |mask, count| {
        if ignores_mask { Some(theirs.write_back(count)) } else { theirs.shrink(mask, count) }
    });
    for note in ["a", "b", "c", "d", "e", "f"] {
        book.add(note.to_owned());
    }
}

#[reclaimdep::test(tier(model, native, loop), pressure = every_allocation)]
fn a_push_never_writes_back_its_own_cache(world: &World) {
    add_a_few(world, false);
}

#[reclaimdep::test(tier(model, native, loop), pressure = every_allocation, expect = RD01)]
fn a_shrinker_that_ignores_the_mask_is_found_below_a_push(world: &World) {
    add_a_few(world, true);
}

/// Runs `body` where every heap allocation finds memory short.
fn pressed(tier: Tier, body: impl Fn(&World) + Send + Sync + 'static) -> Report {
    let rule = Pressure::every_allocation().of(AllocSource::Heap);
    World::builder().tier(tier).schedules(20).pressure(rule).run(body).unwrap()
}

#[track_caller]
fn quiet(tier: Tier, body: impl Fn(&World) + Send + Sync + 'static) {
    let report = pressed(tier, body);
    assert!(report.is_quiet(), "{report}");
}

#[test]
fn the_report_names_the_line_that_pushed() {
    let report = pressed(Tier::Model, |world| add_a_few(world, true));
    let finding = report.findings.first().unwrap();
    let alloc = finding.chain.iter().find(|step| step.kind == StepKind::Alloc).unwrap();
    assert!(alloc.text.ends_with("add"), "{}", alloc.text);
    assert_eq!(alloc.site.as_deref(), Some("tests/downstream/src/notebook.rs:26"), "{report}");
}

/// The number of heap allocations that the world observes while `f` runs.
fn heard<R>(world: &World, f: impl FnOnce() -> R) -> u32 {
    let before = world.heap_allocations();
    black_box(f());
    world.heap_allocations() - before
}

/// A filesystem, a loop device on a file of it, and a cache of that device.
fn whole_stack() -> StackSpec {
    let (fs, file, device) = ("lower".to_owned(), "disk.img".to_owned(), "loop0".to_owned());
    StackSpec::default()
        .fs(FsSpec::in_memory(fs.clone(), 96))
        .loop_device(LoopSpec::new(device.clone(), fs, file, 64))
        .bufio(BufioSpec::new("meta", device).dirty([0]))
}

/// The harness's own allocations do not belong to the world, on any task.
fn harness_work_is_not_observed(world: &World) {
    let (fs, client, sched) = (world.fs("lower"), world.bufio("meta"), world.sched());
    #[rustfmt::skip]
    let work: &[(&str, &dyn Fn())] = &[
        ("files", &|| {
            let ino = fs.create("a").unwrap();
            fs.write(ino, 0, &[7; 10_000]).unwrap();
            fs.fsync(ino).unwrap();
            drop(fs.open("a").unwrap());
            fs.begin(4).unwrap().commit();
            drop(fs.readdir().unwrap());
            fs.unlink("a").unwrap();
        }),
        ("buffers", &|| {
            drop(client.get(0));
            for block in 0..20 {
                client.new_block(block).unwrap().mark_dirty();
            }
            client.read(30).unwrap().with_data(|data| assert_eq!(data[0], 0));
            client.write_dirty_buffers().unwrap();
        }),
        ("pages", &|| drop(world.mm().alloc(0, Gfp::KERNEL).map(|block| world.mm().alloc(3, Gfp::NOFS).zip(Some(block))))),
        ("locks", &|| {
            let lock = Mutex::new(sched, "test", "", 0);
            *lock.lock() += 1;
        }),
        ("a production lock", &|| *reclaimdep::scope::Mutex::new("note", 0).lock() += 1),
        ("scopes and layers", &|| {
            let _guards: [_; 2] = [reclaimdep::scope::nofs(), reclaimdep::scope::noio()];
            drop(reclaimdep::scope::enter(reclaimdep::scope::Layer::FS, 7));
        }),
        ("tasks", &|| world.spawn("other", || ()).join()),
        ("forks", &|| world.fork("child", || ()).join()),
        ("waiting", &|| {
            let done = Completion::new(sched, reclaimdep::kernel::event::Resource::Timer);
            done.complete();
            done.wait("test");
            sched.point();
        }),
        ("a shrinker of the ports", &|| world.mm().probe_shrinkers()),
    ];
    for (what, own) in work {
        assert_eq!(heard(world, own), 0, "{what}");
    }
}

#[test]
fn allocations_of_the_harness_are_not_observed() {
    for tier in [Tier::Model, Tier::Native] {
        let world = World::builder().tier(tier).schedules(3).stack(whole_stack());
        let report = world.run(harness_work_is_not_observed).unwrap();
        assert!(report.is_quiet(), "{report}");
    }
}

#[test]
fn allocations_of_user_code_are_observed() {
    quiet(Tier::Model, |world| {
        let _shrinker = shrinks(world, |_, _| Some(1));
        assert_eq!(heard(world, || vec![1_u8]), 1, "the closure");
        assert_eq!(heard(world, || Vec::<u64>::with_capacity(4).extend([0; 6])), 2, "growth");
        assert_eq!(heard(world, || drop(vec![0_u8; 1 << 20])), 1, "zeroed");
        assert_eq!(heard(world, || world.spawn("other", || drop(vec![1_u8])).join()), 1, "a task");
        let mut big = Vec::<u8>::with_capacity(100);
        big.push(1);
        assert_eq!(heard(world, || big.shrink_to_fit()), 0, "getting smaller");
    });
}

#[test]
fn a_shrinkers_own_allocation_does_not_reclaim_again() {
    for tier in [Tier::Model, Tier::Native] {
        quiet(tier, |world| {
            let depth = AtomicU32::new(0);
            let _shrinker = shrinks(world, move |_, _| {
                assert_eq!(depth.fetch_add(1, Ordering::Relaxed), 0, "it is called below itself");
                drop(vec![1_u8; 100]);
                depth.fetch_sub(1, Ordering::Relaxed);
                Some(1)
            });
            assert!(heard(world, || vec![1_u8]) >= 2, "the push and the scan");
        });
    }
}

#[test]
fn a_shrinker_that_panics_does_not_unwind_through_a_push() {
    for tier in [Tier::Model, Tier::Native] {
        let report = pressed(tier, |world| {
            let _shrinker = shrinks(world, |_, _| panic!("this shrinker is broken"));
            let mut list = Vec::new();
            (0..100).for_each(|n| list.push(n));
            assert_eq!(list.len(), 100);
        });
        let text = report.to_text();
        assert!(!report.is_quiet() && text.contains("this shrinker is broken"), "{text}");
    }
}

/// A shrinker whose count allocates what it counts.
struct Collects;

impl Shrinker for Collects {
    fn name(&self) -> &str {
        "collects"
    }

    fn count(&self) -> u64 {
        (0..8_u64).collect::<Vec<_>>().len() as u64
    }

    fn scan(&self, _: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        Ok(nr_to_scan)
    }
}

#[test]
fn a_count_that_allocates_on_the_heap_is_found() {
    let report = pressed(Tier::Model, |world| {
        let _shrinker = world.mm().register_shrinker(Arc::new(Collects));
        drop(vec![1_u8]);
    });
    assert_eq!(report.codes(), [Code::RD07], "{report}");
    assert!(report.to_text().contains("on the heap"), "{report}");
}

/// A push reclaims and deadlocks, and the world may break no wait of the cycle: the world ends, the
/// push returns, and the task unwinds at its next lock.
#[test]
fn a_world_that_ends_during_a_push_ends_cleanly() {
    let after = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&after);
    for tier in [Tier::Model, Tier::Native] {
        let after = Arc::clone(&after);
        let report = pressed(tier, move |world| {
            let lock = Arc::new(Mutex::new(world.sched(), "inode", "", ()));
            let theirs = Arc::clone(&lock);
            let _shrinker = shrinks(world, move |_, _| {
                drop(theirs.lock());
                Some(1)
            });
            let held = lock.lock();
            drop(vec![1_u8]);
            after.fetch_add(1, Ordering::Relaxed);
            drop(held);
            drop(lock.lock());
            after.fetch_add(100, Ordering::Relaxed);
        });
        assert!(report.has(Code::RD04) && report.notes.is_empty(), "{report}");
        let chain =
            &report.findings.iter().find(|finding| finding.code == Code::RD04).unwrap().chain;
        let alloc = chain.iter().find(|step| step.kind == StepKind::Alloc).unwrap();
        assert!(
            alloc.site.as_deref().unwrap().starts_with("tests/downstream/tests/heap.rs:"),
            "{report}"
        );
    }
    let runs = seen.load(Ordering::Relaxed);
    assert!((2..100).contains(&runs), "the push returned and the next lock did not: {runs}");
}

#[test]
fn a_thread_outside_the_world_is_left_alone() {
    quiet(Tier::Native, |world| {
        let heard = heard(world, || {
            std::thread::scope(|scope| {
                scope.spawn(|| drop(black_box(vec![0_u8; 100])));
            });
        });
        let starting = heard;
        let more = self::heard(world, || {
            std::thread::scope(|scope| {
                scope.spawn(|| (0..1000).for_each(|_| drop(black_box(vec![0_u8; 100]))));
            });
        });
        assert_eq!(more, starting, "only the allocations that start the thread are observed");
    });
}

/// Everyday code with hidden allocations, each of which reclaims.
fn everyday_code(world: &World) {
    let lock = Arc::new(reclaimdep::scope::Mutex::new("cache", 0_u64));
    let theirs = Arc::clone(&lock);
    let _shrinker = shrinks(world, move |_, count| {
        *theirs.lock() += count;
        Some(format!("{count}").len() as u64)
    });
    let text: Vec<String> = (0..10).map(|n| format!("{n:>8} {:?}", [n; 3])).collect();
    let map: HashMap<&str, usize> = text.iter().map(|text| (text.as_str(), text.len())).collect();
    let sorted: BTreeMap<_, _> = map.iter().collect();
    let queue: VecDeque<_> = sorted.keys().rev().copied().collect();
    let joined: String = queue.iter().flat_map(|text| text.chars()).collect();
    assert_eq!(joined.len(), map.values().sum::<usize>());
    let tasks: Vec<_> = (0..3)
        .map(|n| world.spawn(&format!("task {n}"), move || vec![n; 10].into_iter().sum::<i32>()))
        .collect();
    assert_eq!(tasks.into_iter().map(|task| task.join()).sum::<i32>(), 30);
    let thread = std::thread::spawn(|| "a thread".to_owned());
    assert_eq!(thread.join().unwrap(), "a thread");
}

#[test]
fn everyday_code_survives_reclaim_at_every_allocation() {
    for tier in [Tier::Model, Tier::Native] {
        quiet(tier, everyday_code);
    }
}
