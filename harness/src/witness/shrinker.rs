//! RD07: a shrinker misbehaves.
//!
//! The count must not wait, allocate or depend on the mask: what a forbidden scan leaves undone is
//! deferred, and that needs an honest number. It must not change the cache: it begins no work, and
//! asked again at once it says the same. The scan must not claim what did not leave, unless it says
//! that it defers. Invariants 12 and 13 of the project's description of reclaim, section 9. That a
//! cache really shrank can only be told where nobody else touched it meanwhile, so claims and
//! counts are compared only within one task's unbroken run of events; and then only with what was
//! counted, since what a scan frees may make something else freeable (a dentry gives up its inode).

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::frames::{FrameKind, is_reclaimer};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, Gfp, ShrinkerId, TaskId};

/// The judge of RD07.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    found: BTreeSet<(ShrinkerId, Breach)>,
    /// The last event's task: comparisons end where another task does something.
    task: Option<TaskId>,
    /// Counts since anything happened that could change a cache.
    counts: BTreeMap<ShrinkerId, (Gfp, u64)>,
    /// Counts that were followed by nothing but counts, outside of reclaim.
    probed: BTreeMap<ShrinkerId, (Gfp, u64)>,
    /// The pass that is under way: whose, the count, what it claimed so far. Before the first there
    /// are no counts.
    pass: Option<(ShrinkerId, u64, u64)>,
}

impl Judge for Conduct {
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let another = self.task.replace(event.task) != Some(event.task);
        // Else nothing was counted since.
        if self.pass.is_some() {
            if another {
                self.counts.clear();
                self.pass = None;
            }
            if another || !is_part_of_a_count(event.kind) {
                self.probed.clear();
            }
        }
        let Some((shrinker, breach)) = self.breach(event, view) else {
            return;
        };
        if self.found.insert((shrinker, breach)) {
            let mut chain = Chain::new(view);
            chain.task(event.task, None);
            chain.ends_with(
                StepKind::Broke { breach, subject: Some(Subject::Shrinker(shrinker)) },
                None,
                event,
            );
            out.push(chain.finish(breach.code(), event));
        }
    }
}

impl Conduct {
    fn breach(&mut self, event: &Event, view: &View) -> Option<(ShrinkerId, Breach)> {
        let task = event.task;
        match event.kind {
            EventKind::ShrinkCountEnd { shrinker, count } => {
                self.counted(task, shrinker, count, view)
            }
            EventKind::ShrinkScanBegin { .. } => {
                self.counts.clear();
                None
            }
            EventKind::ShrinkScanEnd { shrinker, freed, scanned, deferred } => {
                let claimed = freed.filter(|_| !deferred)?;
                self.claims(shrinker, claimed, scanned).then_some((shrinker, Breach::Overclaimed))
            }
            EventKind::ShrinkerPanicked { shrinker } => Some((shrinker, Breach::Panicked)),
            EventKind::AllocBegin { .. } => {
                self.counts.clear();
                Some((counting(view, task)?, Breach::CountAllocates))
            }
            EventKind::WaitBegin { .. } => Some((counting(view, task)?, Breach::CountWaits)),
            EventKind::RequestSubmit { .. } | EventKind::WorkQueued { .. } => {
                Some((counting(view, task)?, Breach::CountChanges))
            }
            _ => None,
        }
    }

    fn counted(
        &mut self,
        task: TaskId,
        shrinker: ShrinkerId,
        count: u64,
        view: &View,
    ) -> Option<(ShrinkerId, Breach)> {
        self.pass = Some((shrinker, count, 0));
        let Some(FrameKind::Count { mask, .. }) = view.closed().map(|frame| frame.kind) else {
            return None;
        };
        // In reclaim pages go between two counts, and owners may let go of more than pages.
        let reclaims = view.frames(task).iter().any(|frame| is_reclaimer(frame.kind));
        let probed = if reclaims { None } else { self.probed.insert(shrinker, (mask, count)) };
        let before = self.counts.insert(shrinker, (mask, count));
        if probed.is_some_and(|(other, before)| other == mask && before != count) {
            return Some((shrinker, Breach::CountChanges));
        }
        let changes = self.found.contains(&(shrinker, Breach::CountChanges));
        let depends = before.is_some_and(|(other, before)| other != mask && before != count);
        (depends && !changes).then_some((shrinker, Breach::CountDependsOnMask))
    }

    /// Whether a scan claims what cannot have left.
    fn claims(&mut self, shrinker: ShrinkerId, freed: u64, scanned: u64) -> bool {
        let counted = match &mut self.pass {
            Some((of, count, claimed)) if *of == shrinker => {
                *claimed = claimed.saturating_add(freed);
                *claimed > *count
            }
            _ => false,
        };
        freed > scanned || counted
    }
}

/// The shrinker in whose count the task is.
fn counting(view: &View, task: TaskId) -> Option<ShrinkerId> {
    view.frames(task).iter().rev().find_map(|frame| match frame.kind {
        FrameKind::Count { shrinker, .. } => Some(shrinker),
        _ => None,
    })
}

/// What a count outside of reclaim consists of, with the locks that it takes.
const fn is_part_of_a_count(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ShrinkCountBegin { .. }
            | EventKind::ShrinkCountEnd { .. }
            | EventKind::LockAttempt { .. }
            | EventKind::LockAcquired { .. }
            | EventKind::LockReleased { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{QueueId, ReclaimKind, Resource, Site, WaitId, WorkId};
    use crate::witness::script::{Script, breaches};

    const ONE: ShrinkerId = ShrinkerId(0);

    /// The breaches that are named, in order.
    #[track_caller]
    fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        s.names.add_shrinker("cache");
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
    fn a_count_that_waits_is_found_and_one_that_does_not_is_quiet() {
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
    fn counts_that_differ_because_something_happened_are_quiet() {
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
    fn a_scan_that_claims_what_left_or_says_that_it_defers_is_quiet() {
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
}
