//! RD07, RD09 and RD10: shrinkers, convoys, phantom progress.

use super::{breaches, broke};
use crate::event::{
    AllocOutcome, EventKind, Gfp, LockMode, ReclaimKind, Resource, ShrinkerId, TaskFlags, TaskId,
    WaitId, WaitOutcome,
};
use crate::units::{Pages, Ticks};
use crate::witness::Breach;
use crate::witness::finding::Subject;
use crate::witness::script::Script;

const ONE: ShrinkerId = ShrinkerId(0);
const TWO: ShrinkerId = ShrinkerId(1);
const WRITE: LockMode = LockMode::Exclusive;

#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.names.add_shrinker("cache");
    s.names.add_shrinker("other cache");
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

fn count(s: &mut Script, task: TaskId, shrinker: ShrinkerId, mask: Gfp, count: u64) {
    s.on(task, EventKind::ShrinkCountBegin { shrinker, mask });
    s.on(task, EventKind::ShrinkCountEnd { shrinker, count });
}

fn scan(s: &mut Script, task: TaskId, shrinker: ShrinkerId, freed: u64) {
    s.scan(task, shrinker, Gfp::KERNEL);
    s.on(
        task,
        EventKind::ShrinkScanEnd { shrinker, freed: Some(freed), scanned: 128, deferred: false },
    );
}

#[test]
fn counts_of_two_shrinkers_may_differ() {
    check(&[], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 7);
        count(s, task, TWO, Gfp::NOFS, 0);
    });
}

#[test]
fn an_allocation_between_two_counts_may_have_changed_the_cache() {
    check(&[], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 7);
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        count(s, task, ONE, Gfp::NOFS, 0);
    });
}

#[test]
fn another_task_between_two_counts_may_have_changed_the_cache() {
    check(&[], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 7);
        s.task("other");
        count(s, task, ONE, Gfp::NOFS, 0);
    });
}

#[test]
fn a_claim_is_compared_with_the_count_of_the_same_shrinker() {
    check(&[], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 5);
        scan(s, task, TWO, 100);
    });
    check(&[Breach::Overclaimed], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 5);
        scan(s, task, ONE, 6);
    });
    check(&[], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 5);
        scan(s, task, ONE, 5);
    });
}

#[test]
fn all_that_was_scanned_may_be_claimed() {
    check(&[], |s, task| scan(s, task, ONE, 128));
}

#[test]
fn what_another_task_does_between_count_and_claim_ends_the_comparison() {
    check(&[], |s, task| {
        count(s, task, ONE, Gfp::KERNEL, 5);
        s.task("other");
        scan(s, task, ONE, 100);
    });
}

#[test]
fn kswapd_may_wait_in_a_scan_for_what_is_neither_io_nor_a_lock() {
    check(&[], |s, task| {
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL });
        s.scan(task, ONE, Gfp::KERNEL);
        s.wait(task, Resource::Condition(WaitId(0)), "anything");
    });
}

#[test]
fn outside_a_scan_it_is_kswapd_itself_that_waits_for_io() {
    check(&[Breach::KswapdWaits], |s, task| {
        let (queue, _) = s.queue("vda");
        s.scan(task, ONE, Gfp::KERNEL);
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask: Gfp::KERNEL });
        let request = s.submit(task, queue);
        s.wait(task, Resource::Request(request), "write-back");
    });
}

#[test]
fn the_innermost_shrinker_is_the_one_that_waits() {
    let mut s = Script::default();
    let task = s.task("cp");
    for shrinker in [ONE, TWO] {
        s.on(task, EventKind::ShrinkCountBegin { shrinker, mask: Gfp::KERNEL });
    }
    s.wait(task, Resource::Condition(WaitId(0)), "anything");
    let named: Vec<_> = broke(&s).into_iter().map(|(_, subject, _)| subject).collect();
    assert_eq!(named, [Some(Subject::Shrinker(TWO))]);
}

#[test]
fn a_convoy_is_that_of_the_lock_that_is_waited_for() {
    let story = |held_over_io: bool| {
        move |s: &mut Script, holder| {
            let (a, b) = (s.lock("a", ""), s.lock("b", ""));
            let (queue, _) = s.queue("vda");
            s.take(holder, a, WRITE);
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            for waiter in ["one", "two"].map(|name| s.task(name)) {
                s.want(waiter, if held_over_io { a } else { b }, WRITE, false);
            }
            s.pass(Ticks(500));
            s.task("anybody");
        }
    };
    check(&[Breach::Convoy], story(true));
    check(&[], story(false));
}

#[test]
fn a_convoy_names_those_that_stand_and_then_the_holder() {
    let mut s = Script::default();
    let (lock, holder) = (s.lock("a", ""), s.task("holder"));
    let (queue, _) = s.queue("vda");
    s.take(holder, lock, WRITE);
    let request = s.submit(holder, queue);
    s.wait(holder, Resource::Request(request), "buffer WRITING");
    let waiters = ["one", "two"].map(|name| s.task(name));
    for waiter in waiters {
        s.want(waiter, lock, WRITE, false);
    }
    s.pass(Ticks(500));
    s.task("anybody");
    assert_eq!(s.last().tasks, [waiters[0], waiters[1], holder]);
}

#[test]
fn a_stand_begins_anew_when_the_holder_goes_on() {
    check(&[], |s, holder| {
        let lock = s.lock("a", "");
        let (queue, _) = s.queue("vda");
        s.take(holder, lock, WRITE);
        for waiter in ["one", "two"].map(|name| s.task(name)) {
            s.want(waiter, lock, WRITE, false);
        }
        for _ in 0..3 {
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            s.pass(Ticks(60));
            s.end_wait(holder, Resource::Request(request), WaitOutcome::Satisfied);
        }
        s.task("anybody");
    });
}

#[test]
fn a_stand_goes_on_while_others_come() {
    check(&[Breach::Convoy], |s, holder| {
        let lock = s.lock("a", "");
        let (queue, _) = s.queue("vda");
        s.take(holder, lock, WRITE);
        let request = s.submit(holder, queue);
        s.wait(holder, Resource::Request(request), "buffer WRITING");
        for waiter in ["one", "two", "three"].map(|name| s.task(name)) {
            s.pass(Ticks(60));
            s.want(waiter, lock, WRITE, false);
        }
        s.pass(Ticks(60));
        s.task("anybody");
    });
}

#[test]
fn a_lock_is_told_once_however_often_it_is_jammed() {
    check(&[Breach::Convoy], |s, holder| {
        let lock = s.lock("a", "");
        let (queue, _) = s.queue("vda");
        s.take(holder, lock, WRITE);
        for waiter in ["one", "two"].map(|name| s.task(name)) {
            s.want(waiter, lock, WRITE, false);
        }
        for _ in 0..2 {
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            s.pass(Ticks(500));
            s.end_wait(holder, Resource::Request(request), WaitOutcome::Satisfied);
        }
    });
}

/// An allocation of two to the power of `order`, for which shrinkers claim `freed` and defer.
fn phantom(s: &mut Script, task: TaskId, order: u32, freed: u64) {
    let (site, flags) = (crate::event::Site { file: "x.rs", line: 1 }, TaskFlags::EMPTY);
    let (requested, effective) = (Gfp::KERNEL, Gfp::KERNEL);
    s.on(task, EventKind::AllocBegin { order, requested, effective, flags, site });
    s.on(task, EventKind::ShrinkScanBegin { shrinker: ONE, mask: Gfp::KERNEL, nr_to_scan: 128 });
    s.on(
        task,
        EventKind::ShrinkScanEnd {
            shrinker: ONE,
            freed: Some(freed),
            scanned: 128,
            deferred: true,
        },
    );
    s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Failed, left: Pages(0) });
}

#[test]
fn a_claim_is_phantom_progress_from_what_was_asked_for_on() {
    check(&[Breach::PhantomProgress], |s, task| phantom(s, task, 3, 8));
    check(&[], |s, task| phantom(s, task, 3, 7));
}

#[test]
fn memory_that_another_task_failed_to_get_did_not_go_to_it() {
    check(&[Breach::PhantomProgress], |s, task| {
        let other = s.task("other");
        let (site, flags) = (crate::event::Site { file: "x.rs", line: 1 }, TaskFlags::EMPTY);
        let (requested, effective) = (Gfp::KERNEL, Gfp::KERNEL);
        let begin = EventKind::AllocBegin { order: 0, requested, effective, flags, site };
        s.on(task, begin);
        s.on(
            task,
            EventKind::ShrinkScanBegin { shrinker: ONE, mask: Gfp::KERNEL, nr_to_scan: 128 },
        );
        s.on(
            task,
            EventKind::ShrinkScanEnd {
                shrinker: ONE,
                freed: Some(9),
                scanned: 128,
                deferred: true,
            },
        );
        s.on(other, begin);
        s.on(other, EventKind::AllocEnd { outcome: AllocOutcome::Failed, left: Pages(0) });
        s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Failed, left: Pages(0) });
    });
}
