//! Which tasks must act before a wait ends, and how many of them.
//!
//! The queries of [`View`]: the holders of a lock and the waiters ahead in line, the server of a
//! request or a work item, the holders of pool elements, those that promised to signal a condition.
//! Each of these is a *supplier*: the task that must act, or several tasks of which one is enough,
//! and the units that it brings. A request or a work item stands for the task that serves it, or
//! for any server of its queue, and a request that was passed down for what carries it.

use super::state::View;
use super::waits::{ElementHolder, Needed, Progress, Role, Wait};
use crate::event::{Actor, LockId, Needs, PoolId, Resource, TaskId, WaitId};

/// A request that was passed down more often than this has no known server.
const MAX_PASSED: usize = 64;
/// The number of the first supplier of a lock that is a request; tasks that hold it or are ahead in
/// line have lower numbers.
const FIRST_LENT: u32 = 1 << 31;

/// The tasks that can act for a request or a work item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Servers<'a> {
    /// What they serve, after all that passed it down.
    pub(super) of: Actor,
    /// The one that has it, and the event from which on.
    pub(super) one: Option<(TaskId, u64)>,
    /// While it is queued, any of these.
    pub(super) queue: &'a [TaskId],
}

impl Servers<'_> {
    /// Whether no task is known to act.
    const fn are_unknown(&self) -> bool {
        self.one.is_none() && self.queue.is_empty()
    }

    /// The tasks, of which one is enough; they act through `through`.
    fn needed(self, through: Option<Actor>) -> impl Iterator<Item = Needed> {
        let of = move |task, how, since| Needed { through, ..Needed::new(task, how, since) };
        let one = self.one.map(|(task, since)| of(task, Role::Serves, since));
        one.into_iter().chain(self.queue.iter().map(move |task| of(*task, Role::ServesQueue, 0)))
    }
}

/// Counts the suppliers of a wait, one after another, until it is known whether those that are not
/// stuck can end it. As long as no supplier is stuck, the wait is not either.
#[derive(Clone, Copy, Debug)]
pub(in crate::witness) struct Tally {
    needs: Needs,
    free: u64,
    stuck: bool,
}

impl Tally {
    pub(in crate::witness) const fn new(needs: Needs) -> Self {
        Self { needs, free: 0, stuck: false }
    }

    /// Takes in a supplier of so many units. Returns whether the wait is stuck, once that is known.
    pub(in crate::witness) fn take(&mut self, units: u32, stuck: bool) -> Option<bool> {
        self.stuck |= stuck;
        match (self.needs, stuck) {
            (Needs::All, true) => Some(true),
            (Needs::One, false) => Some(false),
            (Needs::Units(needed), false) => {
                self.free += u64::from(units);
                (self.free >= u64::from(needed)).then_some(false)
            }
            (Needs::All, false) | (Needs::One | Needs::Units(_), true) => None,
        }
    }

    /// Whether the wait is stuck, after all suppliers.
    pub(in crate::witness) const fn is_stuck(self) -> bool {
        self.stuck && !matches!(self.needs, Needs::Units(0))
    }
}

impl View {
    /// The tasks that must act before the wait of `waiter` ends, and how many of them. Tasks with
    /// one [`Needed::supplier`] follow each other, and one of them is enough.
    pub fn needed(&self, waiter: TaskId) -> (Needs, impl Iterator<Item = Needed> + '_) {
        let (mut lock, mut servers, mut many, mut needs) = (None, None, Vec::new(), Needs::One);
        let wait = self.wait(waiter);
        match wait.map(|wait| (wait.resource, wait.needs)) {
            Some((Resource::Lock(id), _)) => {
                (lock, needs) = (self.locks.get(id.0 as usize), Needs::All);
                many = self.lent_to(id);
            }
            Some((Resource::Request(id), _)) => {
                let (first, found) = (Actor::Request(id), self.servers_of(Actor::Request(id)));
                servers = Some((found, (found.of != first).then_some(found.of)));
            }
            Some((Resource::Work(id), _)) => {
                servers = Some((self.servers_of(Actor::Work(id)), None));
            }
            Some((Resource::Task(task), _)) => {
                let alive = self.task(task).is_some_and(|task| task.alive);
                many.extend(alive.then_some(Needed::new(task, Role::Exits, 0)));
            }
            Some((Resource::Pool(pool), _)) => many = self.element_holders(pool),
            Some((Resource::Condition(condition), wanted)) => {
                (needs, many) = self.promisers(condition, wanted);
            }
            Some((Resource::Idle(_) | Resource::Timer, _)) | None => {}
        }
        let since = wait.map_or(0, |wait| wait.seq);
        let holders = lock.into_iter().flat_map(move |lock| lock.needed(waiter, since));
        let holders = holders.zip(0..).map(|(needed, supplier)| Needed { supplier, ..needed });
        let servers = servers.into_iter().flat_map(|(servers, through)| servers.needed(through));
        (needs, servers.chain(holders).chain(many))
    }

    /// Whether the wait of `waiter` cannot end as long as none of the tasks acts that `stuck` says
    /// are stuck in their roles.
    pub(in crate::witness) fn is_stuck(
        &self,
        waiter: TaskId,
        mut stuck: impl FnMut(&Needed) -> bool,
    ) -> bool {
        let (needs, needed) = self.needed(waiter);
        let mut tally = Tally::new(needs);
        let mut open: Option<(u32, u32, bool)> = None;
        for next in needed {
            match &mut open {
                Some((supplier, _, all)) if *supplier == next.supplier => {
                    *all = *all && stuck(&next);
                }
                _ => {
                    let before = open.replace((next.supplier, next.units, stuck(&next)));
                    let known = before.and_then(|(_, units, stuck)| tally.take(units, stuck));
                    if let Some(known) = known {
                        return known;
                    }
                }
            }
        }
        let known = open.and_then(|(_, units, stuck)| tally.take(units, stuck));
        known.unwrap_or_else(|| tally.is_stuck())
    }

    /// Of the tasks that must act before the wait of `waiter` ends, those of suppliers that are
    /// stuck: each task that could act for them is stuck in its role.
    pub(in crate::witness) fn stuck_needed<'a>(
        &'a self,
        waiter: TaskId,
        stuck: impl Fn(&Needed) -> bool + 'a,
    ) -> impl Iterator<Item = Needed> + 'a {
        let (_, needed) = self.needed(waiter);
        // The line of a lock may be long, and each of its suppliers is one task.
        let is_lock = |wait: &Wait| matches!(wait.resource, Resource::Lock(_));
        let single = self.wait(waiter).is_some_and(is_lock) && self.lent.is_empty();
        let (mut one_by_one, mut grouped) = (None, Vec::new());
        if single {
            one_by_one = Some(needed.filter(stuck));
        } else {
            grouped = needed.collect();
            let supplier = |one: &Needed, other: &Needed| one.supplier == other.supplier;
            let free = grouped.chunk_by(supplier).filter(|all| !all.iter().all(&stuck));
            let free: Vec<u32> = free.map(|all| all[0].supplier).collect();
            grouped.retain(|needed| !free.contains(&needed.supplier));
        }
        one_by_one.into_iter().flatten().chain(grouped)
    }

    /// The servers of the requests that hold the lock.
    fn lent_to(&self, lock: LockId) -> Vec<Needed> {
        let requests = self.lent.get(&lock).into_iter().flatten();
        let suppliers = requests.zip(FIRST_LENT..).flat_map(|(request, supplier)| {
            let servers = self.servers_of(Actor::Request(*request));
            let needed = servers.needed(Some(servers.of));
            needed.map(move |needed| Needed { supplier, ..needed })
        });
        suppliers.collect()
    }

    /// The tasks that can give an element back. None if the holder of any element is unknown:
    /// then the wait is not blocked by the holders that are known.
    fn element_holders(&self, pool: PoolId) -> Vec<Needed> {
        let mut known = Vec::new();
        let holders = self.elements.get(&pool).into_iter().flatten();
        for (holder, supplier) in holders.zip(0..) {
            match *holder {
                ElementHolder::Task(taken) => {
                    let needed = Needed::new(taken.task, Role::HasElement, taken.seq);
                    known.push(Needed { supplier, ..needed });
                }
                ElementHolder::Request(id) => {
                    let servers = self.servers_of(Actor::Request(id));
                    if servers.are_unknown() {
                        return Vec::new();
                    }
                    let needed = servers.needed(Some(servers.of));
                    known.extend(needed.map(|needed| Needed { supplier, ..needed }));
                }
            }
        }
        known
    }

    /// Those that promised to signal the condition, and what of `needs` they must bring: not what
    /// comes from where no task is known to act. Where that is enough, nobody is needed.
    fn promisers(&self, condition: WaitId, needs: Needs) -> (Needs, Vec<Needed>) {
        let (mut known, mut unknown) = (Vec::new(), None);
        for (promised, supplier) in self.promises.of(condition).zip(0..) {
            let Actor::Task(task) = promised.by else {
                let servers = self.servers_of(promised.by);
                if servers.are_unknown() {
                    let units = unknown.get_or_insert(0_u32);
                    *units = units.saturating_add(promised.units);
                }
                let needed = servers.needed(Some(servers.of));
                let units = promised.units;
                known.extend(needed.map(|needed| Needed { supplier, units, ..needed }));
                continue;
            };
            let needed = Needed::new(task, Role::Promised, promised.seq);
            known.push(Needed { supplier, units: promised.units, ..needed });
        }
        match (needs, unknown) {
            (Needs::One, Some(_)) => (needs, Vec::new()),
            (Needs::Units(units), Some(unknown)) if unknown >= units => (needs, Vec::new()),
            (Needs::Units(units), Some(unknown)) => (Needs::Units(units - unknown), known),
            (needs, _) => (needs, known),
        }
    }

    /// The task that acts for the request or work item now, and what it serves for that.
    pub(in crate::witness) fn server(&self, actor: Actor) -> Option<(TaskId, Actor)> {
        let Servers { of, one, .. } = self.servers_of(actor);
        one.filter(|_| !matches!(of, Actor::Task(_))).map(|(task, _)| (task, of))
    }

    /// The tasks that can act for any of those that promised to signal the condition.
    pub(super) fn all_promisers(&self, condition: WaitId) -> impl Iterator<Item = TaskId> {
        self.promises.of(condition).flat_map(|promised| {
            let servers = self.servers_of(promised.by);
            servers.one.map(|(task, _)| task).into_iter().chain(servers.queue.iter().copied())
        })
    }

    /// The tasks that can act for `actor`.
    pub(super) fn servers_of(&self, actor: Actor) -> Servers<'_> {
        let mut of = actor;
        for _ in 0..MAX_PASSED {
            let (progress, queue) = match of {
                Actor::Task(task) => {
                    let alive = self.task(task).is_some_and(|task| task.alive);
                    return Servers { of, one: alive.then_some((task, 0)), queue: &[] };
                }
                Actor::Request(id) => match self.requests.get(&id) {
                    Some(request) => match (request.progress, request.passed) {
                        (Progress::Queued | Progress::Below, Some(to)) => {
                            of = to;
                            continue;
                        }
                        (progress, _) => (progress, request.queue),
                    },
                    None => break,
                },
                Actor::Work(id) => match self.works.get(&id) {
                    Some(work) => (work.progress, work.queue),
                    None => break,
                },
            };
            return match progress {
                Progress::Served { by, since } => {
                    Servers { of, one: Some((by, since)), queue: &[] }
                }
                Progress::Queued => Servers { of, one: None, queue: self.servers(queue) },
                Progress::Below => Servers { of, one: None, queue: &[] },
            };
        }
        Servers { of, one: None, queue: &[] }
    }
}

#[cfg(test)]
mod tests;
