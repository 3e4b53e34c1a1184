//! RD08: the contract between allocator and reclaimer is broken.
//!
//! A reclaimer never reclaims below itself; what must not fail does not; and nobody goes deeper
//! into the reserves than the request's mark allows. Invariants 5, 17 and 18 of the project's
//! description of reclaim, section 9; the marks are those of 3.2, and what a request that must not
//! fail may take besides is said in 3.3 and 3.5. The judge keeps its own arithmetic of marks: it
//! must not trust the allocator that it judges.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind};
use super::frames::{Frame, FrameKind, is_reclaimer};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{AllocOutcome, Event, EventKind, Gfp, ReclaimKind, Site, TaskFlags, TaskId};
use crate::units::Pages;

/// The judge of RD08.
#[derive(Debug, Default)]
pub(super) struct Contract {
    found: BTreeSet<(TaskId, Breach, Option<Site>)>,
    min: Option<Pages>,
    victims: BTreeSet<TaskId>,
    /// The allocation of a task, by its event, that has just come to the OOM killer.
    desperate: BTreeMap<TaskId, u64>,
}

impl Judge for Contract {
    fn reads(&self) -> Reads {
        Reads::MEMORY.and(Reads::ALLOCATIONS).and(Reads::RECLAIM)
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let task = event.task;
        let (breach, site) = match event.kind {
            EventKind::Watermarks { min, .. } => {
                self.min = Some(min);
                return;
            }
            EventKind::OomKill { victim } => {
                self.victims.extend(victim);
                return;
            }
            EventKind::OutOfMemory => {
                self.desperate.extend(allocating(view, task).map(|alloc| (task, alloc.seq)));
                return;
            }
            EventKind::ReclaimEnter { kind, .. } => {
                // It goes round again: what it may take without marks, it may take once.
                let alloc = allocating(view, task).map(|alloc| alloc.seq);
                if alloc.is_some() && self.desperate.get(&task).copied() == alloc {
                    self.desperate.remove(&task);
                }
                (nested(view, task, kind), None)
            }
            EventKind::AllocEnd { outcome, left } => {
                let Some(frame) = view.closed() else {
                    return;
                };
                (self.outcome(task, frame, outcome, left), frame.site)
            }
            _ => return,
        };
        let Some(breach) = breach else {
            return;
        };
        if self.found.insert((task, breach, site)) {
            let mut chain = Chain::new(view);
            chain.task(task, None);
            chain.ends_with(StepKind::Broke { breach, subject: None }, site, event);
            out.push(chain.finish(breach.code(), event));
        }
    }
}

/// A reclaim that begins while the task is the reclaimer already.
fn nested(view: &View, task: TaskId, kind: ReclaimKind) -> Option<Breach> {
    if !matches!(kind, ReclaimKind::Direct | ReclaimKind::Memcg) {
        return None;
    }
    let frames = view.frames(task);
    // The last frame is the reclaim that begins.
    let outer = frames.split_last().map_or(&[][..], |(_, outer)| outer);
    outer.iter().any(|frame| is_reclaimer(frame.kind)).then_some(Breach::NestedReclaim)
}

/// The innermost allocation of the task that is under way.
fn allocating(view: &View, task: TaskId) -> Option<&Frame> {
    view.frames(task).iter().rev().find(|frame| matches!(frame.kind, FrameKind::Alloc { .. }))
}

impl Contract {
    fn outcome(
        &mut self,
        task: TaskId,
        frame: &Frame,
        outcome: AllocOutcome,
        left: Pages,
    ) -> Option<Breach> {
        let FrameKind::Alloc { effective, flags, .. } = frame.kind else {
            return None;
        };
        let desperate = self.desperate.get(&task) == Some(&frame.seq);
        if desperate {
            self.desperate.remove(&task);
        }
        match outcome {
            AllocOutcome::Failed => {
                let must = effective.contains(Gfp::NOFAIL) && effective.allow_blocking();
                must.then_some(Breach::NofailFailed)
            }
            AllocOutcome::Elsewhere => None,
            AllocOutcome::Ok => {
                let min = self.min?;
                let mut floor = floor(min, effective, flags, self.victims.contains(&task));
                if effective.contains(Gfp::NOFAIL) && effective.allow_blocking() {
                    // Every page once the killer was come to; before, what HIGH may take.
                    floor = floor.min(if desperate { Pages(0) } else { Pages(min.0 - min.0 / 2) });
                }
                (left < floor).then_some(Breach::ReservesTaken)
            }
        }
    }
}

/// The mark that a request goes down to.
fn floor(min: Pages, mask: Gfp, flags: TaskFlags, victim: bool) -> Pages {
    let reclaimer = flags.contains(TaskFlags::MEMALLOC) || mask.contains(Gfp::MEMALLOC);
    let reserves = !mask.contains(Gfp::NOMEMALLOC);
    if reclaimer && reserves {
        return Pages(0);
    }
    let mut floor = min.0;
    if mask.contains(Gfp::HIGH) {
        floor -= floor / 2;
        if !mask.allow_blocking() && reserves {
            floor -= floor / 4;
        }
    }
    if victim && reserves {
        floor -= floor / 2;
    }
    Pages(floor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ScopeKind;
    use crate::witness::script::{Script, breaches};

    /// The breaches that are named, in order.
    #[track_caller]
    fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        s.on(task, EventKind::Watermarks { min: Pages(1000), low: Pages(1250), high: Pages(1500) });
        story(&mut s, task);
        assert_eq!(breaches(&s), expect);
    }

    fn alloc(s: &mut Script, task: TaskId, requested: Gfp, effective: Gfp, flags: TaskFlags) {
        let site = Site { file: "x.rs", line: 1 };
        s.on(task, EventKind::AllocBegin { order: 0, requested, effective, flags, site });
    }

    /// An allocation with `mask` on a task with `flags`, which leaves `left` pages or fails.
    #[track_caller]
    fn check_end(mask: Gfp, flags: TaskFlags, left: Option<u64>, expect: &[Breach]) {
        check(expect, |s, task| {
            alloc(s, task, mask, mask, flags);
            let outcome = if left.is_some() { AllocOutcome::Ok } else { AllocOutcome::Failed };
            s.on(task, EventKind::AllocEnd { outcome, left: Pages(left.unwrap_or(0)) });
        });
    }

    const NONE: TaskFlags = TaskFlags::EMPTY;

    #[test]
    fn reserves_are_for_those_with_a_right_to_them() {
        let taken = &[Breach::ReservesTaken][..];
        for (mask, flags, floor) in [
            (Gfp::KERNEL, NONE, 1000),
            (Gfp::NOWAIT, NONE, 1000),
            (Gfp::KERNEL | Gfp::HIGH, NONE, 500),
            (Gfp::ATOMIC, NONE, 375),
            (Gfp::KERNEL | Gfp::NOMEMALLOC, TaskFlags::MEMALLOC, 1000),
        ] {
            check_end(mask, flags, Some(floor), &[]);
            check_end(mask, flags, Some(floor - 1), taken);
        }
        check_end(Gfp::KERNEL, TaskFlags::MEMALLOC, Some(0), &[]);
        check_end(Gfp::KERNEL | Gfp::MEMALLOC, NONE, Some(0), &[]);
    }

    #[test]
    fn memory_that_is_not_the_worlds_draws_on_no_reserve() {
        check(&[], |s, task| {
            alloc(s, task, Gfp::KERNEL, Gfp::KERNEL, NONE);
            s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Elsewhere, left: Pages(0) });
        });
    }

    #[test]
    fn a_victim_of_the_killer_gets_half() {
        let story = |left| {
            move |s: &mut Script, task| {
                s.on(task, EventKind::OomKill { victim: Some(task) });
                alloc(s, task, Gfp::KERNEL, Gfp::KERNEL, NONE);
                s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(left) });
            }
        };
        check(&[], story(500));
        check(&[Breach::ReservesTaken], story(499));
    }

    #[test]
    fn what_must_not_fail_does_not() {
        check_end(Gfp::KERNEL | Gfp::NOFAIL, NONE, None, &[Breach::NofailFailed]);
        check_end(Gfp::KERNEL, NONE, None, &[]);
    }

    #[test]
    fn a_request_that_must_not_fail_has_half_of_the_mark_before_the_killer_and_all_of_it_then() {
        let nofail = Gfp::KERNEL | Gfp::NOFAIL;
        check_end(nofail, NONE, Some(500), &[]);
        check_end(nofail, NONE, Some(499), &[Breach::ReservesTaken]);
        let killer = |mask: Gfp, again: bool| {
            move |s: &mut Script, task| {
                alloc(s, task, mask, mask, NONE);
                s.on(task, EventKind::OutOfMemory);
                if again {
                    s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask });
                    s.on(task, EventKind::ReclaimExit { freed: 0, priority: 0 });
                }
                s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(0) });
            }
        };
        check(&[], killer(nofail, false));
        check(&[Breach::ReservesTaken], killer(nofail, true));
        check(&[Breach::ReservesTaken], killer(Gfp::KERNEL, false));
    }

    #[test]
    fn a_reclaimer_that_reclaims_is_found() {
        let direct = EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL };
        check(&[Breach::NestedReclaim], |s, task| {
            s.on(task, direct);
            s.on(task, direct);
        });
        check(&[Breach::NestedReclaim], |s, task| {
            s.scope(task, ScopeKind::Noreclaim, 1);
            s.on(task, direct);
        });
        check(&[], |s, task| {
            s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
            s.reclaim(task, Gfp::KERNEL);
            s.end_reclaim(task);
            s.on(task, direct);
        });
    }
}
