//! RD10: claims that come true, and claims that do not.

use crate::event::{
    AllocOutcome, EventKind, Gfp, ReclaimKind, ShrinkerId, Site, TaskFlags, TaskId,
};
use crate::units::Pages;
use crate::witness::Breach;
use crate::witness::script::{Script, breaches};

/// An allocation for which reclaim claims `freed`, with `meanwhile` before it ends.
#[track_caller]
fn check(expect: &[&str], freed: u64, outcome: AllocOutcome, meanwhile: impl FnOnce(&mut Script)) {
    check_claim(expect, freed, true, outcome, meanwhile);
}

#[track_caller]
fn check_claim(
    expect: &[&str],
    freed: u64,
    deferred: bool,
    outcome: AllocOutcome,
    meanwhile: impl FnOnce(&mut Script),
) {
    let mut s = Script::default();
    let task: TaskId = s.task("cp");
    s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
    s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL });
    s.scan(task, ShrinkerId(0), Gfp::KERNEL);
    let scanned = EventKind::ShrinkScanEnd {
        shrinker: ShrinkerId(0),
        freed: Some(freed),
        scanned: freed,
        deferred,
    };
    s.on(task, scanned);
    s.on(task, EventKind::ReclaimExit { freed, priority: 0 });
    meanwhile(&mut s);
    s.on(task, EventKind::AllocEnd { outcome, left: Pages(0) });
    assert_eq!(s.codes(), expect);
}

fn another_gets_memory(s: &mut Script) {
    let other = s.task("other");
    s.alloc(other, Gfp::KERNEL, Gfp::KERNEL);
    s.on(other, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(0) });
}

#[test]
fn progress_that_helped_no_task_is_found() {
    check(&["RD10"], 32, AllocOutcome::Failed, |_| {});
}

#[test]
fn what_the_reclaimer_itself_allocates_below_takes_nothing_away() {
    check(&["RD10"], 32, AllocOutcome::Failed, |s| {
        let task = TaskId(0);
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(0) });
    });
}

#[test]
fn claims_that_the_watermark_alone_would_have_absorbed_are_fine() {
    let marks = EventKind::Watermarks { min: Pages(32), low: Pages(40), high: Pages(48) };
    check(&[], 32, AllocOutcome::Failed, |s| s.on(TaskId(0), marks));
}

#[test]
fn real_progress_and_no_claimed_progress_are_fine() {
    check(&[], 32, AllocOutcome::Ok, |_| {});
    check(&[], 0, AllocOutcome::Failed, |_| {});
    check(&[], 32, AllocOutcome::Failed, another_gets_memory);
    check_claim(&[], 32, false, AllocOutcome::Failed, |_| {});
}

#[track_caller]
fn check_story(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
    let mut s = Script::default();
    let task = s.task("cp");
    story(&mut s, task);
    assert_eq!(breaches(&s), expect);
}

/// An allocation of two to the power of `order`, for which shrinkers claim `freed` and defer.
fn phantom(s: &mut Script, task: TaskId, order: u32, freed: u64) {
    let (site, flags) = (Site { file: "x.rs", line: 1 }, TaskFlags::EMPTY);
    let (requested, effective) = (Gfp::KERNEL, Gfp::KERNEL);
    s.on(task, EventKind::AllocBegin { order, requested, effective, flags, site });
    s.on(
        task,
        EventKind::ShrinkScanBegin { shrinker: ShrinkerId(0), mask: Gfp::KERNEL, nr_to_scan: 128 },
    );
    s.on(
        task,
        EventKind::ShrinkScanEnd {
            shrinker: ShrinkerId(0),
            freed: Some(freed),
            scanned: 128,
            deferred: true,
        },
    );
    s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Failed, left: Pages(0) });
}

#[test]
fn a_claim_is_phantom_progress_from_what_was_asked_for_on() {
    check_story(&[Breach::PhantomProgress], |s, task| phantom(s, task, 3, 8));
    check_story(&[], |s, task| phantom(s, task, 3, 7));
}

#[test]
fn memory_that_another_task_failed_to_get_did_not_go_to_it() {
    check_story(&[Breach::PhantomProgress], |s, task| {
        let other = s.task("other");
        let (site, flags) = (Site { file: "x.rs", line: 1 }, TaskFlags::EMPTY);
        let (requested, effective) = (Gfp::KERNEL, Gfp::KERNEL);
        let begin = EventKind::AllocBegin { order: 0, requested, effective, flags, site };
        s.on(task, begin);
        s.on(
            task,
            EventKind::ShrinkScanBegin {
                shrinker: ShrinkerId(0),
                mask: Gfp::KERNEL,
                nr_to_scan: 128,
            },
        );
        s.on(
            task,
            EventKind::ShrinkScanEnd {
                shrinker: ShrinkerId(0),
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
