//! RD07 and RD08: what kswapd may wait for.

use super::*;
use crate::event::{LockMode, PoolId, WaitId, WaitOutcome};
use crate::witness::script::{Script, breaches, promise};

const ONE: ShrinkerId = ShrinkerId(0);

/// The breaches that are named where `kind` reclaims, in a scan or outside of one.
#[track_caller]
fn check_as(
    kind: ReclaimKind,
    scans: bool,
    expect: &[Breach],
    story: impl FnOnce(&mut Script, TaskId),
) {
    let mut s = Script::default();
    let task = s.task("kswapd0");
    s.names.add_shrinker("cache");
    s.on(task, EventKind::ReclaimEnter { kind, mask: Gfp::KERNEL });
    if scans {
        s.scan(task, ONE, Gfp::KERNEL);
    }
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

/// The same for kswapd: `found` says whether its wait is one that it must not make.
#[track_caller]
fn check(found: bool, story: impl Fn(&mut Script, TaskId)) {
    for (scans, breach) in [(true, Breach::WaitsInKswapd), (false, Breach::KswapdWaits)] {
        let expect = [breach];
        let expect = if found { &expect[..] } else { &[] };
        check_as(ReclaimKind::Kswapd, scans, expect, &story);
    }
}

fn reclaims(s: &mut Script, task: TaskId) {
    s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL });
}

#[test]
fn io_that_kswapd_waits_for_is_found_and_that_of_others_is_not_this() {
    let waits = |s: &mut Script, task| {
        let (queue, _) = s.queue("vda");
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "buffer WRITING");
    };
    check(true, waits);
    check_as(ReclaimKind::Direct, true, &[], waits);
}

#[test]
fn kswapd_may_wait_for_a_lock_unless_its_holder_reclaims() {
    for holder_reclaims in [true, false] {
        check(holder_reclaims, |s, task| {
            let (lock, holder) = (s.lock("client", ""), s.task("holder"));
            s.take(holder, lock, LockMode::Exclusive);
            if holder_reclaims {
                reclaims(s, holder);
            }
            s.want(task, lock, LockMode::Exclusive, false);
        });
    }
}

#[test]
fn what_the_holder_of_a_lock_waits_for_is_its_own() {
    check(false, |s, task| {
        let (lock, holder) = (s.lock("client", ""), s.task("holder"));
        s.take(holder, lock, LockMode::Exclusive);
        let (queue, _) = s.queue("vda");
        let request = s.submit(holder, queue);
        s.wait(holder, Resource::Request(request), "buffer WRITING");
        s.want(task, lock, LockMode::Exclusive, false);
    });
}

#[test]
fn after_its_reclaim_a_task_may_wait() {
    check_as(ReclaimKind::Kswapd, false, &[], |s, task| {
        let (lock, holder) = (s.lock("client", ""), s.task("holder"));
        s.take(holder, lock, LockMode::Exclusive);
        s.want(task, lock, LockMode::Exclusive, false);
        s.give_up(holder, lock);
        s.end_wait(task, Resource::Lock(lock), WaitOutcome::Satisfied);
        s.on(task, EventKind::ReclaimExit { freed: 0, priority: 12 });
        let (queue, _) = s.queue("vda");
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "page write");
        reclaims(s, holder);
    });
}

#[test]
fn a_task_that_begins_to_reclaim_while_kswapd_waits_is_found() {
    for still_waits in [true, false] {
        check(still_waits, |s, task| {
            let (lock, holder) = (s.lock("client", ""), s.task("holder"));
            s.take(holder, lock, LockMode::Exclusive);
            s.want(task, lock, LockMode::Exclusive, false);
            if !still_waits {
                s.give_up(holder, lock);
                s.end_wait(task, Resource::Lock(lock), WaitOutcome::Satisfied);
            }
            reclaims(s, holder);
        });
    }
}

/// kswapd flushes an item whose worker does `then`.
#[track_caller]
fn check_flush(found: bool, then: impl Fn(&mut Script, TaskId)) {
    check(found, |s, task| {
        let (queue, worker) = s.queue("wq");
        let work = s.queue_work(task, queue);
        s.wait(task, Resource::Work(work), "work item");
        s.begin_work(worker, queue, work);
        then(s, worker);
    });
}

#[test]
fn a_flush_is_a_wait_for_what_the_worker_does() {
    check_flush(true, reclaims);
    check_flush(true, |s, worker| {
        let (queue, _) = s.queue("vda");
        let request = s.submit(worker, queue);
        s.wait(worker, Resource::Request(request), "page write");
    });
    check_flush(false, |s, worker| {
        let lock = s.lock("inode", "");
        s.take(worker, lock, LockMode::Exclusive);
    });
}

#[test]
fn a_wait_for_a_condition_needs_the_task_that_promised_it() {
    for promiser_reclaims in [true, false] {
        check(promiser_reclaims, |s, task| {
            let (condition, promiser) = (WaitId(0), s.task("commit"));
            s.on(promiser, promise(condition, promiser));
            if promiser_reclaims {
                reclaims(s, promiser);
            }
            s.wait(task, Resource::Condition(condition), "log space");
        });
    }
}

#[test]
fn a_pool_is_a_wait_for_all_that_have_its_elements() {
    for all in [true, false] {
        check(all, |s, task| {
            for (name, stands) in [("one", true), ("two", all)] {
                let holder = s.task(name);
                s.on(holder, EventKind::PoolTake { pool: PoolId(0), site: None });
                if stands {
                    reclaims(s, holder);
                }
            }
            s.wait(task, Resource::Pool(PoolId(0)), "mempool element");
        });
    }
}

#[test]
fn kswapd_borrows_no_mask() {
    for (mask, expect) in [(Gfp::KERNEL, &[][..]), (Gfp::NOFS, &[Breach::KswapdMask])] {
        let mut s = Script::default();
        let task = s.task("kswapd0");
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask });
        assert_eq!(breaches(&s), expect);
    }
}

#[track_caller]
fn check_story(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.names.add_shrinker("cache");
    s.names.add_shrinker("other cache");
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

#[test]
fn kswapd_may_wait_in_a_scan_for_what_is_neither_io_nor_a_lock() {
    check_story(&[], |s, task| {
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL });
        s.scan(task, ShrinkerId(0), Gfp::KERNEL);
        s.wait(task, Resource::Condition(WaitId(0)), "anything");
    });
}

#[test]
fn outside_a_scan_it_is_kswapd_itself_that_waits_for_io() {
    check_story(&[Breach::KswapdWaits], |s, task| {
        let (queue, _) = s.queue("vda");
        s.scan(task, ShrinkerId(0), Gfp::KERNEL);
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL });
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "write-back");
    });
}
