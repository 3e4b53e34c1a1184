//! RD08: mempools.

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
                s.on(other, EventKind::PoolTake { pool, site: None });
            }
            s.end_wait(task, Resource::Pool(POOL), WaitOutcome::Satisfied);
            s.wait(task, Resource::Pool(POOL), "mempool element");
        }
    }
}

#[test]
fn a_waiter_gets_an_element_that_came_back_and_was_not_taken() {
    check(&[Breach::PoolStarves], Gfp::NOIO, rounds(MAX_ROUNDS, POOL, false));
    check(&[], Gfp::NOIO, rounds(MAX_ROUNDS - 1, POOL, false));
    check(&[], Gfp::NOIO, rounds(10 * MAX_ROUNDS, POOL, true));
    check(&[], Gfp::NOIO, rounds(MAX_ROUNDS, PoolId(1), false));
}
