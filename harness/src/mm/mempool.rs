//! Memory pools: forward progress without the emergency reserves.
//!
//! Key types: [`Mempool`], [`Element`]. A request first asks memory without waiting for it, then
//! takes an element of the reserve, then asks with its full mask, and at last waits for somebody to
//! give an element back. With `__GFP_DIRECT_RECLAIM` it never fails, provided that elements come
//! back from tasks that do not need this pool. Mirrors `mm/mempool.c`; written from the project's
//! description of the allocation path, 3.6.
//!
//! Locking: the reserve is a leaf.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::alloc::PageBlock;
use super::memory::Mm;
use crate::error::{Error, Result};
use crate::event::{EventKind, Gfp, PoolId, RequestId, Resource, Site, TaskId};
use crate::inject::{Bug, Failpoint};
use crate::sched::{SpinLock, WaitQueue, Waiting, quiet};
use crate::units::Ticks;

/// A waiter tries again after this long, whatever happens (5 s).
const WAIT: Ticks = Ticks(5_000);

/// Rounds of a waiter for which a planted mistake keeps it from the reserve.
const STARVED_ROUNDS: u32 = 64;

struct Inner {
    mm: Mm,
    id: PoolId,
    order: u32,
    min: usize,
    reserve: SpinLock<Vec<PageBlock>>,
    waiters: WaitQueue,
    /// How often an element came back, so that a waiter can tell.
    given: AtomicU64,
}

/// A pool of elements of `2^order` pages each. Cheap to clone.
#[derive(Clone)]
pub struct Mempool(Arc<Inner>);

impl std::fmt::Debug for Mempool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mempool").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// An element of a pool; dropping it gives it back.
#[must_use = "the element goes back to its pool when this is dropped"]
pub struct Element {
    pool: Mempool,
    pages: Option<PageBlock>,
    taker: TaskId,
}

impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Element").field("pool", &self.pool.0.id).finish_non_exhaustive()
    }
}

/// An allocation from a pool that was told to have begun; dropping it tells the end.
struct Told<'a> {
    pool: &'a Mempool,
    /// None while it is under way: what is dropped then unwinds.
    got: Option<bool>,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let Inner { mm, id, .. } = &*self.pool.0;
        mm.sched().emit(EventKind::PoolAllocEnd { pool: *id, got: self.got });
    }
}

impl Mempool {
    /// A pool called `name` that keeps `min` elements of `2^order` pages (`mempool_create`).
    ///
    /// # Errors
    /// A pool that keeps nothing, or memory that cannot be had for what it keeps.
    pub fn new(mm: &Mm, name: &str, min: usize, order: u32) -> Result<Self> {
        let _ours = quiet();
        if min == 0 {
            return Err(Error::input(format!("mempool `{name}` with a reserve of 0"))
                .advice("keep at least one"));
        }
        let mut reserve = Vec::new();
        for _ in 0..min {
            let pages = mm.alloc(order, Gfp::KERNEL).ok_or_else(|| {
                Error::input(format!(
                    "mempool `{name}`: no memory for {min} elements of order {order}"
                ))
                .advice("give the world more pages")
            })?;
            reserve.push(pages);
        }
        let id = mm.sched().names(|names| names.add_pool(name));
        Ok(Self(Arc::new(Inner {
            mm: mm.clone(),
            id,
            order,
            min,
            reserve: SpinLock::new(reserve),
            waiters: WaitQueue::new(mm.sched()),
            given: AtomicU64::new(0),
        })))
    }

    /// Elements that the reserve has now.
    #[must_use]
    pub fn reserve(&self) -> usize {
        self.0.reserve.lock().len()
    }

    /// An element (`mempool_alloc`). With `__GFP_DIRECT_RECLAIM` it waits until there is one;
    /// without, it never sleeps.
    ///
    /// # Panics
    /// If `mask` has `__GFP_ZERO`: an element of the reserve is not zeroed.
    #[track_caller]
    pub fn alloc(&self, mask: Gfp) -> Option<Element> {
        let _ours = quiet();
        assert!(!mask.contains(Gfp::ZERO), "a mempool element is not zeroed: leave __GFP_ZERO out");
        let site = Site::here();
        let Inner { mm, id, min, reserve, .. } = &*self.0;
        let (sched, plan) = (mm.sched(), mm.plan());
        let keeps = u32::try_from(*min).unwrap_or(u32::MAX);
        sched.emit(EventKind::PoolAllocBegin { pool: *id, mask, keeps, site });
        let mut told = Told { pool: self, got: None };
        let careful = if plan.has(Bug::PoolTakesReserves) { Gfp::EMPTY } else { Gfp::NOMEMALLOC };
        let full = mask | careful | Gfp::NORETRY | Gfp::NOWARN;
        // The kernel leaves FS, which means nothing without the others; here it would be a
        // malformed mask.
        let mut now = full - Gfp::DIRECT_RECLAIM - Gfp::IO - Gfp::FS;
        let mut starving = 0;
        let element = loop {
            // Read before anything is tried: what is given back during the attempt ends the wait.
            let seen = self.0.given.load(Ordering::Acquire);
            if let Some(pages) = self.underlying(now) {
                sched.emit(EventKind::PoolTake { pool: *id });
                break Some(self.element(pages));
            }
            let spare = {
                // Told under the lock, so that the events are in the order in which elements went.
                let mut reserve = reserve.lock();
                let spare = if starving > 0 { None } else { reserve.pop() };
                spare.inspect(|_| sched.emit(EventKind::PoolTake { pool: *id }))
            };
            if let Some(pages) = spare {
                break Some(self.element(pages));
            }
            if now != full && full.allow_blocking() {
                now = full;
                continue;
            }
            if !full.allow_blocking() || plan.has(Bug::PoolFails) {
                if plan.has(Bug::PoolSleeps) {
                    self.wait(seen, site);
                }
                break None;
            }
            self.wait(seen, site);
            starving = if plan.has(Bug::PoolStarves) { (starving + 1) % STARVED_ROUNDS } else { 0 };
        };
        told.got = Some(element.is_some());
        element
    }

    fn underlying(&self, mask: Gfp) -> Option<PageBlock> {
        let mm = &self.0.mm;
        mm.plan().pass(mm.sched(), Failpoint::MempoolAlloc).ok()?;
        mm.alloc(self.0.order, mask)
    }

    fn element(&self, pages: PageBlock) -> Element {
        let taker = self.0.mm.sched().current();
        Element { pool: self.clone(), pages: Some(pages), taker }
    }

    fn wait(&self, seen: u64, site: Site) {
        let waiting = Waiting {
            resource: Resource::Pool(self.0.id),
            why: "mempool element",
            breakable: false,
            site,
        };
        let given = || self.0.given.load(Ordering::Acquire) != seen;
        // Timed out or not, it tries again from where it is.
        let _came = self.0.waiters.wait_timeout(waiting, WAIT, given);
    }
}

impl Element {
    /// Says that `request` carries the element from now on: whoever completes it gives the element
    /// back. The judges need to know on whose progress a waiter depends.
    pub fn hand_over(&self, request: RequestId) {
        self.pool.0.mm.sched().emit(EventKind::PoolHandOver { pool: self.pool.0.id, request });
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        let _ours = quiet();
        let Inner { mm, id, min, reserve, waiters, given, .. } = &*self.pool.0;
        {
            let mut reserve = reserve.lock();
            if reserve.len() < *min {
                reserve.extend(self.pages.take());
            }
            // Whoever completes I/O may be no task of the world: then it is told on the taker's
            // behalf.
            let giver = mm.sched().try_current().unwrap_or(self.taker);
            mm.sched().emit_for(giver, EventKind::PoolGive { pool: *id });
        }
        // Beyond the reserve the memory itself goes back; a waiter finds it there.
        drop(self.pages.take());
        given.fetch_add(1, Ordering::AcqRel);
        waiters.wake_one();
    }
}
