//! RD08: a mempool does not keep its promise.
//!
//! A request that may wait gets an element; elements may come back unused only so many times before
//! it does. A request that may not wait does not sleep. Neither draws on the emergency reserves,
//! because the elements that the pool keeps replace them. Invariant 16 of docs/kernel/rules.md,
//! "Invariants"; the steps of a pool are those of docs/kernel/allocation.md, "Memory pools".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, Gfp, PoolId, Resource, Site, TaskId};
use crate::witness::{Breach, Finding, Judge, Moment, Reads, Subject, View, broken_rule};

/// How often a waiter may go back to sleep although an element is free. On OS threads another
/// waiter may take the element first, but not this many times in a row.
const MAX_ROUNDS: u32 = 16;
/// Pool allocations nested deeper than this are not looked at.
const MAX_DEPTH: usize = 64;

/// The judge of invariant 16.
#[derive(Debug, Default)]
pub(super) struct Pool {
    found: BTreeSet<(PoolId, Breach)>,
    open: BTreeMap<TaskId, Vec<PoolAllocation>>,
    /// The tasks with an open allocation that waited for an element of the pool.
    waited: BTreeSet<(PoolId, TaskId)>,
}

/// An allocation from a pool that is under way.
#[derive(Debug)]
struct PoolAllocation {
    pool: PoolId,
    mask: Gfp,
    keeps: u32,
    site: Site,
    /// The event that began it.
    since: u64,
    waited: bool,
    /// Elements that came back since it first waited and that no task took, at most as many as the
    /// pool keeps.
    spare: u32,
    /// How often it went back to sleep although one was free.
    rounds: u32,
}

impl Judge for Pool {
    fn reads(&self) -> Reads {
        Reads::POOLS.and(Reads::ALLOCATIONS).and(Reads::WAITS).and(Reads::TASKS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let Some((breach, pool, site)) = self.breach(event, view) else {
            return;
        };
        if self.found.insert((pool, breach)) {
            let subject = Some(Subject::Pool(pool));
            out.push(broken_rule(moment, event.task, breach, subject, Some(site)));
        }
    }
}

impl Pool {
    fn breach(&mut self, event: &Event, view: &View) -> Option<(Breach, PoolId, Site)> {
        let task = event.task;
        match event.kind {
            EventKind::PoolAllocBegin { pool, mask, keeps, site } => {
                let open = self.open.entry(task).or_default();
                if open.len() < MAX_DEPTH {
                    let since = event.seq;
                    open.push(PoolAllocation {
                        pool,
                        mask,
                        keeps,
                        site,
                        since,
                        waited: false,
                        spare: 0,
                        rounds: 0,
                    });
                }
                None
            }
            EventKind::PoolAllocEnd { pool, got } => {
                let open = self.open.get_mut(&task)?;
                let place = open.iter().rposition(|open| open.pool == pool)?;
                let ended = open.remove(place);
                if !open.iter().any(|open| open.pool == pool && open.waited) {
                    self.waited.remove(&(pool, task));
                }
                if open.is_empty() {
                    self.open.remove(&task);
                }
                let failed = got == Some(false) && ended.mask.allow_blocking();
                failed.then_some((Breach::PoolFails, pool, ended.site))
            }
            EventKind::PoolGive { pool } => {
                self.waiters(pool, |open| open.spare = (open.spare + 1).min(open.keeps));
                None
            }
            EventKind::PoolTake { pool, .. } => {
                self.waiters(pool, |open| open.spare = open.spare.saturating_sub(1));
                None
            }
            EventKind::AllocBegin { requested, .. } => {
                let open = self.open.get(&task)?.last()?;
                let below = view.frames(task).iter().filter(|frame| frame.seq > open.since).count();
                // What is allocated further down is not the pool's: only this allocation is inside
                // it.
                let own = below == 1 && !requested.contains(Gfp::NOMEMALLOC);
                own.then_some((Breach::PoolTakesReserves, open.pool, open.site))
            }
            EventKind::WaitBegin { resource, .. } => {
                let open = self.open.get_mut(&task)?.last_mut()?;
                let breach = open.sleeps(resource);
                if open.waited {
                    self.waited.insert((open.pool, task));
                }
                breach
            }
            EventKind::TaskExit => {
                for open in self.open.remove(&task).into_iter().flatten() {
                    self.waited.remove(&(open.pool, task));
                }
                None
            }
            _ => None,
        }
    }

    /// Calls `change` for each allocation that waits, or has waited, for an element of `pool`.
    fn waiters(&mut self, pool: PoolId, change: impl Fn(&mut PoolAllocation)) {
        let waited = (pool, TaskId(0))..=(pool, TaskId(u32::MAX));
        for (_, task) in self.waited.range(waited) {
            let all = self.open.get_mut(task).into_iter().flatten();
            all.filter(|open| open.pool == pool && open.waited).for_each(&change);
        }
    }
}

impl PoolAllocation {
    fn sleeps(&mut self, resource: Resource) -> Option<(Breach, PoolId, Site)> {
        let Self { pool, mask, site, .. } = *self;
        if !mask.allow_blocking() {
            return Some((Breach::PoolSleeps, pool, site));
        }
        if resource != Resource::Pool(pool) {
            return None;
        }
        self.rounds = if self.waited && self.spare > 0 { self.rounds + 1 } else { 0 };
        self.waited = true;
        (self.rounds >= MAX_ROUNDS).then_some((Breach::PoolStarves, pool, site))
    }
}

#[cfg(test)]
mod tests;
