//! `Stalls`: how long tasks stood, and behind what.
//!
//! Key types: [`Stalls`], [`Stall`]. Not a judge: a long wait is not wrong by itself. It is the
//! account that RD05 and RD09 leave open, in the world's own time: virtual ticks on the model tier,
//! real nanoseconds on the others. Waits for something to do and for time to pass are no stalls.
//! Written from the project's description of reclaim, 4.5: what is felt of a reclaim problem is how
//! long everybody stands.

use std::collections::BTreeMap;

use super::view::View;
use crate::event::{Event, EventKind, LockId, PoolId, QueueId, Resource, Site, TaskId, WaitId};
use crate::units::Nanos;

/// More different things than these are not told apart.
pub(super) const MAX_THINGS: usize = 256;

/// What is waited for: not the one request or item, but those of a queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Thing {
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

impl Thing {
    /// None for what is no stall, and for a request or an item that nobody submitted yet.
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
    /// Who stood longest, and where.
    pub task: TaskId,
    /// Where that wait is.
    pub site: Site,
    /// Whether that wait has not ended.
    pub open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    thing: Thing,
    since: Nanos,
    site: Site,
}

/// The account of one run.
#[derive(Clone, Debug, Default)]
pub struct Stalls {
    ended: BTreeMap<Thing, Stall>,
    open: BTreeMap<TaskId, Open>,
    now: Nanos,
}

impl Stalls {
    /// Takes in one event, which `view` may contain already.
    pub fn observe(&mut self, event: &Event, view: &View) {
        self.now = event.time;
        match event.kind {
            EventKind::WaitBegin { resource, site, .. } => {
                let known = self.ended.len() + self.open.len() < MAX_THINGS;
                if let Some(thing) = Thing::of(resource, view).filter(|_| known) {
                    self.open.insert(event.task, Open { thing, since: event.time, site });
                }
            }
            EventKind::WaitEnd { .. } | EventKind::TaskExit => {
                if let Some(open) = self.open.remove(&event.task) {
                    add(&mut self.ended, event.task, open, event.time, false);
                }
            }
            _ => {}
        }
    }

    /// Every thing that was waited for, the longest wait first; waits that are open count up to the
    /// last event.
    #[must_use]
    pub fn longest_first(&self) -> Vec<(Thing, Stall)> {
        let mut all = self.ended.clone();
        for (task, open) in &self.open {
            add(&mut all, *task, *open, self.now, true);
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(thing, stall)| (std::cmp::Reverse(stall.longest), *thing));
        all
    }
}

fn add(to: &mut BTreeMap<Thing, Stall>, task: TaskId, open: Open, end: Nanos, is_open: bool) {
    let Open { thing, since, site } = open;
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
mod tests {
    use super::*;
    use crate::event::{LockMode, WaitOutcome};
    use crate::units::Ticks;
    use crate::witness::script::Script;

    /// What the account says of `story`: thing, waits, longest and total in ticks, open.
    #[track_caller]
    fn check(expect: &[(Thing, u64, u64, u64, bool)], story: impl FnOnce(&mut Script)) {
        let mut s = Script::default();
        story(&mut s);
        let ticks = |nanos: Nanos| nanos.0 / Ticks(1).nanos().0;
        let account = s.witness.stalls().longest_first();
        let account: Vec<_> = account
            .iter()
            .map(|(thing, stall)| {
                (*thing, stall.waits, ticks(stall.longest), ticks(stall.total), stall.open)
            })
            .collect();
        assert_eq!(account, expect);
    }

    #[test]
    fn waits_for_one_thing_are_added_up() {
        check(&[(Thing::Requests(QueueId(0)), 2, 30, 40, false)], |s| {
            let (queue, _) = s.queue("vda");
            let task = s.task("t");
            for ticks in [10, 30] {
                let request = s.submit(task, queue);
                s.wait(task, Resource::Request(request), "buffer WRITING");
                s.pass(Ticks(ticks));
                s.end_wait(task, Resource::Request(request), WaitOutcome::Satisfied);
            }
        });
    }

    #[test]
    fn a_wait_that_never_ends_counts_to_the_last_event() {
        check(&[(Thing::Lock(LockId(0)), 1, 20, 20, true)], |s| {
            let (lock, holder, waiter) = (s.lock("l", "l"), s.task("holder"), s.task("waiter"));
            s.take(holder, lock, LockMode::Exclusive);
            s.want(waiter, lock, LockMode::Exclusive, false);
            s.pass(Ticks(20));
            s.task("anybody");
        });
    }

    #[test]
    fn the_longest_comes_first() {
        let (short, long) = (Thing::Exit(TaskId(0)), Thing::Exit(TaskId(1)));
        check(&[(long, 1, 9, 9, false), (short, 1, 3, 3, false)], |s| {
            let [short, long, task] = ["short", "long", "t"].map(|name| s.task(name));
            for (joined, ticks) in [(short, 3), (long, 9)] {
                s.wait(task, Resource::Task(joined), "task exit");
                s.pass(Ticks(ticks));
                s.end_wait(task, Resource::Task(joined), WaitOutcome::Satisfied);
            }
        });
    }

    #[test]
    fn an_idle_server_and_a_sleeper_do_not_stand() {
        check(&[], |s| {
            let (queue, server) = s.queue("vda");
            let task = s.task("t");
            s.wait(server, Resource::Idle(queue), "work");
            s.wait(task, Resource::Timer, "sleep");
            s.pass(Ticks(50));
            s.end_wait(task, Resource::Timer, WaitOutcome::Satisfied);
        });
    }
}
