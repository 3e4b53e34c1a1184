//! RD08: a memory pool does not keep its promise.
//!
//! A request that may wait gets an element, after no more elements than a bound came back without
//! anybody else taking them; one that may not wait does not sleep; and neither draws on the
//! emergency reserves, because what the pool keeps is there instead. Invariant 16 of the project's
//! description of reclaim, section 9; the pool's steps are those of 3.6.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, Gfp, PoolId, Resource, Site, TaskId};
use crate::witness::{Breach, Chain, Finding, Judge, Moment, Reads, StepKind, Subject, View};

/// How often a waiter may go back to sleep although an element is there. On OS threads another
/// waiter may come between; so often in a row it cannot.
const MAX_ROUNDS: u32 = 16;
/// Allocations from pools inside each other beyond these are not looked at.
const MAX_DEPTH: usize = 64;

/// The judge of invariant 16.
#[derive(Debug, Default)]
pub(super) struct Pool {
    found: BTreeSet<(PoolId, Breach)>,
    open: BTreeMap<TaskId, Vec<PoolAllocation>>,
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
    /// Elements that came back since it first waited and that nobody took, as far as the reserve
    /// holds them.
    spare: u32,
    /// Times it went back to sleep with one there.
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
            let mut chain = Chain::new(view);
            chain.task(event.task, None);
            let subject = Some(Subject::Pool(pool));
            chain.ends_with(StepKind::Broke { breach, subject }, Some(site), event);
            out.push(chain.finish(breach.code(), event));
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
                let failed = got == Some(false) && ended.mask.allow_blocking();
                failed.then_some((Breach::PoolFails, pool, ended.site))
            }
            EventKind::PoolGive { pool } => {
                self.waiters(pool, |open| open.spare = (open.spare + 1).min(open.keeps));
                None
            }
            EventKind::PoolTake { pool } => {
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
                self.open.get_mut(&task)?.last_mut()?.sleeps(resource)
            }
            EventKind::TaskExit => {
                self.open.remove(&task);
                None
            }
            _ => None,
        }
    }

    /// Those that wait, or have waited, for an element of `pool`.
    fn waiters(&mut self, pool: PoolId, change: impl Fn(&mut PoolAllocation)) {
        let all = self.open.values_mut().flatten();
        all.filter(|open| open.pool == pool && open.waited).for_each(change);
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
