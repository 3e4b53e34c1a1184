//! `Stalls`: how long tasks stood, and behind what.
//!
//! Key types: [`Stalls`], [`Stall`]. This is not a judge, because a long wait is not wrong by
//! itself. It is an account for the report, in the world's own time: virtual ticks on the model
//! tier, real nanoseconds on the others. A server that waits for work and a task that sleeps do not
//! stall. Written from docs/kernel/shrinkers.md, "Rules of conduct": what users notice of a reclaim
//! problem is how long tasks stand.

use std::collections::BTreeMap;

use super::state::View;
use crate::event::{Event, EventKind, LockId, PoolId, QueueId, Resource, Site, TaskId, WaitId};
use crate::units::Nanos;

/// At most this many causes are told apart.
pub(super) const MAX_CAUSES: usize = 256;
/// At most this many waits of one task within each other are accounted for.
const MAX_OPEN: usize = 64;

/// What tasks wait for. Requests and work items count by their queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StallCause {
    /// A lock.
    Lock(LockId),
    /// The requests of a queue.
    Requests(QueueId),
    /// The items of a work queue.
    Work(QueueId),
    /// An element of a pool.
    Pool(PoolId),
    /// A condition.
    Condition(WaitId),
    /// The end of a task.
    Exit(TaskId),
}

impl StallCause {
    /// None if the wait is no stall, or if the request or item was not submitted yet.
    fn of(resource: Resource, view: &View) -> Option<Self> {
        match resource {
            Resource::Lock(lock) => Some(Self::Lock(lock)),
            Resource::Request(id) => view.request(id).map(|request| Self::Requests(request.queue)),
            Resource::Work(id) => view.work(id).map(|work| Self::Work(work.queue)),
            Resource::Pool(pool) => Some(Self::Pool(pool)),
            Resource::Condition(condition) => Some(Self::Condition(condition)),
            Resource::Task(task) => Some(Self::Exit(task)),
            Resource::Idle(_) | Resource::Timer => None,
        }
    }
}

/// The waits for one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    /// How many waits began.
    pub waits: u64,
    /// All of them together.
    pub total: Nanos,
    /// The longest of them.
    pub longest: Nanos,
    /// The task that stood longest.
    pub task: TaskId,
    /// Where that wait is.
    pub site: Site,
    /// Whether that wait has not ended.
    pub open: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenWait {
    resource: Resource,
    thing: StallCause,
    since: Nanos,
    site: Site,
}

/// The account of one run.
#[derive(Clone, Debug, Default)]
pub struct Stalls {
    ended: BTreeMap<StallCause, Stall>,
    /// The open waits of each task, outermost first.
    open: BTreeMap<TaskId, Vec<OpenWait>>,
    now: Nanos,
}

impl Stalls {
    /// Takes in one event, which `view` may contain already.
    pub fn observe(&mut self, event: &Event, view: &View) {
        self.now = event.time;
        match event.kind {
            EventKind::WaitBegin { resource, site, .. } => {
                let known = self.ended.len() + self.open.len() < MAX_CAUSES;
                if let Some(thing) = StallCause::of(resource, view).filter(|_| known) {
                    let open = self.open.entry(event.task).or_default();
                    if open.len() < MAX_OPEN {
                        open.push(OpenWait { resource, thing, since: event.time, site });
                    }
                }
            }
            EventKind::WaitEnd { resource, .. } => {
                let Some(open) = self.open.get_mut(&event.task) else {
                    return;
                };
                if let Some(place) = open.iter().rposition(|open| open.resource == resource) {
                    let ended = open.remove(place);
                    add(&mut self.ended, event.task, ended, event.time, false);
                }
                if open.is_empty() {
                    self.open.remove(&event.task);
                }
            }
            EventKind::TaskExit => {
                for open in self.open.remove(&event.task).into_iter().flatten() {
                    add(&mut self.ended, event.task, open, event.time, false);
                }
            }
            _ => {}
        }
    }

    /// Every thing that was waited for, the longest wait first; waits that are open count up to the
    /// last event.
    #[must_use]
    pub fn longest_first(&self) -> Vec<(StallCause, Stall)> {
        let mut all = self.ended.clone();
        let open = self.open.iter().flat_map(|(task, open)| open.iter().map(move |o| (task, o)));
        for (task, open) in open {
            add(&mut all, *task, *open, self.now, true);
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(thing, stall)| (std::cmp::Reverse(stall.longest), *thing));
        all
    }
}

fn add(
    to: &mut BTreeMap<StallCause, Stall>,
    task: TaskId,
    open: OpenWait,
    end: Nanos,
    is_open: bool,
) {
    let OpenWait { thing, since, site, .. } = open;
    let stood = Nanos(end.0.saturating_sub(since.0));
    let none = Stall { waits: 0, total: Nanos(0), longest: Nanos(0), task, site, open: is_open };
    let stall = to.entry(thing).or_insert(none);
    stall.waits += 1;
    stall.total = Nanos(stall.total.0.saturating_add(stood.0));
    if stood > stall.longest {
        *stall = Stall { longest: stood, task, site, open: is_open, ..*stall };
    }
}

#[cfg(test)]
mod tests;
