//! RD08: a memory pool does not keep its promise.
//!
//! A request that may wait gets an element, after no more elements than a bound came back without
//! anybody else taking them; one that may not wait does not sleep; and neither draws on the
//! emergency reserves, because what the pool keeps is there instead. Invariant 16 of the project's
//! description of reclaim, section 9; the pool's steps are those of 3.6.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, Gfp, PoolId, Resource, Site, TaskId};

/// How often a waiter may go back to sleep although an element is there. On OS threads another
/// waiter may come between; so often in a row it cannot.
const MAX_ROUNDS: u32 = 16;
/// Allocations from pools inside each other beyond these are not looked at.
const MAX_DEPTH: usize = 64;

/// The judge of invariant 16.
#[derive(Debug, Default)]
pub(super) struct Pool {
    found: BTreeSet<(PoolId, Breach)>,
    open: BTreeMap<TaskId, Vec<Open>>,
}

/// An allocation from a pool that is under way.
#[derive(Debug)]
struct Open {
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

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
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
                    open.push(Open {
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
    fn waiters(&mut self, pool: PoolId, change: impl Fn(&mut Open)) {
        let all = self.open.values_mut().flatten();
        all.filter(|open| open.pool == pool && open.waited).for_each(change);
    }
}

impl Open {
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
mod tests {
    use super::*;
    use crate::event::WaitOutcome;
    use crate::witness::script::{Script, breaches};

    const POOL: PoolId = PoolId(0);

    /// The breaches that are named in an allocation with `mask` from a pool that keeps one.
    #[track_caller]
    fn check(expect: &[Breach], mask: Gfp, story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        s.names.add_pool("bio");
        let site = Site { file: "x.rs", line: 1 };
        s.on(task, EventKind::PoolAllocBegin { pool: POOL, mask, keeps: 1, site });
        story(&mut s, task);
        assert_eq!(breaches(&s), expect);
    }

    fn end(s: &mut Script, task: TaskId, got: Option<bool>) {
        s.on(task, EventKind::PoolAllocEnd { pool: POOL, got });
    }

    #[test]
    fn only_a_request_that_may_not_wait_goes_without() {
        check(&[Breach::PoolFails], Gfp::NOIO, |s, task| end(s, task, Some(false)));
        check(&[], Gfp::NOIO, |s, task| end(s, task, Some(true)));
        check(&[], Gfp::NOIO, |s, task| end(s, task, None));
        check(&[], Gfp::NOWAIT, |s, task| end(s, task, Some(false)));
    }

    #[test]
    fn only_a_request_that_may_wait_sleeps() {
        let sleeps = |s: &mut Script, task| s.wait(task, Resource::Pool(POOL), "mempool element");
        check(&[Breach::PoolSleeps], Gfp::NOWAIT, sleeps);
        check(&[], Gfp::NOIO, sleeps);
    }

    #[test]
    fn the_pool_itself_leaves_the_reserves_alone() {
        let asks = |mask| move |s: &mut Script, task| s.alloc(task, mask, mask);
        check(&[Breach::PoolTakesReserves], Gfp::NOIO, asks(Gfp::NOIO));
        check(&[], Gfp::NOIO, asks(Gfp::NOIO | Gfp::NOMEMALLOC));
        // A shrinker below its reclaim allocates for itself.
        check(&[], Gfp::NOIO, |s, task| {
            asks(Gfp::NOIO | Gfp::NOMEMALLOC)(s, task);
            s.reclaim(task, Gfp::NOIO);
            s.alloc(task, Gfp::NOWAIT, Gfp::NOWAIT);
        });
        check(&[], Gfp::NOIO, |s, task| {
            end(s, task, Some(true));
            s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        });
    }

    /// A waiter that sleeps `rounds` times after an element of a pool came back, `taken` by another
    /// or not.
    fn rounds(rounds: u32, pool: PoolId, taken: bool) -> impl FnOnce(&mut Script, TaskId) {
        move |s, task| {
            let other = s.task("other");
            s.wait(task, Resource::Pool(POOL), "mempool element");
            for _ in 0..rounds {
                s.on(other, EventKind::PoolGive { pool });
                if taken {
                    s.on(other, EventKind::PoolTake { pool });
                }
                s.end_wait(task, Resource::Pool(POOL), WaitOutcome::Satisfied);
                s.wait(task, Resource::Pool(POOL), "mempool element");
            }
        }
    }

    #[test]
    fn a_waiter_gets_what_comes_back_and_nobody_takes() {
        check(&[Breach::PoolStarves], Gfp::NOIO, rounds(MAX_ROUNDS, POOL, false));
        check(&[], Gfp::NOIO, rounds(MAX_ROUNDS - 1, POOL, false));
        check(&[], Gfp::NOIO, rounds(10 * MAX_ROUNDS, POOL, true));
        check(&[], Gfp::NOIO, rounds(MAX_ROUNDS, PoolId(1), false));
    }
}
