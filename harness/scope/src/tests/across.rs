//! Scopes across requests, threads and awaits.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context as Poller, Poll, Waker};

use crate::testing::{Attached, misuses};
use crate::thread::{forked, kthread};
use crate::*;

#[test]
fn a_worker_enters_the_scopes_of_each_request_and_leaves_them() {
    let requests: Vec<Snapshot> = [ScopeKind::Nofs, ScopeKind::Noio]
        .into_iter()
        .map(|kind| {
            let _requester = Attached::new(1, TaskFlags::EMPTY);
            let (_reclaimer, _outer, _inner) = (noreclaim(), pin(), kind.enter());
            Snapshot::take()
        })
        .collect();
    let _worker = Attached::new(2, TaskFlags::EMPTY);
    let mut masks = Vec::new();
    for request in &requests {
        let _scopes = request.enter();
        masks.push(effective(Gfp::KERNEL));
        let how = Entered::OnBehalf(ScopeRef { task: 1, seq: 3 });
        assert!(
            context::scopes().all(|scope| scope.how == how),
            "reserves and pins are not carried"
        );
    }
    assert_eq!(
        (masks, context::flags(), misuses()),
        (vec![Gfp::NOFS, Gfp::NOIO], TaskFlags::EMPTY, vec![])
    );
}

#[test]
fn a_snapshot_outside_a_world_carries_the_flags() {
    let snapshot = {
        let (_fs, _io) = (nofs(), noio());
        Snapshot::take()
    };
    assert_eq!(snapshot.kinds().count(), 2);
    {
        let _scopes = snapshot.enter();
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOIO);
    }
    assert_eq!(context::flags(), TaskFlags::EMPTY);
}

#[test]
fn a_snapshot_keeps_the_order_and_carries_the_innermost_scopes() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let _guards: Vec<ScopeGuard> = (0..9).map(|n| if n == 1 { noio() } else { nofs() }).collect();
    let kinds: Vec<ScopeKind> = Snapshot::take().kinds().collect();
    assert_eq!((kinds.len(), kinds[0]), (snapshot::MAX_CARRIED, ScopeKind::Noio));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the thread is started by other code")]
fn a_thread_begins_with_the_flags_that_its_wrapper_sets() {
    let _nofs = nofs();
    let mask = || effective(Gfp::KERNEL);
    for (body, expect) in [
        (Box::new(mask) as Box<dyn FnOnce() -> Gfp + Send>, Gfp::KERNEL),
        (Box::new(forked(mask)), Gfp::NOFS),
        (Box::new(kthread(mask)), Gfp::KERNEL),
    ] {
        assert_eq!(std::thread::spawn(body).join().unwrap(), expect);
    }
    assert_eq!(
        (kthread(mask)(), mask()),
        (Gfp::KERNEL, Gfp::NOFS),
        "the thread's own scopes are back"
    );
}

#[test]
fn a_child_of_fork_has_scopes_without_a_token() {
    let parent = Attached::new(1, TaskFlags::EMPTY);
    let (_fs, _pin) = (nofs(), pin());
    let child = Attached::new(2, context::flags());
    assert!(context::scopes().all(|scope| scope.how == Entered::Inherited));
    enter_permanent(ScopeKind::Pin);
    assert_eq!(context::flags(), TaskFlags::MEMALLOC_NOFS | TaskFlags::MEMALLOC_PIN);
    assert_eq!(context::disown(), TaskFlags::MEMALLOC_NOFS);
    assert_eq!(
        context::scopes().map(|s| (s.kind, s.how)).collect::<Vec<_>>(),
        [(ScopeKind::Pin, Entered::Permanent)]
    );
    assert_eq!(misuses(), []);
    drop(child);
    let wrapped = forked(|| context::scopes().map(|scope| scope.how).collect::<Vec<_>>());
    drop(Attached::new(3, TaskFlags::EMPTY));
    let _task = Attached::new(3, TaskFlags::EMPTY);
    assert_eq!(wrapped(), [Entered::Inherited; 2]);
    drop(parent);
}

/// Is pending once, then ready.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(
        |_| if core::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

/// Polls until the future is ready; returns the flags between the polls.
fn run(future: impl Future<Output = ()>) -> Vec<TaskFlags> {
    let (mut future, mut between) = (pin!(future), Vec::new());
    while future.as_mut().poll(&mut Poller::from_waker(Waker::noop())).is_pending() {
        between.push(context::flags());
    }
    between
}

#[test]
fn a_future_is_in_its_scope_only_while_it_is_polled() {
    for attached in [false, true] {
        let _task = attached.then(|| Attached::new(1, TaskFlags::EMPTY));
        let body = async {
            assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
            yield_once().await;
            assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
        };
        assert_eq!(run(body.in_scope(ScopeKind::Nofs)), [TaskFlags::EMPTY]);
        assert_eq!(misuses(), []);
    }
}

async fn careless() {
    let _nofs = nofs();
    yield_once().await;
}

#[test]
fn a_guard_held_across_an_await_is_reported() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    assert_eq!(
        run(careless().checked()),
        [TaskFlags::MEMALLOC_NOFS],
        "the next task to run is in the scope"
    );
    assert_eq!(misuses(), [Misuse::HeldAcrossAwait]);
    run(careless().in_scope(ScopeKind::Noio));
    assert_eq!(misuses(), [Misuse::HeldAcrossAwait]);
    run(careless());
    assert_eq!(misuses(), [], "a future without a wrapper is not checked");
}

#[test]
fn a_permanent_scope_entered_in_a_poll_is_no_misuse() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    run(async {
        enter_permanent(ScopeKind::Nofs);
        yield_once().await;
    }
    .checked());
    assert_eq!(misuses(), []);
}
