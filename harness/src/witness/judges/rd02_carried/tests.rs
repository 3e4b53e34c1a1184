//! RD02 on scripted events: the planted bug, its healthy twin, and the paths that must stay legal.

use crate::event::{
    Actor, EventKind, Gfp, Layer, LockMode, PoolId, ReclaimKind, Resource, ScopeKind, TaskId,
    TaskKind,
};
use crate::witness::StepKind;
use crate::witness::script::{Script, promise};

#[track_caller]
fn check(expect: &[&str], story: impl FnOnce(&mut Script)) -> Script {
    let mut s = Script::default();
    story(&mut s);
    // What a scan without FS should not wait for is another judge's.
    let codes: Vec<_> = s.codes().into_iter().filter(|code| *code != "RD07").collect();
    assert_eq!(codes, expect);
    s
}

#[test]
fn the_server_that_enters_the_layer_is_found_before_it_blocks() {
    let s = check(&["RD02"], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let rsync = s.reclaimer("rsync", fs, journal);
        let (queue, worker) = s.queue("loop0");
        let request = s.submit(rsync, queue);
        s.wait(rsync, Resource::Request(request), "buffer WRITING");
        s.serve(worker, queue, request);
        s.enter(worker, fs);
        s.leave(worker, fs);
        s.enter(worker, fs);
    });
    assert_eq!(s.last().chain.iter().filter(|step| step.forbidden.is_some()).count(), 1);
}

#[test]
fn a_commit_to_a_loop_device_inside_nofs_is_legal() {
    check(&[], |s| {
        let upper = s.names.add_layer(Layer::FS, "upper");
        let lower = s.names.add_layer(Layer::FS, "lower");
        let task = s.task("commit");
        s.enter(task, upper);
        s.scope(task, ScopeKind::Nofs, 1);
        let (queue, worker) = s.queue("loop0");
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "log write");
        s.serve(worker, queue, request);
        s.enter(worker, lower);
    });
}

#[test]
fn a_reclaimer_that_does_not_wait_is_legal() {
    check(&[], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let rsync = s.reclaimer("rsync", fs, journal);
        let (queue, worker) = s.queue("loop0");
        let request = s.submit(rsync, queue);
        s.serve(worker, queue, request);
        s.enter(worker, fs);
    });
}

#[test]
fn reclaim_on_the_server_is_inside_the_scope_of_the_waiter() {
    check(&["RD02"], |s| {
        let upper = s.names.add_layer(Layer::FS, "upper");
        let task = s.task("commit");
        s.scope(task, ScopeKind::Nofs, 1);
        let (queue, worker) = s.queue("loop0");
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "log write");
        s.serve(worker, queue, request);
        s.alloc(worker, Gfp::KERNEL, Gfp::KERNEL);
        s.reclaim(worker, Gfp::KERNEL);
        s.enter(worker, upper);
    });
}

#[test]
fn a_request_behind_another_depends_on_what_the_server_does_now() {
    check(&["RD02"], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let (queue, worker) = s.queue("loop0");
        let first = s.submit(worker, queue);
        s.serve(worker, queue, first);
        s.enter(worker, fs);
        let rsync = s.reclaimer("rsync", fs, journal);
        let request = s.submit(rsync, queue);
        s.wait(rsync, Resource::Request(request), "buffer WRITING");
    });
}

#[test]
fn a_second_server_that_is_free_makes_it_legal() {
    check(&[], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let (queue, worker) = s.queue("loop0");
        s.server(queue, "loop0/1");
        let first = s.submit(worker, queue);
        s.serve(worker, queue, first);
        s.enter(worker, fs);
        let rsync = s.reclaimer("rsync", fs, journal);
        let request = s.submit(rsync, queue);
        s.wait(rsync, Resource::Request(request), "buffer WRITING");
    });
}

#[test]
fn only_frames_above_the_lock_count_for_its_holder() {
    let story = |above: bool| {
        move |s: &mut Script| {
            let fs = s.names.add_layer(Layer::FS, "lower");
            let (journal, client) =
                (s.lock("journal", "fs:lower"), s.lock("client", "bufio:loop0"));
            let holder = s.task("holder");
            if !above {
                s.enter(holder, fs);
            }
            s.take(holder, client, LockMode::Exclusive);
            if above {
                s.enter(holder, fs);
            }
            let rsync = s.reclaimer("rsync", fs, journal);
            s.want(rsync, client, LockMode::Exclusive, false);
        }
    };
    check(&["RD02"], story(true));
    check(&[], story(false));
}

#[test]
fn an_entry_behind_a_foreign_worker_is_found() {
    let s = check(&["RD02"], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let rsync = s.reclaimer("rsync", fs, journal);
        let device = s.names.add_queue("loop0");
        let kernel = s.spawn("kworker/loop0", TaskKind::Foreign);
        let (fuse, handler) = s.queue("fuse/1");
        let write = s.submit(rsync, device);
        s.wait(rsync, Resource::Request(write), "buffer WRITING");
        s.serve(kernel, device, write);
        let call = s.submit(kernel, fuse);
        s.wait(kernel, Resource::Request(call), "fuse reply");
        s.serve(handler, fuse, call);
        s.enter(handler, fs);
    });
    assert_eq!(s.last().tasks.len(), 3);
}

#[test]
fn the_same_entry_for_two_waits_is_found_for_each() {
    check(&["RD02", "RD02"], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let (queue, worker) = s.queue("loop0");
        for name in ["a", "b"] {
            let task = s.reclaimer(name, fs, journal);
            let request = s.submit(task, queue);
            s.wait(task, Resource::Request(request), "buffer WRITING");
        }
        let first = s.submit(worker, queue);
        s.serve(worker, queue, first);
        s.enter(worker, fs);
    });
}

const POOL: PoolId = PoolId(0);

/// A reclaimer in NOFS waits for an element of a pool that is with `holders`; one of them enters
/// the filesystem.
fn pool_story(hand_over: bool, another_is_free: bool) -> impl FnOnce(&mut Script) {
    move |s| {
        s.names.add_pool("bio");
        let fs = s.names.add_layer(Layer::FS, "lower");
        let journal = s.lock("journal", "fs:lower");
        let (queue, worker) = s.queue("loop0");
        let holder = s.task("holder");
        s.on(holder, EventKind::PoolTake { pool: POOL, site: None });
        if another_is_free {
            let other = s.task("other");
            s.on(other, EventKind::PoolTake { pool: POOL, site: None });
        }
        let inside = if hand_over {
            let request = s.submit(holder, queue);
            s.on(holder, EventKind::PoolHandOver { pool: POOL, request });
            s.serve(worker, queue, request);
            worker
        } else {
            holder
        };
        let rsync = s.reclaimer("rsync", fs, journal);
        s.wait(rsync, Resource::Pool(POOL), "mempool element");
        s.enter(inside, fs);
    }
}

#[test]
fn an_element_of_a_pool_carries_the_scope_to_its_holder() {
    check(&["RD02"], pool_story(false, false));
    check(&["RD02"], pool_story(true, false));
    check(&[], pool_story(false, true));
    check(&[], pool_story(true, true));
}

#[test]
fn a_condition_carries_the_scope_to_the_task_that_promised_to_signal_it() {
    let story = |promised: bool| {
        move |s: &mut Script| {
            let condition = s.names.add_condition("log space");
            let fs = s.names.add_layer(Layer::FS, "lower");
            let journal = s.lock("journal", "fs:lower");
            let commit = s.task("commit");
            if promised {
                s.on(commit, promise(condition, commit));
            }
            let rsync = s.reclaimer("rsync", fs, journal);
            s.wait(rsync, Resource::Condition(condition), "log space");
            s.enter(commit, fs);
            s.on(commit, EventKind::PromiseEnd { condition, by: Actor::Task(commit) });
            s.leave(commit, fs);
            s.enter(commit, fs);
        }
    };
    check(&["RD02"], story(true));
    check(&[], story(false));
}

/// A reclaimer in NOIO waits for a lock, whose holder submits a request and does not wait for it.
fn submission_story(scope: ScopeKind, mask: Gfp) -> impl FnOnce(&mut Script) {
    move |s| {
        let lock = s.lock("client", "bufio:vda");
        let (queue, _) = s.queue("vda");
        let (holder, waiter) = (s.task("holder"), s.task("waiter"));
        s.take(holder, lock, LockMode::Exclusive);
        s.scope(waiter, scope, 1);
        s.alloc(waiter, Gfp::KERNEL, mask);
        s.reclaim(waiter, mask);
        s.want(waiter, lock, LockMode::Exclusive, false);
        s.submit(holder, queue);
    }
}

#[test]
fn a_submission_by_a_task_that_is_waited_for_is_an_entry_into_io() {
    let s = check(&["RD02"], submission_story(ScopeKind::Noio, Gfp::NOIO));
    let submitted: Vec<_> = s
        .last()
        .chain
        .iter()
        .filter(|step| matches!(step.what, StepKind::Submitted { .. }))
        .collect();
    assert_eq!(submitted.len(), 1, "the chain shows it");
    assert_eq!(submitted[0].task, s.last().tasks[1]);
    assert!(submitted[0].forbidden.is_some(), "and what forbids it");
    check(&[], submission_story(ScopeKind::Nofs, Gfp::NOFS));
}

#[test]
fn a_submission_by_a_task_that_no_task_waits_for_is_legal() {
    check(&[], |s| {
        let (other, waiter) = (s.task("other"), s.task("waiter"));
        let lock = s.lock("client", "bufio:vda");
        let (queue, _) = s.queue("vda");
        let holder = s.task("holder");
        s.take(holder, lock, LockMode::Exclusive);
        s.scope(waiter, ScopeKind::Noio, 1);
        s.alloc(waiter, Gfp::KERNEL, Gfp::NOIO);
        s.reclaim(waiter, Gfp::NOIO);
        s.want(waiter, lock, LockMode::Exclusive, false);
        s.submit(other, queue);
    });
}

#[test]
fn the_mask_of_a_reclaim_is_carried_without_a_scope() {
    for (mask, expect) in [(Gfp::NOFS, &["RD02"][..]), (Gfp::KERNEL, &[])] {
        check(expect, |s| {
            let fs = s.names.add_layer(Layer::FS, "lower");
            let lock = s.lock("client", "bufio:loop0");
            let (holder, waiter) = (s.task("holder"), s.task("waiter"));
            s.take(holder, lock, LockMode::Exclusive);
            s.on(waiter, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask });
            s.want(waiter, lock, LockMode::Exclusive, false);
            s.enter(holder, fs);
        });
    }
}

#[test]
fn what_the_holder_began_before_it_took_the_lock_is_not_below_the_waiter() {
    let story = |before: bool| {
        move |s: &mut Script| {
            let fs = s.names.add_layer(Layer::FS, "lower");
            let lock = s.lock("client", "bufio:loop0");
            let (holder, waiter) = (s.task("holder"), s.task("waiter"));
            if before {
                s.reclaim(holder, Gfp::KERNEL);
            }
            s.take(holder, lock, LockMode::Exclusive);
            if !before {
                s.reclaim(holder, Gfp::KERNEL);
            }
            s.scope(waiter, ScopeKind::Nofs, 1);
            s.want(waiter, lock, LockMode::Exclusive, false);
            s.enter(holder, fs);
        }
    };
    check(&["RD02"], story(false));
    check(&[], story(true));
}

/// A reclaimer in NOFS waits for a lock; its holder for the next; and so on. Returns the last
/// holder.
fn line(s: &mut Script, holders: usize) -> TaskId {
    let waiter = s.task("waiter");
    s.scope(waiter, ScopeKind::Nofs, 1);
    s.alloc(waiter, Gfp::KERNEL, Gfp::NOFS);
    s.reclaim(waiter, Gfp::NOFS);
    let mut last = waiter;
    for _ in 0..holders {
        let (lock, holder) = (s.lock("link", ""), s.task("holder"));
        s.take(holder, lock, LockMode::Exclusive);
        s.want(last, lock, LockMode::Exclusive, false);
        last = holder;
    }
    last
}

#[test]
fn a_path_is_followed_over_many_hops_but_not_over_any_number() {
    for (holders, expect) in [(super::MAX_HOPS - 1, &["RD02"][..]), (super::MAX_HOPS, &[])] {
        check(expect, |s| {
            let fs = s.names.add_layer(Layer::FS, "lower");
            let last = line(s, holders);
            s.enter(last, fs);
        });
    }
}

/// Locks, each read by two tasks that both want the next: the ways double with each of the
/// fourteen. The first lock has one more reader, which is looked at after all those ways.
#[test]
fn a_graph_with_too_many_ways_is_given_up() {
    check(&[], |s| {
        let fs = s.names.add_layer(Layer::FS, "lower");
        let mut above = vec![line(s, 0)];
        let mut last = None;
        for _ in 0..14 {
            let lock = s.lock("rung", "");
            let readers = vec![s.task("left"), s.task("right")];
            let beside = last.is_none().then(|| s.task("beside"));
            for reader in readers.iter().chain(&beside) {
                s.take(*reader, lock, LockMode::Shared);
            }
            last = last.or(beside);
            for task in above {
                s.want(task, lock, LockMode::Exclusive, false);
            }
            above = readers;
        }
        s.enter(last.unwrap(), fs);
    });
}
