//! Work queues in whole worlds: workers that are made on demand, queues that are flushed, items
//! that run where they are claimed.

use std::sync::Arc;

use reclaimdep::kernel::sched::{Mutex, Work, WorkQueue, WorkQueueOptions};
use reclaimdep::scope::{self, Gfp, Shrinker, Stop};
use reclaimdep::{Builder, Code, Pressure, Tier, World};
use reclaimdep_tests::check_codes;

/// Writes to a cache through a journal: reclaim queues the journal's write and waits for it.
struct Btree {
    queue: WorkQueue,
    write: Work,
}

impl Shrinker for Btree {
    fn name(&self) -> &str {
        "bcache"
    }

    fn count(&self) -> u64 {
        200
    }

    fn scan(&self, mask: Gfp, _nr_to_scan: u64) -> Result<u64, Stop> {
        if !mask.contains(Gfp::IO) {
            return Err(Stop);
        }
        self.queue.queue(&self.write);
        self.queue.flush(&self.write);
        Ok(0)
    }
}

/// The journal's write is queued on a queue whose workers are made on demand; `kworker/x/manager`
/// reclaims while it makes one.
fn journal_write(world: &World, mem_reclaim: bool) {
    let mm = world.mm().clone();
    let options = WorkQueueOptions::default()
        .mem_reclaim(mem_reclaim)
        .new_worker(move || drop(mm.alloc(0, Gfp::KERNEL)));
    let queue = WorkQueue::with(world.sched(), "x", options);
    let write = Work::new("journal write", || {});
    let btree = Arc::new(Btree { queue: queue.clone(), write: write.clone() });
    let registered = world.mm().register_shrinker(btree);
    queue.queue(&write);
    queue.flush(&write);
    registered.unregister();
    queue.destroy();
}

fn pressed(task: &str) -> Builder {
    World::builder().schedules(100).pressure(Pressure::every_allocation().task(task))
}

#[test]
fn a_queue_without_rescuer_waits_for_the_manager_that_reclaims() {
    let codes = &[Code::RD03, Code::RD04, Code::RD08];
    for tier in [Tier::Model, Tier::Native] {
        let run = |task| pressed(task).tier(tier);
        let report =
            run("kworker/x/manager").expect(codes).run(|world| journal_write(world, false));
        let report = report.expect("it runs");
        assert!(report.has(Code::RD04) && report.has(Code::RD08), "{tier:?}: {report}");
        assert!(report.to_string().contains("kworker/x/manager"), "{report}");
        check_codes(&[], run("kworker/x/manager"), |world| journal_write(world, true));
    }
}

/// An item flushes the queue that it runs on, or another.
fn flush_from_an_item(world: &World, own: bool) {
    let queues = ["inodegc", "other"].map(|name| WorkQueue::new(world.sched(), name));
    let flushed = queues[usize::from(!own)].clone();
    let work = Work::new("gc", move || flushed.flush_queue());
    queues[0].queue(&work);
    queues[0].flush(&work);
    queues.iter().for_each(WorkQueue::destroy);
}

#[test]
fn an_item_that_flushes_its_own_queue_waits_for_itself() {
    for tier in [Tier::Model, Tier::Native] {
        let builder = || World::builder().tier(tier).schedules(20);
        let own = builder().expect(&[Code::RD04]).run(|world| flush_from_an_item(world, true));
        assert!(own.expect("it runs").has(Code::RD04), "{tier:?}");
        check_codes(&[], builder(), |world| flush_from_an_item(world, false));
    }
}

/// The item needs a lock that the flusher holds; it is claimed before the lock is taken, or under
/// it.
fn claim(world: &World, under_the_lock: bool) {
    let queue = WorkQueue::new(world.sched(), "events");
    let lock = Arc::new(Mutex::new(world.sched(), "table", "", ()));
    let theirs = lock.clone();
    let work = Work::new("item", move || drop(theirs.lock()));
    queue.queue(&work);
    let held = under_the_lock.then(|| lock.lock());
    queue.run_here(&work);
    drop(held);
    queue.destroy();
}

#[test]
fn an_item_that_is_claimed_needs_what_its_claimer_holds() {
    let builder = || World::builder().schedules(50);
    let under = builder().expect(&[Code::RD04]).run(|world| claim(world, true));
    assert!(under.expect("it runs").has(Code::RD04));
    check_codes(&[], builder(), |world| claim(world, false));
}

/// A worker allocates for a task that waits for it in a NOFS scope.
fn lend_scopes(world: &World, lend: bool) {
    struct Evicts(Arc<Mutex<()>>);
    impl Shrinker for Evicts {
        fn name(&self) -> &str {
            "inodes"
        }
        fn count(&self) -> u64 {
            200
        }
        fn scan(&self, mask: Gfp, _nr_to_scan: u64) -> Result<u64, Stop> {
            if !mask.contains(Gfp::FS) {
                return Err(Stop);
            }
            drop(self.0.lock());
            Ok(0)
        }
    }
    let queue = WorkQueue::new(world.sched(), "x");
    let lock = Arc::new(Mutex::new(world.sched(), "trans", "", ()));
    let registered = world.mm().register_shrinker(Arc::new(Evicts(lock.clone())));
    let mm = world.mm().clone();
    let work = Work::new("grow", move || drop(mm.alloc(0, Gfp::KERNEL)));
    let held = lock.lock();
    let nofs = scope::nofs();
    if lend {
        queue.queue_in_scopes(&work)
    } else {
        queue.queue(&work)
    };
    queue.flush(&work);
    drop((nofs, held));
    registered.unregister();
    queue.destroy();
}

#[test]
fn an_item_without_the_scopes_of_the_task_that_waits_for_it_deadlocks() {
    for tier in [Tier::Model, Tier::Native] {
        let run = || pressed("kworker/x").tier(tier);
        let codes = &[Code::RD03, Code::RD04];
        let lost = run().expect(codes).run(|world| lend_scopes(world, false)).expect("it runs");
        assert!(lost.has(Code::RD04), "{lost}");
        check_codes(&[], run(), |world| lend_scopes(world, true));
    }
}
