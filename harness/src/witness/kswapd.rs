//! RD07, RD08: kswapd waits for what may wait for memory, or reclaims with a mask of its waker's.
//!
//! kswapd works for everybody, so it waits for no I/O, and for nobody who is in direct reclaim: not
//! for such a holder of a lock, such a worker of what it flushes, whoever has the element of a pool
//! or promised to signal. A work item that does I/O for it is I/O too. What it waits for may begin
//! to reclaim later, so its waits are looked at again when anybody does. In a shrinker's scan it is
//! the shrinker that is to blame (RD07). Invariant 15 of the project's description of reclaim,
//! section 9. A wait for a pool whose elements are in flight with requests is left out: swap-out
//! allocates bios that way.

use std::collections::BTreeSet;

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::frames::{Frame, FrameKind};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use super::waits::Quorum;
use crate::event::{Event, EventKind, Gfp, ReclaimKind, Resource, ShrinkerId, TaskId};

/// The judge of invariant 15.
#[derive(Debug, Default)]
pub(super) struct Kswapd {
    found: BTreeSet<(TaskId, Option<ShrinkerId>, Breach)>,
    /// Those that reclaim as kswapd and wait for somebody, which was nothing bad so far.
    waiting: BTreeSet<TaskId>,
}

impl Judge for Kswapd {
    fn reads(&self) -> Reads {
        Reads::WAITS.and(Reads::LOCKS).and(Reads::TASKS).and(Reads::RECLAIM)
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let task = event.task;
        match event.kind {
            EventKind::WaitEnd { .. } | EventKind::LockAcquired { .. } | EventKind::TaskExit => {
                self.waiting.remove(&task);
            }
            EventKind::WaitBegin { .. } => {
                if below_kswapd(view.frames(task)).is_some() && view.wait(task).is_some() {
                    self.waiting.insert(task);
                }
                self.look(event, view, out);
            }
            EventKind::ReclaimEnter { kind, mask } => {
                if kind == ReclaimKind::Kswapd && mask != Gfp::KERNEL {
                    self.found(task, None, Breach::KswapdMask, event, view, out);
                }
                self.look(event, view, out);
            }
            _ => {}
        }
    }
}

impl Kswapd {
    /// Looks at every wait of kswapd.
    fn look(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let bad: Vec<_> =
            self.waiting.iter().copied().filter(|kswapd| forbidden(view, *kswapd)).collect();
        for kswapd in bad {
            self.waiting.remove(&kswapd);
            let shrinker = below_kswapd(view.frames(kswapd)).and_then(scanning);
            let breach =
                if shrinker.is_some() { Breach::WaitsInKswapd } else { Breach::KswapdWaits };
            self.found(kswapd, shrinker, breach, event, view, out);
        }
    }

    fn found(
        &mut self,
        kswapd: TaskId,
        shrinker: Option<ShrinkerId>,
        breach: Breach,
        event: &Event,
        view: &View,
        out: &mut Vec<Finding>,
    ) {
        if self.found.insert((kswapd, shrinker, breach)) {
            let mut chain = Chain::new(view);
            chain.task(kswapd, None);
            let site = view.wait(kswapd).map(|wait| wait.site);
            let subject = shrinker.map(Subject::Shrinker);
            chain.ends_with(StepKind::Broke { breach, subject }, site, event);
            out.push(chain.finish(breach.code(), event));
        }
    }
}

/// The frames from kswapd's reclaim on, if the task is in one.
fn below_kswapd(frames: &[Frame]) -> Option<&[Frame]> {
    let kswapd = |kind| matches!(kind, FrameKind::Reclaim { kind: ReclaimKind::Kswapd, .. });
    frames.iter().position(|frame| kswapd(frame.kind)).map(|begun| &frames[begun..])
}

/// The shrinker whose scan is under way.
fn scanning(frames: &[Frame]) -> Option<ShrinkerId> {
    frames.iter().rev().find_map(|frame| match frame.kind {
        FrameKind::Scan { shrinker, .. } => Some(shrinker),
        _ => None,
    })
}

/// Whether the present wait of the task is one that kswapd must not make.
fn forbidden(view: &View, kswapd: TaskId) -> bool {
    let Some(resource) = view.wait(kswapd).map(|wait| wait.resource) else {
        return false;
    };
    if matches!(resource, Resource::Request(_)) {
        return true;
    }
    let reclaims = |task: TaskId| {
        let direct = |kind| matches!(kind, ReclaimKind::Direct | ReclaimKind::Memcg);
        let frames = view.frames(task).iter();
        frames
            .map(|frame| frame.kind)
            .any(|kind| matches!(kind, FrameKind::Reclaim { kind, .. } if direct(kind)))
    };
    let does_io = |task: TaskId| {
        let waits =
            view.wait(task).is_some_and(|wait| matches!(wait.resource, Resource::Request(_)));
        matches!(resource, Resource::Work(_)) && waits
    };
    let (quorum, mut needed) = view.needed(kswapd);
    let stands = |task| reclaims(task) || does_io(task);
    match quorum {
        Quorum::All => needed.any(|needed| stands(needed.task)),
        Quorum::Any => {
            let mut any = false;
            needed.all(|needed| {
                any = true;
                stands(needed.task)
            }) && any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LockMode, PoolId, WaitId, WaitOutcome};
    use crate::witness::script::{Script, breaches};

    const ONE: ShrinkerId = ShrinkerId(0);

    /// The breaches that are named where `kind` reclaims, in a scan or outside of one.
    #[track_caller]
    fn check_as(
        kind: ReclaimKind,
        scans: bool,
        expect: &[Breach],
        story: impl FnOnce(&mut Script, TaskId),
    ) {
        let mut s = Script::default();
        let task = s.task("kswapd0");
        s.names.add_shrinker("cache");
        s.on(task, EventKind::ReclaimEnter { kind, mask: Gfp::KERNEL });
        if scans {
            s.scan(task, ONE, Gfp::KERNEL);
        }
        story(&mut s, task);
        assert_eq!(breaches(&s), expect);
    }

    /// The same for kswapd: `found` says whether its wait is one that it must not make.
    #[track_caller]
    fn check(found: bool, story: impl Fn(&mut Script, TaskId)) {
        for (scans, breach) in [(true, Breach::WaitsInKswapd), (false, Breach::KswapdWaits)] {
            let expect = [breach];
            let expect = if found { &expect[..] } else { &[] };
            check_as(ReclaimKind::Kswapd, scans, expect, &story);
        }
    }

    fn reclaims(s: &mut Script, task: TaskId) {
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL });
    }

    #[test]
    fn io_that_kswapd_waits_for_is_found_and_that_of_others_is_not_this() {
        let waits = |s: &mut Script, task| {
            let (queue, _) = s.queue("vda");
            let request = s.submit(task, queue);
            s.wait(task, Resource::Request(request), "buffer WRITING");
        };
        check(true, waits);
        check_as(ReclaimKind::Direct, true, &[], waits);
    }

    #[test]
    fn kswapd_may_wait_for_a_lock_unless_its_holder_reclaims() {
        for holder_reclaims in [true, false] {
            check(holder_reclaims, |s, task| {
                let (lock, holder) = (s.lock("client", ""), s.task("holder"));
                s.take(holder, lock, LockMode::Exclusive);
                if holder_reclaims {
                    reclaims(s, holder);
                }
                s.want(task, lock, LockMode::Exclusive, false);
            });
        }
    }

    #[test]
    fn what_the_holder_of_a_lock_waits_for_is_its_own() {
        check(false, |s, task| {
            let (lock, holder) = (s.lock("client", ""), s.task("holder"));
            s.take(holder, lock, LockMode::Exclusive);
            let (queue, _) = s.queue("vda");
            let request = s.submit(holder, queue);
            s.wait(holder, Resource::Request(request), "buffer WRITING");
            s.want(task, lock, LockMode::Exclusive, false);
        });
    }

    #[test]
    fn after_its_reclaim_a_task_may_wait() {
        check_as(ReclaimKind::Kswapd, false, &[], |s, task| {
            let (lock, holder) = (s.lock("client", ""), s.task("holder"));
            s.take(holder, lock, LockMode::Exclusive);
            s.want(task, lock, LockMode::Exclusive, false);
            s.give_up(holder, lock);
            s.end_wait(task, Resource::Lock(lock), WaitOutcome::Satisfied);
            s.on(task, EventKind::ReclaimExit { freed: 0, priority: 12 });
            let (queue, _) = s.queue("vda");
            let request = s.submit(task, queue);
            s.wait(task, Resource::Request(request), "page write");
            reclaims(s, holder);
        });
    }

    #[test]
    fn who_begins_to_reclaim_while_kswapd_waits_is_seen() {
        for still_waits in [true, false] {
            check(still_waits, |s, task| {
                let (lock, holder) = (s.lock("client", ""), s.task("holder"));
                s.take(holder, lock, LockMode::Exclusive);
                s.want(task, lock, LockMode::Exclusive, false);
                if !still_waits {
                    s.give_up(holder, lock);
                    s.end_wait(task, Resource::Lock(lock), WaitOutcome::Satisfied);
                }
                reclaims(s, holder);
            });
        }
    }

    /// kswapd flushes an item whose worker does `then`.
    #[track_caller]
    fn check_flush(found: bool, then: impl Fn(&mut Script, TaskId)) {
        check(found, |s, task| {
            let (queue, worker) = s.queue("wq");
            let work = s.queue_work(task, queue);
            s.wait(task, Resource::Work(work), "work item");
            s.begin_work(worker, queue, work);
            then(s, worker);
        });
    }

    #[test]
    fn a_flush_is_a_wait_for_what_the_worker_does() {
        check_flush(true, reclaims);
        check_flush(true, |s, worker| {
            let (queue, _) = s.queue("vda");
            let request = s.submit(worker, queue);
            s.wait(worker, Resource::Request(request), "page write");
        });
        check_flush(false, |s, worker| {
            let lock = s.lock("inode", "");
            s.take(worker, lock, LockMode::Exclusive);
        });
    }

    #[test]
    fn a_condition_is_a_wait_for_whoever_promised() {
        for promiser_reclaims in [true, false] {
            check(promiser_reclaims, |s, task| {
                let (condition, promiser) = (WaitId(0), s.task("commit"));
                s.on(promiser, EventKind::Promise { condition });
                if promiser_reclaims {
                    reclaims(s, promiser);
                }
                s.wait(task, Resource::Condition(condition), "log space");
            });
        }
    }

    #[test]
    fn a_pool_is_a_wait_for_all_that_have_its_elements() {
        for all in [true, false] {
            check(all, |s, task| {
                for (name, stands) in [("one", true), ("two", all)] {
                    let holder = s.task(name);
                    s.on(holder, EventKind::PoolTake { pool: PoolId(0) });
                    if stands {
                        reclaims(s, holder);
                    }
                }
                s.wait(task, Resource::Pool(PoolId(0)), "mempool element");
            });
        }
    }

    #[test]
    fn kswapd_borrows_no_mask() {
        for (mask, expect) in [(Gfp::KERNEL, &[][..]), (Gfp::NOFS, &[Breach::KswapdMask])] {
            let mut s = Script::default();
            let task = s.task("kswapd0");
            s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Kswapd, mask });
            assert_eq!(breaches(&s), expect);
        }
    }
}
