//! `Space`: units that tasks reserve, first come first served: log space, journal credits, tags.
//!
//! Key type: [`Space`]. A unit is free, reserved, or used. A release makes reserved units free.
//! Used units become free only by a push: a task that serves the space pushes when a reservation
//! waits, or else the waiter does. Locking: a leaf lock around the numbers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::event::{Needs, Site, TaskId};
use crate::sched::{Condition, Sched, SpinLock, harness_side};

/// What a second reservation by a task that has one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Nested {
    /// It waits like any other.
    #[default]
    Waits,
    /// It is part of the first one, as a nested handle of a journal is.
    Joins,
}

#[derive(Debug, Default)]
struct Units {
    size: u64,
    used: u64,
    reserved: u64,
    /// What each task has reserved.
    holders: BTreeMap<TaskId, u64>,
    /// Reservations that joined another, by task: they are released without effect.
    joined: BTreeMap<TaskId, u32>,
    /// The reservations that wait, in order: a number, and the units.
    line: VecDeque<(u64, u64)>,
    tickets: u64,
}

/// Units that tasks reserve. Cheap to clone.
#[derive(Clone)]
pub struct Space {
    sched: Sched,
    nested: Nested,
    units: Arc<SpinLock<Units>>,
    room: Condition,
    push: Option<Arc<dyn Fn() + Send + Sync>>,
    kick: Arc<SpinLock<Option<Kick>>>,
}

/// Called where a reservation waits.
type Kick = Arc<dyn Fn() + Send + Sync>;

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").field("units", &self.units).finish_non_exhaustive()
    }
}

impl Units {
    const fn free(&self) -> u64 {
        self.size.saturating_sub(self.used.saturating_add(self.reserved))
    }

    /// What the reservation of this number lacks: its units and those ahead of it, less what is
    /// free.
    fn lacks(&self, ticket: u64) -> u64 {
        let upto = self.line.iter().take_while(|(number, _)| *number <= ticket);
        upto.map(|(_, units)| units).sum::<u64>().saturating_sub(self.free())
    }

    fn grant(&mut self, task: TaskId, units: u64) {
        self.reserved += units;
        *self.holders.entry(task).or_default() += units;
    }
}

impl Space {
    /// A space of `size` units that reports call `name`; `used` of them are in use.
    #[must_use]
    pub fn new(sched: &Sched, name: &str, size: u64, used: u64) -> Self {
        let _side = harness_side();
        let units = Units { size, used: used.min(size), ..Units::default() };
        Self {
            sched: sched.clone(),
            nested: Nested::Waits,
            units: Arc::new(SpinLock::new(units)),
            room: Condition::new(sched, &format!("room in {name}")),
            push: None,
            kick: Arc::default(),
        }
    }

    /// The same, where a second reservation of a task does this.
    #[must_use]
    pub const fn nested(mut self, nested: Nested) -> Self {
        self.nested = nested;
        self
    }

    /// The same, where a waiter that finds units in use calls `push` and then frees them.
    #[must_use]
    pub fn pushed_by_waiters(mut self, push: impl Fn() + Send + Sync + 'static) -> Self {
        self.push = Some(Arc::new(push));
        self
    }

    /// The same, where `kick` is called when a reservation waits: it wakes the task that pushes.
    #[must_use]
    pub fn kicked_by(self, kick: impl Fn() + Send + Sync + 'static) -> Self {
        *self.kick.lock() = Some(Arc::new(kick));
        self
    }

    /// Reserves `n` units for the running task, after those that came first.
    #[track_caller]
    pub fn reserve(&self, n: u64) {
        self.reserve_at(n, Site::here());
    }

    /// As [`Space::reserve`], for a call at `site`.
    pub(crate) fn reserve_at(&self, n: u64, site: Site) {
        let _side = harness_side();
        self.sched.point();
        let task = self.sched.current();
        if self.joins(task) {
            return;
        }
        let ticket = {
            let mut units = self.units.lock();
            units.tickets += 1;
            let ticket = units.tickets;
            units.line.push_back((ticket, n));
            ticket
        };
        if let Some(push) = &self.push {
            let lacks_used = || {
                let units = self.units.lock();
                units.lacks(ticket) > 0 && units.used > 0
            };
            if lacks_used() {
                push();
                self.pushed();
            }
        }
        let kick = self.kick.lock().clone();
        if let Some(kick) = kick.filter(|_| self.wants_push()) {
            kick();
        }
        let missing = || Needs::Units(u32::try_from(self.lacks(ticket)).unwrap_or(u32::MAX));
        self.room.wait_needing(missing, "space", site, || self.lacks(ticket) == 0);
        let others = {
            let mut units = self.units.lock();
            units.line.retain(|(number, _)| *number != ticket);
            units.grant(task, n);
            !units.line.is_empty()
        };
        if others {
            self.room.signal();
        }
    }

    /// Reserves `n` units for the running task if it need not wait; returns whether it did.
    #[must_use]
    pub fn try_reserve(&self, n: u64) -> bool {
        let _side = harness_side();
        self.sched.point();
        let task = self.sched.current();
        if self.joins(task) {
            return true;
        }
        let mut units = self.units.lock();
        let fits = units.line.is_empty() && units.free() >= n;
        if fits {
            units.grant(task, n);
        }
        fits
    }

    /// Whether the reservation joins one that the task has.
    fn joins(&self, task: TaskId) -> bool {
        let mut units = self.units.lock();
        let joins = self.nested == Nested::Joins && units.holders.contains_key(&task);
        if joins {
            *units.joined.entry(task).or_default() += 1;
        }
        joins
    }

    fn lacks(&self, ticket: u64) -> u64 {
        self.units.lock().lacks(ticket)
    }

    /// Gives back what the running task has reserved. A task that has nothing gives back for
    /// another that has.
    pub fn release(&self) {
        let _side = harness_side();
        self.sched.point();
        let task = self.sched.current();
        {
            let mut units = self.units.lock();
            if let Some(joined) = units.joined.get_mut(&task) {
                *joined -= 1;
                if *joined == 0 {
                    units.joined.remove(&task);
                }
                return;
            }
            let whose = if units.holders.contains_key(&task) {
                Some(task)
            } else {
                units.holders.keys().next().copied()
            };
            let given = whose.and_then(|whose| units.holders.remove(&whose)).unwrap_or(0);
            units.reserved -= given;
        }
        self.room.signal();
    }

    /// A push is over: what was in use is free.
    pub fn pushed(&self) {
        let _side = harness_side();
        self.units.lock().used = 0;
        self.room.signal();
    }

    /// Whether a reservation waits that a push would help.
    #[must_use]
    pub fn wants_push(&self) -> bool {
        let units = self.units.lock();
        let ahead = units.line.back().map_or(0, |(number, _)| *number);
        units.used > 0 && units.lacks(ahead) > 0
    }

    /// The units that are free, reserved by `task`, reserved by all, and in use.
    pub(crate) fn units_of(&self, task: TaskId) -> [u64; 4] {
        let units = self.units.lock();
        let own = units.holders.get(&task).copied().unwrap_or(0);
        [units.free(), own, units.reserved, units.used]
    }

    /// The condition that units come back: a task that will release or push promises so with
    /// [`Condition::promise`].
    #[must_use]
    pub const fn room(&self) -> &Condition {
        &self.room
    }
}
