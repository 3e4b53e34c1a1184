//! RD12: something was left behind when the world had ended.
//!
//! Locks, registrations, requests, work items and pool elements, read from the events at
//! [`EventKind::WorldEnd`]; holds of what was taken down before that, where it is said. What a real
//! machine could keep (devices, mounts, cgroups, processes) is looked for by `host`. A world that
//! was unwound has no end in good order and is not asked.

use std::collections::BTreeMap;

use super::breach::Breach;
use super::chain::Chain;
use super::code::Code;
use super::finding::{Finding, StepKind, Subject};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, Fact, PoolId, ShrinkerId, Site, TaskId};

/// The judge of RD12.
#[derive(Debug, Default)]
pub(super) struct Leak {
    registered: BTreeMap<ShrinkerId, (TaskId, Site)>,
    /// Elements that were taken and not given back.
    taken: BTreeMap<PoolId, (TaskId, u64)>,
}

impl Judge for Leak {
    fn reads(&self) -> Reads {
        Reads::TASKS.and(Reads::SHRINKERS).and(Reads::POOLS).and(Reads::WORLD)
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        // A world that hung is unwound, and an unwound task leaves what a wait that was cut short
        // had got it.
        let hung = out.iter().any(|finding| matches!(finding.code, Code::RD04 | Code::RD05));
        match event.kind {
            EventKind::TaskExit | EventKind::WorldEnd | EventKind::Declared { .. } if hung => {}
            EventKind::ShrinkerRegistered { shrinker, site } => {
                self.registered.insert(shrinker, (event.task, site));
            }
            EventKind::ShrinkerUnregistered { shrinker } => drop(self.registered.remove(&shrinker)),
            EventKind::PoolTake { pool } => {
                self.taken.entry(pool).or_insert((event.task, 0)).1 += 1
            }
            EventKind::PoolGive { pool } => self.given(pool),
            EventKind::TaskExit => {
                let held = view.exited(event.task).map_or(&[][..], |task| &task.held);
                for held in held {
                    let mut chain = Chain::new(view);
                    chain.task(event.task, None);
                    let (breach, subject) = (Breach::LeftLocked, Some(Subject::Lock(held.lock)));
                    chain.ends_with(StepKind::Broke { breach, subject }, Some(held.site), event);
                    out.push(chain.finish(breach.code(), event));
                }
            }
            EventKind::Declared { fact: Fact::LeftHeld { item } } => {
                let mut chain = Chain::new(view);
                chain.task(event.task, None);
                let (breach, subject) = (Breach::LeftHeld, Some(Subject::Item(item)));
                chain.ends_with(StepKind::Broke { breach, subject }, None, event);
                out.push(chain.finish(breach.code(), event));
            }
            EventKind::WorldEnd => {
                for (breach, subject, task, site) in self.left(view) {
                    let mut chain = Chain::new(view);
                    chain.task(task, None);
                    chain.ends_with(
                        StepKind::Broke { breach, subject: Some(subject) },
                        site,
                        event,
                    );
                    out.push(chain.finish(breach.code(), event));
                }
            }
            _ => {}
        }
    }
}

type Left = (Breach, Subject, TaskId, Option<Site>);

impl Leak {
    fn given(&mut self, pool: PoolId) {
        if let Some((_, count)) = self.taken.get_mut(&pool) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.taken.remove(&pool);
            }
        }
    }

    fn left(&self, view: &View) -> Vec<Left> {
        let held = view.tasks().flat_map(|(id, task)| task.held.iter().map(move |held| (id, held)));
        let held = held
            .map(|(id, held)| (Breach::LeftLocked, Subject::Lock(held.lock), id, Some(held.site)));
        let registered = self.registered.iter().map(|(shrinker, (task, site))| {
            (Breach::LeftRegistered, Subject::Shrinker(*shrinker), *task, Some(*site))
        });
        let requests = view.requests().map(|(id, request)| {
            (Breach::LeftInFlight, Subject::Request(id), request.submitter, Some(request.site))
        });
        let works = view
            .works()
            .map(|(id, work)| (Breach::LeftInFlight, Subject::Work(id), work.queued_by, None));
        let taken = self
            .taken
            .iter()
            .map(|(pool, (task, _))| (Breach::LeftOut, Subject::Pool(*pool), *task, None));
        held.chain(registered).chain(requests).chain(works).chain(taken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LockMode;
    use crate::witness::script::Script;

    /// What is left after `story`, in order.
    #[track_caller]
    fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        story(&mut s, task);
        s.on(task, EventKind::WorldEnd);
        let last = |finding: &Finding| match finding.chain.last()?.what {
            StepKind::Broke { breach, .. } => Some(breach),
            _ => None,
        };
        let left: Vec<_> = s.witness.findings().iter().filter_map(last).collect();
        assert_eq!(left, expect);
    }

    const SITE: Site = Site { file: "x.rs", line: 1 };
    const ONE: ShrinkerId = ShrinkerId(0);
    const POOL: PoolId = PoolId(0);

    #[test]
    fn what_is_left_is_named() {
        check(&[Breach::LeftLocked], |s, task| {
            let lock = s.lock("a", "");
            s.take(task, lock, LockMode::Exclusive);
        });
        check(&[Breach::LeftRegistered], |s, task| {
            s.on(task, EventKind::ShrinkerRegistered { shrinker: ONE, site: SITE });
        });
        check(&[Breach::LeftInFlight], |s, task| {
            let (queue, _) = s.queue("vda");
            s.submit(task, queue);
        });
        check(&[Breach::LeftInFlight], |s, task| {
            let (queue, _) = s.queue("wq");
            s.queue_work(task, queue);
        });
        check(&[Breach::LeftOut], |s, task| s.on(task, EventKind::PoolTake { pool: POOL }));
        check(&[Breach::LeftHeld], |s, _| {
            let item = s.names.add_item("block 7");
            s.declare(Fact::LeftHeld { item });
        });
    }

    #[test]
    fn a_lock_that_a_task_took_to_its_end_is_named_there() {
        check(&[Breach::LeftLocked], |s, _| {
            let (lock, other) = (s.lock("a", ""), s.task("other"));
            s.take(other, lock, LockMode::Exclusive);
            s.on(other, EventKind::TaskExit);
        });
    }

    #[test]
    fn what_was_put_back_is_not() {
        check(&[], |s, task| {
            let (queue, server) = s.queue("vda");
            let lock = s.lock("a", "");
            s.take(task, lock, LockMode::Exclusive);
            s.on(task, EventKind::LockReleased { lock });
            s.on(task, EventKind::ShrinkerRegistered { shrinker: ONE, site: SITE });
            s.on(task, EventKind::ShrinkerUnregistered { shrinker: ONE });
            let request = s.submit(task, queue);
            s.on(server, EventKind::RequestComplete { request, error: None });
            s.on(task, EventKind::PoolTake { pool: POOL });
            s.on(task, EventKind::PoolGive { pool: POOL });
        });
    }
}
