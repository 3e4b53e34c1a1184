//! RD04: the wait-for graph over live tasks, locks, requests and work items has a cycle.
//!
//! Invariant 11 of docs/kernel/rules.md, "Invariants". A task is stuck if it waits and those that
//! are not stuck in their roles cannot supply enough: if all must act (a lock, a count to zero) one
//! stuck supplier is too many, if one is enough (a flag, a queue with several servers) all must be
//! stuck, and else their units are counted. The judge starts with every waiting task and removes
//! those that can go on, until none can; what is left is stuck. A new deadlock goes through the
//! task whose wait or role is new, or through a wait that has lost somebody who could end it.

use std::collections::BTreeSet;

use crate::event::{Actor, Event, EventKind, Layer, Needs, Resource, TaskId};
use crate::witness::{Chain, Code, Finding, Judge, Moment, Needed, Reads, View, restriction};

/// The judge of RD04.
#[derive(Debug, Default)]
pub(super) struct Deadlock {
    found: BTreeSet<Vec<(TaskId, Resource)>>,
    stuck: Vec<bool>,
}

impl Judge for Deadlock {
    fn reads(&self) -> Reads {
        let waits = Reads::WAITS.and(Reads::LOCKS).and(Reads::REQUESTS).and(Reads::WORK);
        waits.and(Reads::POOLS).and(Reads::WORLD).and(Reads::TASKS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        match changed(event, view) {
            Changed::Nothing => {}
            Changed::Task(task) => self.judge(event, view, task, out),
            Changed::Waiters(resource) => self.judge_waiters(event, view, resource, out),
            Changed::Depending(actor) => {
                view.each_depending(actor, &mut |resource| {
                    self.judge_waiters(event, view, resource, out);
                    false
                });
            }
            Changed::Ended => {
                for condition in view.ended_promises() {
                    self.judge_waiters(event, view, Resource::Condition(*condition), out);
                }
            }
            Changed::AnyTask => {
                for task in view.waiting_tasks() {
                    self.judge(event, view, task, out);
                }
            }
        }
    }
}

/// Whether this is what the task waits for now.
fn waits_for(view: &View, task: TaskId, resource: Resource) -> bool {
    view.wait(task).is_some_and(|wait| wait.resource == resource)
}

/// The waiting tasks through which an event can have closed a cycle.
enum Changed {
    Nothing,
    Task(TaskId),
    /// Each task that waits for this.
    Waiters(Resource),
    /// Each task that waits for this one to act.
    Depending(Actor),
    /// Each task that waits for something that an ended request or work item had promised.
    Ended,
    AnyTask,
}

fn changed(event: &Event, view: &View) -> Changed {
    match event.kind {
        // The end of a wait brings the one around it into force again.
        EventKind::WaitBegin { .. }
        | EventKind::WaitAgain { .. }
        | EventKind::WaitNeeds { .. }
        | EventKind::WaitEnd { .. }
        | EventKind::LockAcquired { .. }
        | EventKind::RequestServe { .. }
        | EventKind::QueueServer { .. }
        | EventKind::WorkBegin { .. } => match view.wait(event.task) {
            Some(_) => Changed::Task(event.task),
            None => Changed::Nothing,
        },
        // A submitter may publish a number, and others wait for it, before the submission.
        EventKind::RequestSubmit { request, .. } | EventKind::RequestPassed { request, .. } => {
            Changed::Depending(Actor::Request(request))
        }
        EventKind::RequestServed { request }
            if view.request(request).is_some_and(|facts| facts.passed.is_some()) =>
        {
            Changed::Depending(Actor::Request(request))
        }
        EventKind::WorkQueued { work, .. } => Changed::Depending(Actor::Work(work)),
        // A task that promises for itself is not stuck; the server of a request may be.
        EventKind::Promise { condition, by, .. } if by != Actor::Task(event.task) => {
            Changed::Waiters(Resource::Condition(condition))
        }
        // Of several of which some were enough, one is no longer there.
        EventKind::PromiseEnd { condition, .. } => Changed::Waiters(Resource::Condition(condition)),
        EventKind::RequestComplete { .. } | EventKind::WorkEnd { .. } => Changed::Ended,
        EventKind::PoolHandOver { pool, .. } => Changed::Waiters(Resource::Pool(pool)),
        EventKind::LockHandOver { lock, .. } => Changed::Waiters(Resource::Lock(lock)),
        EventKind::TaskExit if view.exit_matters() => Changed::AnyTask,
        _ => Changed::Nothing,
    }
}

impl Deadlock {
    /// Looks for a deadlock through each wait for `resource`.
    fn judge_waiters(
        &mut self,
        event: &Event,
        view: &View,
        resource: Resource,
        out: &mut Vec<Finding>,
    ) {
        for task in view.waiters(resource).filter(|task| waits_for(view, *task, resource)) {
            self.judge(event, view, task, out);
        }
    }

    /// Looks for a deadlock through the wait of `changed`.
    fn judge(&mut self, event: &Event, view: &View, changed: TaskId, out: &mut Vec<Finding>) {
        // No cycle goes through a task that nobody waits for, or that does not wait for itself.
        if !view.is_waited_for(changed) {
            return;
        }
        let Some(ahead) = view.all_ahead(changed) else {
            return;
        };
        self.suspect(view, &ahead);
        self.settle(view, &ahead);
        if !self.is_stuck(view, changed) {
            return;
        }
        let Some(mut members) = self.cycle_through(view, changed) else {
            return;
        };
        start_with_the_reclaimer(view, &mut members);
        let round = members.len();
        self.add_other_suppliers(view, &mut members);
        let waits = |task: &TaskId| Some((*task, view.wait(*task)?.resource));
        let cycle: Vec<_> = members.iter().filter_map(waits).collect();
        let mut key = cycle.clone();
        key.sort_unstable();
        if self.found.insert(key) {
            out.push(self.finding(event, view, &members, round, cycle));
        }
    }

    /// Assumes that every waiting one of `tasks` is stuck. All that these wait for are among them.
    fn suspect(&mut self, view: &View, tasks: &[TaskId]) {
        self.stuck.clear();
        self.stuck.resize(view.task_count(), false);
        for id in tasks {
            if let Some(stuck) = self.stuck.get_mut(id.0 as usize) {
                *stuck = view.wait(*id).is_some();
            }
        }
    }

    /// Removes every one of `tasks` that can go on, until none can.
    fn settle(&mut self, view: &View, tasks: &[TaskId]) {
        let mut suspects: Vec<TaskId> =
            tasks.iter().copied().filter(|id| self.holds(*id)).collect();
        loop {
            let before = suspects.len();
            suspects.retain(|id| {
                let stuck = self.is_stuck(view, *id);
                self.stuck[id.0 as usize] = stuck;
                stuck
            });
            if suspects.len() == before {
                return;
            }
        }
    }

    /// Whether the task is stuck and cannot act in this role.
    fn holds_up(&self, view: &View, needed: &Needed) -> bool {
        self.holds(needed.task) && view.holds_up(needed).is_some()
    }

    fn holds(&self, task: TaskId) -> bool {
        self.stuck.get(task.0 as usize).is_some_and(|stuck| *stuck)
    }

    /// Whether the task's wait cannot end while the stuck tasks are stuck.
    fn is_stuck(&self, view: &View, task: TaskId) -> bool {
        view.is_stuck(task, |needed| self.holds_up(view, needed))
    }

    fn stuck_needed<'a>(
        &'a self,
        view: &'a View,
        task: TaskId,
    ) -> impl Iterator<Item = Needed> + 'a {
        view.stuck_needed(task, |needed| self.holds_up(view, needed))
    }

    /// The shortest way from `start` over stuck tasks back to it.
    fn cycle_through(&self, view: &View, start: TaskId) -> Option<Vec<TaskId>> {
        let mut reached = vec![(start, None)];
        let mut seen = vec![false; self.stuck.len()];
        let mut next = 0;
        while let Some((task, _)) = reached.get(next).copied() {
            for needed in self.stuck_needed(view, task) {
                if needed.task == start {
                    let mut way = Vec::new();
                    let mut at = Some(next);
                    while let Some((task, before)) = at.map(|at| reached[at]) {
                        way.push(task);
                        at = before;
                    }
                    way.reverse();
                    return Some(way);
                }
                if !std::mem::replace(&mut seen[needed.task.0 as usize], true) {
                    reached.push((needed.task, Some(next)));
                }
            }
            next += 1;
        }
        None
    }

    /// Where not every supplier must act, all that are stuck are part of the deadlock, and so are
    /// the tasks that block them.
    fn add_other_suppliers(&self, view: &View, members: &mut Vec<TaskId>) {
        let mut place = 0;
        while let Some(member) = members.get(place).copied() {
            let all = view.needed(member).0 == Needs::All;
            let needed: Vec<TaskId> =
                self.stuck_needed(view, member).map(|needed| needed.task).collect();
            let explained = needed.iter().any(|task| members.contains(task));
            let wanted = if all { usize::from(!explained) } else { needed.len() };
            for task in needed.into_iter().take(wanted) {
                if !members.contains(&task) {
                    members.push(task);
                }
            }
            place += 1;
        }
    }

    fn finding(
        &self,
        event: &Event,
        view: &View,
        members: &[TaskId],
        round: usize,
        cycle: Vec<(TaskId, Resource)>,
    ) -> Finding {
        let mut chain = Chain::new(view);
        for (place, task) in members.iter().enumerate() {
            chain.task(*task, None);
            let successor = (place < round).then(|| members[(place + 1) % round]);
            let needed: Vec<Needed> = self.stuck_needed(view, *task).collect();
            let next = needed.iter().find(|needed| {
                successor.map_or(members.contains(&needed.task), |s| s == needed.task)
            });
            let Some(next) = next else {
                continue;
            };
            chain.edge(*task, *next);
            let mut told = vec![next.task];
            for other in needed.iter().filter(|_| view.needed(*task).0 != Needs::All) {
                if !told.contains(&other.task) {
                    told.push(other.task);
                    chain.also(*task, *other);
                }
            }
        }
        let mut finding = chain.finish(Code::RD04, event);
        let breakable = |task: &TaskId| view.wait(*task).is_some_and(|wait| wait.breakable);
        finding.breakable = members.iter().copied().filter(breakable).collect();
        finding.cycle = cycle;
        finding
    }
}

/// The task that a report starts from: the restricted reclaimer, or else the lowest number.
fn start_with_the_reclaimer(view: &View, members: &mut [TaskId]) {
    let restricted = |task: &TaskId| {
        let path = || view.frames(*task).iter().map(|frame| (*task, frame.kind, frame.seq));
        restriction(path(), Layer::FS).or_else(|| restriction(path(), Layer::IO)).is_some()
    };
    let first = members.iter().position(restricted);
    let lowest =
        || members.iter().enumerate().min_by_key(|(_, task)| **task).map(|(place, _)| place);
    if let Some(first) = first.or_else(lowest) {
        members.rotate_left(first);
    }
}

#[cfg(test)]
mod tests;
