//! RD07, RD08: kswapd waits for what may wait for memory, or reclaims with a mask of its waker's.
//!
//! kswapd works for everybody, so it waits for no I/O, and for nobody who is in direct reclaim: not
//! for such a holder of a lock, such a worker of what it flushes, whoever has the element of a pool
//! or promised to signal. A work item that does I/O for it is I/O too. What it waits for may begin
//! to reclaim later, so its waits are looked at again when anybody does. In a shrinker's scan it is
//! the shrinker that is to blame (RD07). Invariant 15 of the project's description of reclaim,
//! section 9. A wait for a pool whose elements are in flight with requests is left out: swap-out
//! allocates bios that way.

use std::collections::BTreeSet;

use crate::event::{Event, EventKind, Gfp, ReclaimKind, Resource, ShrinkerId, TaskId};
use crate::witness::{
    Breach, Chain, Finding, Frame, FrameKind, Judge, Moment, Quorum, Reads, StepKind, Subject, View,
};

/// The judge of invariant 15.
#[derive(Debug, Default)]
pub(super) struct Kswapd {
    found: BTreeSet<(TaskId, Option<ShrinkerId>, Breach)>,
    /// Those that reclaim as kswapd and wait for somebody, which was nothing bad so far.
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
            EventKind::WaitEnd { .. } | EventKind::LockAcquired { .. } | EventKind::TaskExit => {
                self.waiting.remove(&task);
            }
            EventKind::WaitBegin { .. } => {
                if below_kswapd(view.frames(task)).is_some() && view.wait(task).is_some() {
                    self.waiting.insert(task);
                }
                self.look(event, view, out);
            }
            EventKind::ReclaimEnter { kind, mask } => {
                if kind == ReclaimKind::Kswapd && mask != Gfp::KERNEL {
                    self.found(task, None, Breach::KswapdMask, event, view, out);
                }
                self.look(event, view, out);
            }
            _ => {}
        }
    }
}

impl Kswapd {
    /// Looks at every wait of kswapd.
    fn look(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let bad: Vec<_> =
            self.waiting.iter().copied().filter(|kswapd| forbidden(view, *kswapd)).collect();
        for kswapd in bad {
            self.waiting.remove(&kswapd);
            let shrinker = below_kswapd(view.frames(kswapd)).and_then(scanning);
            let breach =
                if shrinker.is_some() { Breach::WaitsInKswapd } else { Breach::KswapdWaits };
            self.found(kswapd, shrinker, breach, event, view, out);
        }
    }

    fn found(
        &mut self,
        kswapd: TaskId,
        shrinker: Option<ShrinkerId>,
        breach: Breach,
        event: &Event,
        view: &View,
        out: &mut Vec<Finding>,
    ) {
        if self.found.insert((kswapd, shrinker, breach)) {
            let mut chain = Chain::new(view);
            chain.task(kswapd, None);
            let site = view.wait(kswapd).map(|wait| wait.site);
            let subject = shrinker.map(Subject::Shrinker);
            chain.ends_with(StepKind::Broke { breach, subject }, site, event);
            out.push(chain.finish(breach.code(), event));
        }
    }
}

/// The frames from kswapd's reclaim on, if the task is in one.
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
    let does_io = |task: TaskId| {
        let waits =
            view.wait(task).is_some_and(|wait| matches!(wait.resource, Resource::Request(_)));
        matches!(resource, Resource::Work(_)) && waits
    };
    let (quorum, mut needed) = view.needed(kswapd);
    let stands = |task| reclaims(task) || does_io(task);
    match quorum {
        Quorum::All => needed.any(|needed| stands(needed.task)),
        Quorum::Any => {
            let mut any = false;
            needed.all(|needed| {
                any = true;
                stands(needed.task)
            }) && any
        }
    }
}

#[cfg(test)]
mod tests;
