//! Ways in which a scope is lost or leaks, each with its healthy twin.
//!
//! Written from docs/kernel/scopes.md, "Ways to lose a scope". The scope crate tests what one task
//! can know of its own scopes. The tests here need a world: other tasks, work items, tasks that
//! end.

use std::sync::Arc;

use reclaimdep::kernel::event::Resource;
use reclaimdep::kernel::sched::{Completion, Work, WorkQueue};
use reclaimdep::scope::legacy::{self, Style};
use reclaimdep::scope::{
    self, FutureExt, Gfp, Journal, Layer, Misuse, Mutex, NofsMutex, ScopeKind, Shrinker, Snapshot,
    Stop, TaskFlags, context,
};
use reclaimdep::{Builder, Code, Pressure, Report, World};
use reclaimdep_tests::check_codes;

const RAFT: Layer = Layer::new("raft");

/// A cache whose objects are freed by entering `layer`.
struct Cache {
    layer: Layer,
    looks_at_the_mask: bool,
}

impl Shrinker for Cache {
    fn name(&self) -> &str {
        "cache"
    }

    fn count(&self) -> u64 {
        1
    }

    fn scan(&self, mask: Gfp, _: u64) -> Result<u64, Stop> {
        if self.looks_at_the_mask && !mask.has_io_fs() {
            return Err(Stop);
        }
        let _layer = scope::enter(self.layer, 0);
        Ok(1)
    }
}

/// A well-behaved filesystem's cache.
fn fs_cache() -> scope::Registration {
    scope::register_shrinker(Arc::new(Cache { layer: Layer::FS, looks_at_the_mask: true }))
}

/// Worlds in which memory is short for every allocation, if there is any, so that each one
/// reclaims.
fn short() -> Builder {
    World::builder().pressure(Pressure::every_allocation().optional()).schedules(60)
}

#[track_caller]
fn quiet(body: impl Fn(&World) + Send + Sync + 'static) {
    check_codes(&[], short(), body);
}

#[track_caller]
fn found(code: Code, body: impl Fn(&World) + Send + Sync + 'static) -> Report {
    check_codes(&[code], short(), body)
}

/// Checks that RD06 is found for exactly these misuses.
#[track_caller]
fn misused(expect: &[Misuse], body: impl Fn(&World) + Send + Sync + 'static) {
    let report = found(Code::RD06, body);
    let said: Vec<&str> = report.findings.iter().map(|finding| finding.headline.as_str()).collect();
    let as_expected = said.len() == expect.len()
        && said.iter().zip(expect).all(|(line, what)| line.ends_with(what.name()));
    assert!(as_expected, "expected {expect:?}, and found {said:?}\n{report}");
}

fn alloc() {
    assert!(World::current().mm().alloc(0, Gfp::KERNEL).is_some());
}

/// Runs `body` with a work queue that is destroyed afterwards.
fn with_queue(world: &World, body: impl FnOnce(&WorkQueue)) {
    let queue = WorkQueue::mem_reclaim(world.sched(), "log");
    body(&queue);
    queue.destroy();
}

#[test]
fn way_1_a_work_item_does_not_run_in_the_scope_of_the_task_that_waits_for_it() {
    fn push(world: &World, snapshot: impl Fn() -> Snapshot) {
        let _cache = fs_cache();
        with_queue(world, |queue| {
            let quota = NofsMutex::new("quota", ());
            let _held = quota.lock();
            let scopes = snapshot();
            let push = Work::new("push", move || {
                let _scopes = scopes.enter();
                alloc();
            });
            queue.queue(&push);
            queue.flush(&push);
        });
    }
    found(Code::RD02, |world| push(world, Snapshot::default));
    quiet(|world| push(world, Snapshot::take));
}

#[test]
fn way_2_a_helper_task_allocates_without_the_scope_of_its_requester() {
    fn refill(world: &World, wrap: fn()) {
        let _cache = fs_cache();
        let _nofs = scope::nofs();
        world.spawn("refill", wrap).join();
    }
    found(Code::RD02, |world| refill(world, alloc));
    quiet(|world| {
        refill(world, || {
            let _own = scope::nofs();
            alloc();
        });
    });
}

#[test]
fn way_3_a_rescuer_runs_items_of_several_requesters_one_after_another() {
    fn rescue(world: &World, forget: bool) {
        let _cache = fs_cache();
        let queue = WorkQueue::new(world.sched(), "rescuer");
        let requesters = [ScopeKind::Noio, ScopeKind::Nofs].map(|kind| {
            let queue = queue.clone();
            world.spawn(kind.name(), move || {
                let _scope = kind.enter();
                let (scopes, expect) = (Snapshot::take(), scope::effective(Gfp::KERNEL));
                let item = Work::new("item", move || {
                    let scopes = scopes.enter();
                    alloc();
                    if forget {
                        std::mem::forget(scopes);
                    } else {
                        assert_eq!(scope::effective(Gfp::KERNEL), expect);
                    }
                });
                queue.queue(&item);
                queue.flush(&item);
            })
        });
        requesters.into_iter().for_each(|requester| requester.join());
        queue.destroy();
    }
    quiet(|world| rescue(world, false));
    misused(&[Misuse::LeakedPastWork; 2], |world| rescue(world, true));
}

#[test]
fn way_4_an_error_path_leaves_the_scope_open() {
    fn operation(fails: bool) {
        let scope = scope::nofs();
        if fails {
            std::mem::forget(scope);
        }
    }
    quiet(|world| world.spawn("cp", || operation(false)).join());
    misused(&[Misuse::LeakedAtExit], |world| world.spawn("cp", || operation(true)).join());
    // A retry loop that saves again leaks once for each round.
    misused(&[Misuse::LeakedAtExit; 2], |world| {
        world.spawn("cp", || (0..2).for_each(|_| operation(true))).join();
    });
    quiet(|world| world.spawn("journal", || scope::enter_permanent(ScopeKind::Nofs)).join());
}

#[test]
fn way_5_a_token_is_restored_on_another_task() {
    misused(&[Misuse::OtherTask, Misuse::LeakedAtExit], |world| {
        let token = legacy::save(ScopeKind::Nofs, Style::NewlySet);
        world.spawn("completion", move || legacy::restore(token)).join();
    });
    let journal = || Arc::new(Journal::new());
    quiet(move |world| {
        let journal = journal();
        let intent = journal.start().handoff();
        world.spawn("completion", move || drop(intent.enter())).join();
    });
    misused(&[Misuse::NeverReentered], move |world| {
        let intent = journal().start().handoff();
        world.spawn("completion", move || drop(intent)).join();
    });
}

#[test]
fn way_6_a_child_of_fork_inherits_scopes_that_no_task_ends() {
    fn fork(world: &World, child: fn()) {
        let _nofs = scope::nofs();
        world.fork("child", child).join();
    }
    misused(&[Misuse::Inherited], |world| {
        fork(world, || assert_eq!(scope::effective(Gfp::KERNEL), Gfp::NOFS));
    });
    quiet(|world| fork(world, || assert_eq!(context::disown(), TaskFlags::MEMALLOC_NOFS)));
    quiet(|world| fork(world, || scope::enter_permanent(ScopeKind::Nofs)));
    // A kernel thread inherits nothing.
    quiet(|world| {
        let _nofs = scope::nofs();
        world.spawn("kthread", || assert_eq!(context::flags(), TaskFlags::EMPTY)).join();
    });
}

#[test]
fn way_7_work_that_moves_to_a_worker_loses_its_scopes() {
    // A deep split that kswapd began continues in a worker, which becomes kswapd meanwhile.
    fn split(world: &World, scopes: impl Fn() -> Snapshot) {
        let _cache = fs_cache();
        with_queue(world, |queue| {
            let (_transaction, _kswapd) = (scope::nofs(), scope::become_kswapd());
            let scopes = scopes();
            let split = Work::new("split", move || {
                let _scopes = scopes.enter();
                {
                    let _kswapd = scope::become_kswapd();
                    assert!(context::flags().contains(TaskFlags::KSWAPD | TaskFlags::MEMALLOC));
                }
                alloc();
            });
            queue.queue(&split);
            queue.flush(&split);
        });
    }
    quiet(|world| split(world, Snapshot::take));
    found(Code::RD02, |world| split(world, Snapshot::default));
}

#[test]
fn ways_7_and_9_a_worker_signals_before_it_leaves_the_scopes() {
    fn request(world: &World, restore_first: bool) {
        let nofs = scope::nofs();
        let (scopes, sched) = (Snapshot::take(), world.sched().clone());
        // The requester waits for the signal, not for the end of the worker.
        let waits = world.sched().names(|names| names.add_condition("split done"));
        let done = Completion::new(world.sched(), Resource::Condition(waits));
        let signal = done.clone();
        let worker = world.spawn("worker", move || {
            let scopes = scopes.enter();
            if restore_first {
                drop(scopes);
                signal.complete();
            } else {
                signal.complete();
                sched.point();
                drop(scopes);
            }
        });
        done.wait("split");
        drop(nofs);
        worker.join();
    }
    quiet(|world| request(world, true));
    misused(&[Misuse::RestoredAfterSignal], |world| request(world, false));
}

#[test]
fn way_8_a_filesystem_does_not_see_the_value_of_another_filesystems_scope() {
    quiet(|_| {
        let own = |superblock, private| scope::ReclaimContext {
            superblock: scope::Superblock(superblock),
            depth: scope::Depth::Known(0),
            private,
        };
        let _xfs = scope::reclaim_context(own(1, 7));
        // A page fault lands in the other filesystem, which looks for its handle.
        assert_eq!(context::reclaim_context_of(scope::Superblock(2)), None);
        let _ext4 = scope::reclaim_context(own(2, 9));
        let seen =
            [1, 2].map(|fs| context::reclaim_context_of(scope::Superblock(fs)).map(|c| c.private));
        assert_eq!(seen, [Some(7), Some(9)]);
        alloc();
    });
}

#[test]
fn a_scope_can_forbid_the_users_own_layers() {
    fn edit(world: &World, layers: &'static [Layer], by_helper: bool) {
        let _cache =
            scope::register_shrinker(Arc::new(Cache { layer: RAFT, looks_at_the_mask: false }));
        let _forbid = scope::forbid(layers);
        if by_helper { world.spawn("helper", alloc).join() } else { alloc() }
    }
    const LAYERS: &[Layer] = &[RAFT];
    const OTHERS: &[Layer] = &[Layer::new("paxos")];
    found(Code::RD01, |world| edit(world, LAYERS, false));
    found(Code::RD02, |world| edit(world, LAYERS, true));
    quiet(|world| edit(world, OTHERS, false));
    quiet(|world| edit(world, OTHERS, true));
}

#[test]
fn a_guard_held_across_an_await_is_found() {
    async fn careless() {
        let _nofs = scope::nofs();
        let mut yielded = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut yielded, true) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
    fn poll(future: impl Future<Output = ()>) {
        let mut future = std::pin::pin!(future);
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        while future.as_mut().poll(&mut task).is_pending() {}
    }
    misused(&[Misuse::HeldAcrossAwait], |_| poll(careless().checked()));
    quiet(|_| poll(std::future::ready(()).in_scope(ScopeKind::Nofs)));
}

/// Two tasks add to a counter under a lock of production code, and switch while they hold it.
fn count(world: &World) -> u32 {
    let counter = Arc::new(NofsMutex::new("counter", 0));
    let tasks = ["a", "b"].map(|name| {
        let (counter, sched) = (Arc::clone(&counter), world.sched().clone());
        world.spawn(name, move || {
            let mut held = counter.lock();
            let before = *held;
            sched.point();
            *held = before + 1;
        })
    });
    tasks.into_iter().for_each(|task| task.join());
    *counter.lock()
}

#[test]
fn tasks_that_share_a_thread_wait_for_a_lock_of_production_code() {
    quiet(|world| assert_eq!(count(world), 2));
    let native =
        World::builder().tier(reclaimdep::Tier::Native).run(|world| assert_eq!(count(world), 2));
    assert!(native.unwrap().is_quiet());
}

#[test]
fn locks_of_production_code_taken_in_both_orders_deadlock() {
    found(Code::RD04, |world| {
        let locks = Arc::new([Mutex::new("inode", ()), Mutex::new("journal", ())]);
        let tasks = [[0, 1], [1, 0]].map(|[first, second]| {
            let locks = Arc::clone(&locks);
            world.spawn(if first == 0 { "create" } else { "commit" }, move || {
                let _first = locks[first].lock();
                let _second = locks[second].lock();
            })
        });
        tasks.into_iter().for_each(|task| task.join());
    });
}

#[test]
fn a_report_names_the_scope_and_what_to_do() {
    let report = found(Code::RD06, |world| {
        world.spawn("cp", || std::mem::forget(scope::nofs())).join();
    });
    let text = report.to_text();
    assert!(text.contains("scope nofs#1 of cp: open at task exit"), "{text}");
    assert!(text.contains("leave it on every path"), "{text}");
    assert!(text.contains("tests/it/scopes.rs"), "{text}");
}
