//! RD12: something was left behind when the world ended.
//!
//! Locks, registrations, requests, work items and pool elements are read from the events, at
//! [`EventKind::WorldEnd`]. Holds of an object that was destroyed earlier are reported by an event
//! of their own. `host` looks for what a real machine could keep: devices, mounts, cgroups,
//! processes. A world that hung was unwound, has no orderly end, and is not judged.

use std::collections::BTreeMap;

use crate::event::{EventKind, Fact, PoolId, ShrinkerId, Site, TaskId};
use crate::witness::{Breach, Code, Finding, Judge, Moment, Reads, Subject, View, broken_rule};

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

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        // A world that hung is unwound, and a task whose wait was cut short may keep what the
        // wait was for.
        let hung = |out: &[Finding]| {
            out.iter().any(|finding| matches!(finding.code, Code::RD04 | Code::RD05))
        };
        match event.kind {
            EventKind::TaskExit | EventKind::WorldEnd | EventKind::Declared { .. } if hung(out) => {
            }
            EventKind::ShrinkerRegistered { shrinker, site } => {
                self.registered.insert(shrinker, (event.task, site));
            }
            EventKind::ShrinkerUnregistered { shrinker } => drop(self.registered.remove(&shrinker)),
            EventKind::PoolTake { pool, .. } => {
                self.taken.entry(pool).or_insert((event.task, 0)).1 += 1;
            }
            EventKind::PoolGive { pool } => self.given(pool),
            EventKind::TaskExit => {
                let held = view.exited(event.task).map_or(&[][..], |task| &task.held);
                for held in held {
                    let (breach, subject) = (Breach::LeftLocked, Some(Subject::Lock(held.lock)));
                    out.push(broken_rule(moment, event.task, breach, subject, Some(held.site)));
                }
            }
            EventKind::Declared { fact: Fact::LeftHeld { item } } => {
                let (breach, subject) = (Breach::LeftHeld, Some(Subject::Item(item)));
                out.push(broken_rule(moment, event.task, breach, subject, None));
            }
            EventKind::WorldEnd => {
                for (breach, subject, task, site) in self.left(view) {
                    out.push(broken_rule(moment, task, breach, Some(subject), site));
                }
            }
            _ => {}
        }
    }
}

type Leftover = (Breach, Subject, TaskId, Option<Site>);

impl Leak {
    fn given(&mut self, pool: PoolId) {
        if let Some((_, count)) = self.taken.get_mut(&pool) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.taken.remove(&pool);
            }
        }
    }

    fn left(&self, view: &View) -> Vec<Leftover> {
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
mod tests;
