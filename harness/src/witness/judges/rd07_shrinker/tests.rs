//! RD07: counts, claims and panics of shrinkers.

use super::*;
use crate::event::{QueueId, ReclaimKind, Resource, Site, WaitId, WorkId};
use crate::witness::script::{Script, breaches, broken_rules};

const ONE: ShrinkerId = ShrinkerId(0);
const TWO: ShrinkerId = ShrinkerId(1);

/// The breaches that are named, in order.
#[track_caller]
fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    s.names.add_shrinker("cache");
    s.names.add_shrinker("other cache");
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

fn count(s: &mut Script, task: TaskId, mask: Gfp, count: u64) {
    s.on(task, EventKind::ShrinkCountBegin { shrinker: ONE, mask });
    s.on(task, EventKind::ShrinkCountEnd { shrinker: ONE, count });
}

fn scan(s: &mut Script, task: TaskId, freed: Option<u64>, scanned: u64, deferred: bool) {
    s.scan(task, ONE, Gfp::KERNEL);
    s.on(task, EventKind::ShrinkScanEnd { shrinker: ONE, freed, scanned, deferred });
}

#[test]
fn a_count_that_waits_is_found_and_one_that_does_not_is_fine() {
    let waiting = |inside: bool| {
        move |s: &mut Script, task| {
            s.on(task, EventKind::ShrinkCountBegin { shrinker: ONE, mask: Gfp::KERNEL });
            if !inside {
                s.on(task, EventKind::ShrinkCountEnd { shrinker: ONE, count: 1 });
            }
            s.wait(task, Resource::Condition(WaitId(0)), "anything");
        }
    };
    check(&[Breach::CountWaits], waiting(true));
    check(&[], waiting(false));
}

#[test]
fn a_count_that_allocates_is_found() {
    check(&[Breach::CountAllocates], |s, task| {
        s.on(task, EventKind::ShrinkCountBegin { shrinker: ONE, mask: Gfp::KERNEL });
        s.alloc(task, Gfp::NOWAIT, Gfp::NOWAIT);
    });
}

#[test]
fn a_count_that_refuses_by_the_mask_is_found() {
    check(&[Breach::CountDependsOnMask], |s, task| {
        count(s, task, Gfp::KERNEL, 7);
        count(s, task, Gfp::NOFS, 0);
        count(s, task, Gfp::NOIO, 0);
    });
}

#[test]
fn counts_that_differ_because_something_happened_are_fine() {
    check(&[], |s, task| {
        count(s, task, Gfp::KERNEL, 7);
        count(s, task, Gfp::NOFS, 7);
        scan(s, task, Some(3), 128, false);
        count(s, task, Gfp::NOIO, 4);
        let other = s.task("other");
        count(s, other, Gfp::KERNEL, 9);
    });
}

#[test]
fn a_scan_that_claims_more_than_was_there_is_found() {
    check(&[Breach::Overclaimed], |s, task| scan(s, task, Some(129), 128, false));
    check(&[Breach::Overclaimed], |s, task| {
        count(s, task, Gfp::KERNEL, 200);
        scan(s, task, Some(128), 128, false);
        scan(s, task, Some(128), 128, false);
    });
}

#[test]
fn a_scan_that_claims_what_it_freed_or_declares_that_it_defers_is_fine() {
    check(&[], |s, task| {
        count(s, task, Gfp::KERNEL, 200);
        scan(s, task, Some(128), 128, false);
        scan(s, task, Some(72), 128, false);
        scan(s, task, None, 128, false);
    });
    check(&[], |s, task| {
        count(s, task, Gfp::KERNEL, 1);
        scan(s, task, Some(128), 128, true);
    });
}

#[test]
fn a_shrinker_that_panics_is_found_once() {
    check(&[Breach::Panicked], |s, task| {
        s.on(task, EventKind::ShrinkerPanicked { shrinker: ONE });
        s.on(task, EventKind::ShrinkerPanicked { shrinker: ONE });
    });
}

#[test]
fn a_count_that_begins_work_is_found() {
    let queues = |inside: bool| {
        move |s: &mut Script, task| {
            s.on(task, EventKind::ShrinkCountBegin { shrinker: ONE, mask: Gfp::KERNEL });
            if !inside {
                s.on(task, EventKind::ShrinkCountEnd { shrinker: ONE, count: 1 });
            }
            s.on(task, EventKind::WorkQueued { work: WorkId(0), queue: QueueId(0) });
        }
    };
    check(&[Breach::CountChanges], queues(true));
    check(&[], queues(false));
}

#[test]
fn a_count_that_says_something_else_at_once_is_found_and_not_taken_for_dependent() {
    check(&[Breach::CountChanges], |s, task| {
        count(s, task, Gfp::KERNEL, 7);
        count(s, task, Gfp::KERNEL, 6);
        count(s, task, Gfp::NOFS, 5);
    });
    check(&[], |s, task| {
        count(s, task, Gfp::KERNEL, 7);
        let layer = s.names.add_layer(crate::event::Layer::FS, "lower");
        s.on(task, EventKind::LayerEnter { layer, site: Site { file: "x.rs", line: 1 } });
        count(s, task, Gfp::KERNEL, 6);
    });
}

#[test]
fn between_two_counts_of_one_reclaim_pages_may_have_gone() {
    check(&[], |s, task| {
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL });
        count(s, task, Gfp::KERNEL, 7);
        count(s, task, Gfp::KERNEL, 8);
    });
}

fn count_of(s: &mut Script, task: TaskId, shrinker: ShrinkerId, mask: Gfp, count: u64) {
    s.on(task, EventKind::ShrinkCountBegin { shrinker, mask });
    s.on(task, EventKind::ShrinkCountEnd { shrinker, count });
}

fn scan_of(s: &mut Script, task: TaskId, shrinker: ShrinkerId, freed: u64) {
    s.scan(task, shrinker, Gfp::KERNEL);
    s.on(
        task,
        EventKind::ShrinkScanEnd { shrinker, freed: Some(freed), scanned: 128, deferred: false },
    );
}

#[test]
fn counts_of_two_shrinkers_may_differ() {
    check(&[], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 7);
        count_of(s, task, TWO, Gfp::NOFS, 0);
    });
}

#[test]
fn an_allocation_between_two_counts_may_have_changed_the_cache() {
    check(&[], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 7);
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        count_of(s, task, ONE, Gfp::NOFS, 0);
    });
}

#[test]
fn another_task_between_two_counts_may_have_changed_the_cache() {
    check(&[], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 7);
        s.task("other");
        count_of(s, task, ONE, Gfp::NOFS, 0);
    });
}

#[test]
fn a_claim_is_compared_with_the_count_of_the_same_shrinker() {
    check(&[], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 5);
        scan_of(s, task, TWO, 100);
    });
    check(&[Breach::Overclaimed], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 5);
        scan_of(s, task, ONE, 6);
    });
    check(&[], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 5);
        scan_of(s, task, ONE, 5);
    });
}

#[test]
fn all_that_was_scanned_may_be_claimed() {
    check(&[], |s, task| scan_of(s, task, ONE, 128));
}

#[test]
fn what_another_task_does_between_count_and_claim_ends_the_comparison() {
    check(&[], |s, task| {
        count_of(s, task, ONE, Gfp::KERNEL, 5);
        s.task("other");
        scan_of(s, task, ONE, 100);
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
    let named: Vec<_> = broken_rules(&s).into_iter().map(|(_, subject, _)| subject).collect();
    assert_eq!(named, [Some(Subject::Shrinker(TWO))]);
}
