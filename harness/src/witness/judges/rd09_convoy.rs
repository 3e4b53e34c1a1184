//! RD09: tasks stand behind a lock whose holder waits for I/O.
//!
//! No single wait is wrong. But a lock that is held over I/O makes every waiter as slow as the
//! device, and below reclaim the waiters are all tasks that need memory. A convoy is two or more
//! waiters for longer than a bound, in the world's own time. Written from docs/kernel/shrinkers.md,
//! "Rules of conduct".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, LockId, Resource, TaskId};
use crate::units::{Nanos, Ticks};
use crate::witness::{Breach, Chain, Finding, Judge, Moment, Reads, StepKind, Subject, View};

/// Fewer waiters than this are no convoy.
const MIN_WAITERS: usize = 2;

/// A lock with waiters whose holder waits for I/O.
#[derive(Debug)]
struct Jam {
    holder: TaskId,
    since: Nanos,
    told: bool,
}

/// The judge of RD09.
#[derive(Debug)]
pub(super) struct Convoy {
    bound: Ticks,
    jams: BTreeMap<LockId, Jam>,
    /// Locks that a finding named.
    told: BTreeSet<LockId>,
}

impl Convoy {
    /// A judge that lets tasks stand for less than `bound`.
    pub(super) const fn new(bound: Ticks) -> Self {
        Self { bound, jams: BTreeMap::new(), told: BTreeSet::new() }
    }
}

impl Judge for Convoy {
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        for (lock, jam) in &mut self.jams {
            let stood = event.time.0.saturating_sub(jam.since.0);
            if !jam.told && stood >= self.bound.nanos().0 {
                jam.told = true;
                if !self.told.insert(*lock) {
                    continue;
                }
                out.push(finding(*lock, jam.holder, event, view));
            }
        }
        let may_end = matches!(
            event.kind,
            EventKind::WaitEnd { .. }
                | EventKind::LockAcquired { .. }
                | EventKind::LockReleased { .. }
                | EventKind::TaskExit
        );
        // A task that waits does nothing else, so only the begin of a wait can jam a lock.
        if matches!(event.kind, EventKind::WaitBegin { .. }) || may_end && !self.jams.is_empty() {
            self.look(event.time, view);
        }
    }
}

impl Convoy {
    /// Finds the locks that are jammed now. A lock that was jammed before keeps its start time.
    fn look(&mut self, now: Nanos, view: &View) {
        let mut jams = BTreeMap::new();
        for (holder, task) in view.tasks() {
            let io = task.wait().filter(|wait| matches!(wait.resource, Resource::Request(_)));
            let held = |began: u64| task.held.iter().filter(move |held| held.seq < began);
            for held in io.into_iter().flat_map(|wait| held(wait.seq)) {
                if waiters(held.lock, view) >= MIN_WAITERS {
                    let before = self.jams.remove(&held.lock).filter(|jam| jam.holder == holder);
                    let jam = before.unwrap_or(Jam { holder, since: now, told: false });
                    jams.insert(held.lock, jam);
                }
            }
        }
        self.jams = jams;
    }
}

fn waiters(lock: LockId, view: &View) -> usize {
    let waits =
        |id: TaskId| view.wait(id).is_some_and(|wait| wait.resource == Resource::Lock(lock));
    view.tasks().filter(|(id, _)| waits(*id)).count()
}

fn finding(lock: LockId, holder: TaskId, event: &Event, view: &View) -> Finding {
    let mut chain = Chain::new(view);
    let behind = view.tasks().map(|(id, _)| id);
    for id in
        behind.filter(|id| view.wait(*id).is_some_and(|wait| wait.resource == Resource::Lock(lock)))
    {
        chain.task(id, None);
    }
    chain.task(holder, None);
    let what = StepKind::Broke { breach: Breach::Convoy, subject: Some(Subject::Lock(lock)) };
    chain.ends_with(what, None, event);
    chain.finish(Breach::Convoy.code(), event)
}

#[cfg(test)]
mod tests;
