//! RD07: a shrinker misbehaves.
//!
//! The count must not wait, allocate or depend on the mask: what a forbidden scan leaves undone is
//! deferred, and that needs an honest number. The scan must not claim what did not leave, unless it says
//! that it defers, and must not wait for I/O in kswapd. Invariants 12, 13 and 15 of the project's
//! description of reclaim, section 9. That a cache really shrank can only be told where nobody else
//! touched it meanwhile, so claims and counts are compared only within one task's unbroken run of events.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::frames::FrameKind;
use super::panel::Judge;
use super::view::View;
use crate::event::{Event, EventKind, Gfp, ReclaimKind, Resource, ShrinkerId, TaskId};

/// The judge of RD07.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    found: BTreeSet<(ShrinkerId, Breach)>,
    /// The last event's task: comparisons end where another task does something.
    task: Option<TaskId>,
    /// Counts since anything happened that could change a cache.
    counts: BTreeMap<ShrinkerId, (Gfp, u64)>,
    /// The pass that is under way: whose, the count, what it claimed so far.
    pass: Option<(ShrinkerId, u64, u64)>,
}

impl Judge for Conduct {
    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        if self.task.replace(event.task) != Some(event.task) {
            self.counts.clear();
            self.pass = None;
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
            EventKind::ShrinkCountEnd { shrinker, count } => self.counted(shrinker, count, view),
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
            EventKind::WaitBegin { resource, .. } => {
                if let Some(shrinker) = counting(view, task) {
                    return Some((shrinker, Breach::CountWaits));
                }
                let shrinker = scanned_by_kswapd(view, task)?;
                forbidden_to_kswapd(view, task, resource).then_some((shrinker, Breach::WaitsInKswapd))
            }
            _ => None,
        }
    }

    fn counted(&mut self, shrinker: ShrinkerId, count: u64, view: &View) -> Option<(ShrinkerId, Breach)> {
        self.pass = Some((shrinker, count, 0));
        let Some(FrameKind::Count { mask, .. }) = view.closed().map(|frame| frame.kind) else {
            return None;
        };
        let (other, before) = self.counts.insert(shrinker, (mask, count))?;
        (other != mask && before != count).then_some((shrinker, Breach::CountDependsOnMask))
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

/// The shrinker whose scan the task runs as kswapd.
fn scanned_by_kswapd(view: &View, task: TaskId) -> Option<ShrinkerId> {
    let frames = view.frames(task);
    let kswapd = |kind: FrameKind| matches!(kind, FrameKind::Reclaim { kind: ReclaimKind::Kswapd, .. });
    let begun = frames.iter().position(|frame| kswapd(frame.kind))?;
    frames[begun..].iter().rev().find_map(|frame| match frame.kind {
        FrameKind::Scan { shrinker, .. } => Some(shrinker),
        _ => None,
    })
}

/// Whether a wait for this is one that kswapd must not make: for I/O, or for a task in direct reclaim.
fn forbidden_to_kswapd(view: &View, task: TaskId, resource: Resource) -> bool {
    let reclaims = |task: TaskId| {
        let direct = |kind| matches!(kind, FrameKind::Reclaim { kind: ReclaimKind::Direct, .. });
        view.frames(task).iter().any(|frame| direct(frame.kind))
    };
    match resource {
        Resource::Request(_) => true,
        Resource::Lock(_) => view.needed(task).1.any(|needed| reclaims(needed.task)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LockMode, WaitId};
    use crate::witness::script::Script;

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

    fn breaches(s: &Script) -> Vec<Breach> {
        let last = |finding: &Finding| match finding.chain.last()?.what {
            StepKind::Broke { breach, .. } => Some(breach),
            _ => None,
        };
        s.witness.findings().iter().filter_map(last).collect()
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

    fn reclaims(s: &mut Script, task: TaskId, kind: ReclaimKind) {
        s.on(task, EventKind::ReclaimEnter { kind, mask: Gfp::KERNEL });
        s.scan(task, ONE, Gfp::KERNEL);
    }

    #[test]
    fn io_that_kswapd_waits_for_in_a_scan_is_found_and_that_of_others_is_not_this() {
        let waits = |kind| {
            move |s: &mut Script, task| {
                let (queue, _) = s.queue("vda");
                reclaims(s, task, kind);
                let request = s.submit(task, queue);
                s.wait(task, Resource::Request(request), "buffer WRITING");
            }
        };
        check(&[Breach::WaitsInKswapd], waits(ReclaimKind::Kswapd));
        check(&[], waits(ReclaimKind::Direct));
    }

    #[test]
    fn kswapd_may_wait_for_a_lock_unless_its_holder_reclaims() {
        let waits = |holder_reclaims: bool| {
            move |s: &mut Script, task| {
                let (lock, holder) = (s.lock("client", ""), s.task("holder"));
                s.take(holder, lock, LockMode::Exclusive);
                if holder_reclaims {
                    s.on(holder, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL });
                }
                reclaims(s, task, ReclaimKind::Kswapd);
                s.want(task, lock, LockMode::Exclusive, false);
            }
        };
        check(&[Breach::WaitsInKswapd], waits(true));
        check(&[], waits(false));
    }
}
