//! RD07, RD08: kswapd waits for a task that may itself wait for memory, or reclaims with another
//! mask.
//!
//! Every task depends on kswapd, so kswapd waits neither for I/O nor for a task in direct reclaim.
//! This holds for the holder of a lock, the worker of an item that kswapd flushes, the holder of a
//! pool element, and the task that promised to signal a condition. A work item that does I/O counts
//! as I/O. A task may begin to reclaim while kswapd already waits for it, so the waits of kswapd
//! are checked again at each reclaim. If kswapd waits inside the scan of a shrinker, the shrinker
//! is to blame (RD07). Invariant 15 of docs/kernel/rules.md, "Invariants". A wait for a pool whose
//! elements belong to requests in flight is left out, because swap-out allocates bios that way.

use std::collections::BTreeSet;

use crate::event::{EventKind, Gfp, ReclaimKind, Resource, ShrinkerId, TaskId};
use crate::witness::{
    Breach, Finding, Frame, FrameKind, Judge, Moment, Needed, Reads, Subject, View, broken_rule,
};

/// The judge of invariant 15.
#[derive(Debug, Default)]
pub(super) struct Kswapd {
    found: BTreeSet<(TaskId, Option<ShrinkerId>, Breach)>,
    /// Tasks that reclaim as kswapd and wait, with a wait that was allowed so far.
    waiting: BTreeSet<TaskId>,
}

impl Judge for Kswapd {
    fn reads(&self) -> Reads {
        Reads::WAITS.and(Reads::LOCKS).and(Reads::TASKS).and(Reads::RECLAIM)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let task = event.task;
        match event.kind {
            EventKind::TaskExit => drop(self.waiting.remove(&task)),
            EventKind::WaitEnd { .. } | EventKind::LockAcquired { .. } => {
                self.waiting.remove(&task);
                // The wait around the one that ended is in force again.
                if self.waits(task, view) {
                    self.look(moment, out);
                }
            }
            EventKind::WaitBegin { .. } => {
                self.waits(task, view);
                self.look(moment, out);
            }
            EventKind::ReclaimEnter { kind, mask } => {
                if kind == ReclaimKind::Kswapd && mask != Gfp::KERNEL {
                    self.report(moment, task, None, Breach::KswapdMask, out);
                }
                self.look(moment, out);
            }
            _ => {}
        }
    }
}

impl Kswapd {
    /// Notes whether the task waits as kswapd.
    fn waits(&mut self, task: TaskId, view: &View) -> bool {
        let waits = view.wait(task).is_some() && below_kswapd(view.frames(task)).is_some();
        if waits {
            self.waiting.insert(task);
        }
        waits
    }

    /// Looks at every wait of kswapd.
    fn look(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let view = moment.view;
        let bad: Vec<_> =
            self.waiting.iter().copied().filter(|kswapd| forbidden(view, *kswapd)).collect();
        for kswapd in bad {
            self.waiting.remove(&kswapd);
            let shrinker = below_kswapd(view.frames(kswapd)).and_then(scanning);
            let breach =
                if shrinker.is_some() { Breach::WaitsInKswapd } else { Breach::KswapdWaits };
            self.report(moment, kswapd, shrinker, breach, out);
        }
    }

    fn report(
        &mut self,
        moment: &Moment<'_>,
        kswapd: TaskId,
        shrinker: Option<ShrinkerId>,
        breach: Breach,
        out: &mut Vec<Finding>,
    ) {
        if self.found.insert((kswapd, shrinker, breach)) {
            let site = moment.view.wait(kswapd).map(|wait| wait.site);
            let subject = shrinker.map(Subject::Shrinker);
            out.push(broken_rule(moment, kswapd, breach, subject, site));
        }
    }
}

/// The frames from the reclaim of kswapd inwards, if the task is in one.
fn below_kswapd(frames: &[Frame]) -> Option<&[Frame]> {
    let kswapd = |kind| matches!(kind, FrameKind::Reclaim { kind: ReclaimKind::Kswapd, .. });
    frames.iter().position(|frame| kswapd(frame.kind)).map(|begun| &frames[begun..])
}

/// The shrinker whose scan is under way.
fn scanning(frames: &[Frame]) -> Option<ShrinkerId> {
    frames.iter().rev().find_map(|frame| match frame.kind {
        FrameKind::Scan { shrinker, .. } => Some(shrinker),
        _ => None,
    })
}

/// Whether the present wait of the task is one that kswapd must not make.
fn forbidden(view: &View, kswapd: TaskId) -> bool {
    let Some(resource) = view.wait(kswapd).map(|wait| wait.resource) else {
        return false;
    };
    if matches!(resource, Resource::Request(_)) {
        return true;
    }
    let reclaims = |task: TaskId| {
        let direct = |kind| matches!(kind, ReclaimKind::Direct | ReclaimKind::Memcg);
        let frames = view.frames(task).iter();
        frames
            .map(|frame| frame.kind)
            .any(|kind| matches!(kind, FrameKind::Reclaim { kind, .. } if direct(kind)))
    };
    let does_io = |needed: &Needed| {
        let wait = view.holds_up(needed);
        let waits = wait.is_some_and(|wait| matches!(wait.resource, Resource::Request(_)));
        matches!(resource, Resource::Work(_)) && waits
    };
    view.is_stuck(kswapd, |needed| reclaims(needed.task) || does_io(needed))
}

#[cfg(test)]
mod tests;
