//! RD02: a task on whose progress a scoped task waits entered a layer that the scope forbids.
//!
//! Waiting carries the scope. The path starts at the scope and runs over the frames of the waiter
//! to its wait; then over the frames of the task that must act, as far as they belong to the role
//! in which it must act, to the wait of that task; and so on. It is a finding if the path has a
//! reclaim after the scope, and the forbidden entry after the reclaim. Without a reclaim the entry
//! is legal: a commit inside NOFS writes to a loop device, and the loop worker has to enter the
//! filesystem below.

use std::collections::BTreeSet;

use crate::event::{Event, EventKind, Gfp, Layer, LockId, RequestId, Resource, TaskId};
use crate::witness::{
    Chain, Code, Entry, Finding, Frame, FrameKind, Judge, Moment, Needed, Reads, Role, Tally, View,
    restriction,
};

/// Paths longer than this are not followed.
const MAX_HOPS: usize = 64;
/// At most this many hops are followed for one event; no test world needs as many.
const MAX_VISITS: u32 = 1 << 12;

/// The judge of RD02.
#[derive(Debug, Default)]
pub(super) struct Carried {
    found: BTreeSet<(TaskId, u64, Layer, Resource)>,
    path: Vec<Needed>,
    changed: Changed,
}

/// What changed since paths were looked for the last time. Only a task behind a change can have a
/// new path.
#[derive(Debug, Default)]
struct Changed {
    tasks: BTreeSet<TaskId>,
    /// Everything, as far as this judge knows.
    all: bool,
}

impl Changed {
    /// Takes in what the event changed.
    fn take_in(&mut self, event: &Event, view: &View) {
        match event.kind {
            // What the event's task is in, waits for, holds or serves.
            EventKind::LockAttempt { .. } | EventKind::AllocBegin { .. } => {}
            // Any one of the other servers, holders or promises may be enough from now on.
            EventKind::PoolTake { .. }
            | EventKind::PoolGive { .. }
            | EventKind::PoolHandOver { .. } => {
                self.all |= view.pools_are_waited_for();
            }
            EventKind::Promise { condition, .. }
            | EventKind::PromiseEnd { condition, .. }
            | EventKind::Signal { condition } => {
                self.all |= view.waiters(Resource::Condition(condition)).next().is_some();
            }
            EventKind::TaskExit => {
                self.all |= view.exit_matters();
            }
            // A submitter may publish a number, and others wait for it, before the submission.
            EventKind::RequestSubmit { request, .. } => {
                self.tasks.extend(view.waiters(Resource::Request(request)));
                self.all |= view.pools_are_waited_for();
                self.tasks.insert(event.task);
            }
            EventKind::RequestPassed { .. } => self.all = true,
            EventKind::RequestServed { request } => {
                self.all |= view.request(request).is_some_and(|facts| facts.passed.is_some());
                self.tasks.insert(event.task);
            }
            EventKind::RequestComplete { .. } => {
                self.all |= view.pools_are_waited_for() || !view.ended_promises().is_empty();
            }
            EventKind::WorkEnd { .. } => {
                self.all |= !view.ended_promises().is_empty();
                self.tasks.insert(event.task);
            }
            EventKind::WorkQueued { work, .. } => {
                self.tasks.extend(view.waiters(Resource::Work(work)));
            }
            EventKind::LockReleased { lock } => self.hidden(lock, 0, view),
            EventKind::LockAcquired { lock, .. }
            | EventKind::WaitEnd { resource: Resource::Lock(lock), .. }
                if view.wait(event.task).is_none() =>
            {
                let held = view.task(event.task).map_or(&[][..], |task| &task.held);
                let others = held.iter().map(|held| held.lock).filter(|held| *held != lock);
                others.for_each(|other| self.hidden(other, 1, view));
            }
            // It leads nowhere, and is no entry.
            EventKind::WaitBegin { resource, .. }
                if !matches!(resource, Resource::Request(_))
                    && view.needed(event.task).1.next().is_none() => {}
            _ => drop(self.tasks.insert(event.task)),
        }
    }

    /// A path through one holder of `lock` ended. It may have hidden that through another, if there
    /// are more holders than `more_than`.
    fn hidden(&mut self, lock: LockId, more_than: usize, view: &View) {
        if view.holders(lock).nth(more_than).is_some() {
            self.tasks.extend(view.waiters(Resource::Lock(lock)));
        }
    }
}

/// The forbidden entry at the end of a path.
struct ForbiddenEntry {
    layer: Layer,
    /// The event that opened the scope or the reclaim.
    restricted: u64,
    submitted: Option<RequestId>,
}

impl Judge for Carried {
    fn reads(&self) -> Reads {
        let looked_at =
            Reads::LAYERS.and(Reads::WAITS).and(Reads::REQUESTS).and(Reads::WORK).and(Reads::LOCKS);
        let changes = Reads::SCOPES.and(Reads::RECLAIM).and(Reads::SHRINKERS).and(Reads::TASKS);
        looked_at.and(changes).and(Reads::POOLS).and(Reads::WORLD)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        if !view.reclaims() {
            // Every path has a reclaim, and when one begins, its task is what changed.
            self.changed = Changed::default();
            return;
        }
        self.changed.take_in(event, view);
        let submitted = match event.kind {
            EventKind::LayerEnter { .. }
            | EventKind::WaitBegin { .. }
            | EventKind::RequestServe { .. }
            | EventKind::WorkBegin { .. }
            | EventKind::QueueServer { .. }
            | EventKind::LockAcquired { .. } => None,
            EventKind::RequestSubmit { request, .. } => Some((event.task, request)),
            _ => return,
        };
        let Changed { tasks, all } = std::mem::take(&mut self.changed);
        let behind = if all { view.waiting_tasks() } else { view.all_behind(tasks) };
        // The submission is over with this event: then its task is in no I/O any more.
        self.changed.tasks.extend(submitted.map(|(task, _)| task));
        for id in behind {
            let Some(wait) = view.wait(id).filter(|_| restricts(view.frames(id))) else {
                continue;
            };
            self.path.clear();
            self.path.push(Needed::new(id, Role::Serves, 0));
            let mut walk = Walk { view, path: &mut self.path, submitted, visits: 0 };
            let Some(entry) = walk.below() else {
                continue;
            };
            if self.found.insert((id, entry.restricted, entry.layer, wait.resource)) {
                out.push(finding(event, view, &self.path, &entry));
            }
        }
    }
}

/// Whether anything in `frames` could forbid anything.
fn restricts(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| match frame.kind {
        FrameKind::Scope { kind, .. } => kind.restricts(),
        FrameKind::Reclaim { mask, .. } | FrameKind::Scan { mask, .. } => {
            !mask.contains(Gfp::FS | Gfp::IO)
        }
        _ => false,
    })
}

fn finding(event: &Event, view: &View, path: &[Needed], entry: &ForbiddenEntry) -> Finding {
    let mut chain = Chain::new(view);
    for (place, hop) in path.iter().enumerate() {
        let last = place + 1 == path.len();
        chain.task(hop.task, entry.submitted.filter(|_| last));
        if let Some(next) = path.get(place + 1) {
            chain.edge(hop.task, *next);
        }
    }
    chain.finish(Code::RD02, event)
}

/// An entry, and the path to it.
type Found = (ForbiddenEntry, Vec<Needed>);

/// Tasks of which one is enough, as far as they were looked at; none found if one of them leads
/// nowhere.
struct Supplier {
    number: u32,
    units: u32,
    found: Option<Found>,
}

impl Supplier {
    /// Counts it; says whether the wait leads to an entry, once that is known.
    fn close(self, tally: &mut Tally, first: &mut Option<Found>) -> Option<bool> {
        let known = tally.take(self.units, self.found.is_some());
        *first = first.take().or(self.found);
        known
    }
}

struct Walk<'a> {
    view: &'a View,
    path: &'a mut Vec<Needed>,
    submitted: Option<(TaskId, RequestId)>,
    visits: u32,
}

impl Walk<'_> {
    /// Looks for a forbidden entry behind the wait at the end of the path, and leaves the path that
    /// leads to it. So many of those that can end the wait must lead to such an entry that the
    /// others are not enough.
    fn below(&mut self) -> Option<ForbiddenEntry> {
        let view = self.view;
        let depth = self.path.len();
        let waiter = self.path.last()?;
        view.holds_up(waiter)?;
        let (needs, needed) = view.needed(waiter.task);
        let mut tally = Tally::new(needs);
        let mut first: Option<Found> = None;
        let mut open: Option<Supplier> = None;
        for next in needed {
            match &open {
                // One of its tasks leads nowhere, and that one is enough.
                Some(Supplier { number, found: None, .. }) if *number == next.supplier => continue,
                Some(Supplier { number, .. }) if *number == next.supplier => {}
                _ => {
                    if let Some(stuck) =
                        open.take().and_then(|all| all.close(&mut tally, &mut first))
                    {
                        return self.found(first.filter(|_| stuck));
                    }
                }
            }
            self.visits += 1;
            if depth >= MAX_HOPS || self.visits > MAX_VISITS {
                return None;
            }
            let again = self.path.iter().any(|hop| hop.task == next.task);
            let entry = if again {
                None
            } else {
                self.path.push(next);
                self.entry(next.task).or_else(|| self.below())
            };
            let found = entry.map(|entry| (entry, self.path.clone()));
            self.path.truncate(depth);
            open = Some(match open.take() {
                Some(all) if found.is_some() => all,
                _ => Supplier { number: next.supplier, units: next.units, found },
            });
        }
        let known = open.and_then(|all| all.close(&mut tally, &mut first));
        let stuck = known.unwrap_or_else(|| tally.is_stuck());
        self.found(first.filter(|_| stuck))
    }

    /// Leaves the path that was found.
    fn found(&mut self, found: Option<Found>) -> Option<ForbiddenEntry> {
        let (entry, path) = found?;
        *self.path = path;
        Some(entry)
    }

    /// A forbidden entry of the task at the end of the path, within the role that put it there.
    fn entry(&self, task: TaskId) -> Option<ForbiddenEntry> {
        let role = self.path.last()?;
        let since = role.since;
        let frames = self.view.frames(task).iter().filter(|frame| frame.seq > since);
        let layers = frames.filter_map(|frame| match frame.kind {
            FrameKind::Layer { layer } => self.forbidden(layer.into(), frame.seq, None),
            _ => None,
        });
        let submitted =
            self.submitted.filter(|(submitter, _)| *submitter == task).map(|(_, request)| request);
        let waits = matches!(
            self.view.holds_up(role).map(|wait| wait.resource),
            Some(Resource::Request(_))
        );
        let io = || {
            (submitted.is_some() || waits)
                .then(|| self.forbidden(Entry::IO, u64::MAX, submitted))
                .flatten()
        };
        layers.chain(std::iter::once_with(io).flatten()).next()
    }

    /// Whether the first task's restriction reaches an entry into `layer` at `until`.
    fn forbidden(
        &self,
        entry: Entry,
        until: u64,
        submitted: Option<RequestId>,
    ) -> Option<ForbiddenEntry> {
        let source = self.path.first()?.task;
        let (last, before) = self.path.split_last()?;
        // What a task opened since its wait began belongs to code that the wait calls.
        let waits = |hop: &Needed| self.view.wait(hop.task).map_or(u64::MAX, |wait| wait.seq);
        let ends = before.iter().map(|hop| (hop, waits(hop))).chain(std::iter::once((last, until)));
        let path = ends.flat_map(|(hop, until)| {
            let frames = self.view.frames(hop.task).iter();
            let role = frames.filter(move |frame| frame.seq > hop.since && frame.seq < until);
            role.map(|frame| (hop.task, frame.kind, frame.seq))
        });
        let by = restriction(path, entry).filter(|by| by.task == source)?;
        Some(ForbiddenEntry { layer: entry.layer, restricted: by.seq, submitted })
    }
}

#[cfg(test)]
mod tests;
