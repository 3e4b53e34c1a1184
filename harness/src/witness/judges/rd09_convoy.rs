//! RD09: tasks stand behind a lock whose holder waits for I/O.
//!
//! No single wait is wrong. But a lock that is held over I/O makes every waiter as slow as the
//! device, and below reclaim the waiters are all tasks that need memory. A convoy is two or more
//! waiters for longer than a bound, in the world's own time. Written from docs/kernel/shrinkers.md,
//! "Rules of conduct".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, LockId, Resource, TaskId};
use crate::units::{Nanos, Ticks};
use crate::witness::{Breach, Chain, Finding, Judge, Moment, Reads, StepKind, Subject, Task, View};

/// Fewer waiters than this are no convoy.
const MIN_WAITERS: usize = 2;

/// A lock with waiters whose holder waits for I/O.
#[derive(Debug)]
struct Jam {
    holder: TaskId,
    since: Nanos,
}

/// The judge of RD09.
#[derive(Debug)]
pub(super) struct Convoy {
    bound: Ticks,
    jams: BTreeMap<LockId, Jam>,
    /// Jams that are not due yet, the oldest first.
    open: BTreeSet<(Nanos, LockId)>,
    /// Locks that a finding named.
    told: BTreeSet<LockId>,
}

impl Convoy {
    /// A judge that lets tasks stand for less than `bound`.
    pub(super) const fn new(bound: Ticks) -> Self {
        Self { bound, jams: BTreeMap::new(), open: BTreeSet::new(), told: BTreeSet::new() }
    }
}

impl Judge for Convoy {
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        for lock in self.due(event.time) {
            if let Some(jam) = self.jams.get(&lock)
                && self.told.insert(lock)
            {
                out.push(finding(lock, jam.holder, event, view));
            }
        }
        for lock in touched(event, view) {
            self.look(lock, event.time, view);
        }
    }
}

impl Convoy {
    /// The locks that have been jammed for the bound now; each jam is due once.
    fn due(&mut self, now: Nanos) -> Vec<LockId> {
        let mut due = Vec::new();
        while let Some((since, lock)) = self.open.first().copied()
            && now.0.saturating_sub(since.0) >= self.bound.nanos().0
        {
            self.open.pop_first();
            due.push(lock);
        }
        due.sort_unstable();
        due
    }

    /// Whether the lock is jammed now. One that was jammed before keeps its start time.
    fn look(&mut self, lock: LockId, now: Nanos, view: &View) {
        let waits_for_io = |task: &TaskId| {
            let wait = view.task(*task).and_then(Task::wait);
            matches!(wait.map(|wait| wait.resource), Some(Resource::Request(_)))
        };
        let crowded = view.waiters(Resource::Lock(lock)).take(MIN_WAITERS).count() == MIN_WAITERS;
        let mut holders = view.holders(lock).filter(waits_for_io).filter(|_| crowded);
        let before = self.jams.get(&lock).map(|jam| (jam.holder, jam.since));
        let known = before.filter(|(known, _)| holders.any(|holder| holder == *known));
        if known.is_some() {
            return;
        }
        if let Some((_, since)) = before {
            self.jams.remove(&lock);
            self.open.remove(&(since, lock));
        }
        if let Some(holder) = view.holders(lock).filter(waits_for_io).filter(|_| crowded).min() {
            self.jams.insert(lock, Jam { holder, since: now });
            self.open.insert((now, lock));
        }
    }
}

/// The locks that the event can have jammed or freed: the one that it is about, and those that its
/// task holds, where it begins or ends a wait for I/O.
fn touched(event: &Event, view: &View) -> Vec<LockId> {
    let held = || {
        let task = view.exited(event.task).or_else(|| view.task(event.task));
        let held = task.map_or(&[][..], |task| &task.held);
        held.iter().map(|held| held.lock)
    };
    match event.kind {
        EventKind::LockAcquired { lock, .. } | EventKind::LockReleased { lock } => vec![lock],
        EventKind::WaitBegin { resource: Resource::Lock(lock), .. }
        | EventKind::WaitEnd { resource: Resource::Lock(lock), .. } => {
            held().chain([lock]).collect()
        }
        EventKind::WaitBegin { .. } | EventKind::WaitEnd { .. } => held().collect(),
        EventKind::TaskExit => {
            let waits = view.exited(event.task).map_or(&[][..], |task| &task.waits);
            let locks = waits.iter().filter_map(|wait| match wait.resource {
                Resource::Lock(lock) => Some(lock),
                _ => None,
            });
            held().chain(locks).collect()
        }
        _ => Vec::new(),
    }
}

fn finding(lock: LockId, holder: TaskId, event: &Event, view: &View) -> Finding {
    let mut chain = Chain::new(view);
    for id in view.waiters(Resource::Lock(lock)) {
        chain.task(id, None);
    }
    chain.task(holder, None);
    let what = StepKind::Broke { breach: Breach::Convoy, subject: Some(Subject::Lock(lock)) };
    chain.ends_with(what, None, event);
    chain.finish(Breach::Convoy.code(), event)
}

#[cfg(test)]
mod tests;
