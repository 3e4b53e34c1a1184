//! Who must act: the promises of a case, derived from what is left of each program.
//!
//! Key type: [`Ledger`]. Each actor (a task, a queued item, a request in flight) has the conditions
//! that its remaining steps bring about. It promises those that are not true now. The ledger
//! compares that with the promises that are open and emits the difference: after each step, and
//! after each change of a flag, a count or a space.
//!
//! Locking: a leaf lock around the actors. Another is held while what changed is found and emitted,
//! because tasks that are threads would emit the end of a promise before its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::reach::{Conditions, Reach};
use crate::event::{Actor, Site, TaskId};
use crate::parts::{Count, Flag, Space};
use crate::sched::{Condition, SpinLock};

/// A condition, and the part that it is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A flag gets a value.
    Becomes(Flag, bool),
    /// A count is zero.
    Zero(Count),
    /// A space has room; the task pushes it.
    Room(Space, Option<TaskId>),
}

#[derive(Clone, Debug, Default)]
struct Remaining {
    /// What is left of each program that the actor is in, outermost first.
    programs: Vec<Reach>,
    /// By condition, what it counted up and not down again.
    counted: BTreeMap<usize, i64>,
    /// By condition, the units that it promises now.
    promised: BTreeMap<usize, u32>,
    site: Option<Site>,
    /// It has not begun the program that it has.
    expected: bool,
}

/// Which actor promised what.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    actors: SpinLock<BTreeMap<Actor, Remaining>>,
    /// Actors that are no more.
    gone: SpinLock<BTreeSet<Actor>>,
    subjects: SpinLock<Arc<Vec<Subject>>>,
    /// Held from the state of the actors to the last event that follows from it.
    emitting: SpinLock<()>,
}

/// A promise to make or to end.
struct Change {
    condition: Condition,
    by: Actor,
    site: Site,
    ends: bool,
    makes: Option<u32>,
}

impl Subject {
    /// The condition of that part that is of this sort.
    fn condition(&self) -> &Condition {
        match self {
            Self::Becomes(flag, value) => flag.becomes(*value),
            Self::Zero(count) => count.zero(),
            Self::Room(space, _) => space.room(),
        }
    }
}

impl Remaining {
    fn reach(&self) -> Reach {
        self.programs.iter().fold(Reach::default(), |all, one| all.or(*one))
    }

    /// How many units of the condition it should promise; 0 for no promise.
    fn units(&self, actor: Actor, place: usize, subject: &Subject) -> u64 {
        let Reach { acts, first, .. } = self.reach();
        let bit: Conditions = 1 << place;
        match subject {
            Subject::Becomes(flag, value) => u64::from(acts & bit != 0 && flag.is_set() != *value),
            Subject::Zero(count) => {
                let own = self.counted.get(&place).is_some_and(|counted| *counted > 0);
                let acts = first & bit != 0 || (own && acts & bit != 0);
                u64::from(acts && count.get() > 0)
            }
            Subject::Room(space, pusher) => {
                let task = match actor {
                    Actor::Task(task) => Some(task),
                    Actor::Request(_) | Actor::Work(_) => None,
                };
                let [_, own, reserved, used] = space.units_of(task.unwrap_or(TaskId(u32::MAX)));
                let releases = match (acts & bit != 0, own) {
                    (true, own) if own > 0 => own,
                    (true, _) if first & bit != 0 => reserved,
                    _ => 0,
                };
                let pushes = if pusher.is_some() && *pusher == task { used } else { 0 };
                releases + pushes
            }
        }
    }
}

impl Ledger {
    /// The conditions, in the order of their numbers.
    pub(super) fn watch(&self, subjects: Vec<Subject>) {
        *self.subjects.lock() = Arc::new(subjects);
    }

    /// The actor has a program before it, unless it began already.
    pub(super) fn expect(&self, actor: Actor, reach: Reach, site: Site) {
        {
            let mut actors = self.actors.lock();
            // Where tasks are threads, it may have ended before this call.
            if self.gone.lock().contains(&actor) {
                return;
            }
            let remaining = actors.entry(actor).or_default();
            if remaining.programs.is_empty() {
                remaining.programs.push(reach);
                remaining.expected = true;
            }
            remaining.site.get_or_insert(site);
        }
        self.settle(Some(actor));
    }

    /// The task begins a program.
    pub(super) fn begin(&self, task: TaskId, reach: Reach, site: Site) {
        {
            let mut actors = self.actors.lock();
            let remaining = actors.entry(Actor::Task(task)).or_default();
            if std::mem::take(&mut remaining.expected) {
                remaining.programs.clear();
            }
            remaining.programs.push(reach);
            remaining.site.get_or_insert(site);
        }
        if reach.acts != 0 {
            self.settle(Some(Actor::Task(task)));
        }
    }

    /// What is left of the innermost program of the task.
    pub(super) fn left(&self, task: TaskId, reach: Reach, site: Site) {
        let changed = {
            let mut actors = self.actors.lock();
            let remaining = actors.entry(Actor::Task(task)).or_default();
            remaining.site = Some(site);
            let innermost = remaining.programs.last_mut();
            innermost.is_some_and(|innermost| std::mem::replace(innermost, reach) != reach)
        };
        if changed {
            self.settle(Some(Actor::Task(task)));
        }
    }

    /// The task ended its innermost program.
    pub(super) fn end(&self, task: TaskId) {
        let reach = {
            let mut actors = self.actors.lock();
            actors.get_mut(&Actor::Task(task)).and_then(|remaining| remaining.programs.pop())
        };
        if reach.is_some_and(|reach| reach.acts != 0) {
            self.settle(Some(Actor::Task(task)));
        }
    }

    /// The actor is no more: its item or request runs on a task, or has ended.
    pub(super) fn forget(&self, actor: Actor) {
        let _in_order = self.emitting.lock();
        let gone = {
            let mut actors = self.actors.lock();
            if matches!(actor, Actor::Task(_)) {
                self.gone.lock().insert(actor);
            }
            actors.remove(&actor)
        };
        let subjects = Arc::clone(&self.subjects.lock());
        for place in gone.iter().flat_map(|gone| gone.promised.keys()) {
            subjects[*place].condition().end_promise_by(actor);
        }
    }

    /// The task counted up (1) or down (-1).
    pub(super) fn counted(&self, task: TaskId, condition: usize, by: i64) {
        let mut actors = self.actors.lock();
        let remaining = actors.entry(Actor::Task(task)).or_default();
        *remaining.counted.entry(condition).or_default() += by;
    }

    /// A signal of the task ended the promises that it made of the condition itself.
    pub(super) fn signalled(&self, task: TaskId, condition: usize) {
        if let Some(remaining) = self.actors.lock().get_mut(&Actor::Task(task)) {
            remaining.promised.remove(&condition);
        }
    }

    /// A part changed: every actor may owe more or less than before.
    pub(super) fn changed(&self) {
        self.settle(None);
    }

    /// Emits what is different from the promises that are open.
    fn settle(&self, only: Option<Actor>) {
        let _in_order = self.emitting.lock();
        let subjects = Arc::clone(&self.subjects.lock());
        let mut changes = Vec::new();
        {
            let mut actors = self.actors.lock();
            for (actor, remaining) in actors.iter_mut() {
                if only.is_some_and(|only| only != *actor) {
                    continue;
                }
                for (place, subject) in subjects.iter().enumerate() {
                    let units = remaining.units(*actor, place, subject);
                    let units = u32::try_from(units).unwrap_or(u32::MAX);
                    let open = remaining.promised.get(&place).copied().unwrap_or(0);
                    if units == open {
                        continue;
                    }
                    if units == 0 {
                        remaining.promised.remove(&place);
                    } else {
                        remaining.promised.insert(place, units);
                    }
                    changes.push(Change {
                        condition: subject.condition().clone(),
                        by: *actor,
                        site: remaining.site.unwrap_or(Site { file: "", line: 0 }),
                        ends: open > 0,
                        makes: (units > 0).then_some(units),
                    });
                }
            }
        }
        // New promises first: a waiter must not look as if nobody was left.
        for change in &changes {
            if let Some(units) = change.makes.filter(|_| !change.ends) {
                change.condition.promise_by(change.by, units, change.site);
            }
        }
        for change in changes.into_iter().filter(|change| change.ends) {
            change.condition.end_promise_by(change.by);
            if let Some(units) = change.makes {
                change.condition.promise_by(change.by, units, change.site);
            }
        }
    }
}
