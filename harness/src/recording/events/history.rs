//! `History`: whether an event can follow those before it.
//!
//! Key type: [`History`]. It keeps what each task is in the middle of, who holds and serves what,
//! and refuses an event that contradicts that: it would be judged as another run. It must accept
//! whatever a world can do, also while its tasks unwind after a deadlock or a panic: waits then
//! stay open, and a lock may be handed to a task that has ended while it waited for it.

mod requests;

use std::collections::{BTreeMap, BTreeSet};

use super::acts::{Check, Open, closes, declared, may_follow_in_wait, named, opens, require};
use crate::event::{
    Actor, Event, EventKind, LockId, LockMode, Names, PoolId, QueueId, RequestId, Resource,
    ShrinkerId, TaskId, TaskKind, WaitId, WaitOutcome, WorkId,
};

/// A lock that a task asked for and does not have yet.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    lock: LockId,
    mode: LockMode,
    try_lock: bool,
}

#[derive(Debug, Default)]
struct Task {
    spawned: bool,
    /// A task of the real kernel: it serves what the harness cannot see.
    foreign: bool,
    exited: bool,
    open: Vec<Open>,
    /// Innermost last, each with whether it may be broken.
    waits: Vec<(Resource, bool)>,
    attempts: Vec<Attempt>,
}

/// What the events so far say.
#[derive(Debug, Default)]
pub(super) struct History {
    tasks: BTreeMap<TaskId, Task>,
    holders: BTreeMap<LockId, Vec<(TaskId, LockMode)>>,
    /// Submitted and not complete, each with its queue and its submitter.
    requests: BTreeMap<RequestId, (QueueId, TaskId)>,
    servers: BTreeMap<QueueId, BTreeSet<TaskId>>,
    completed: BTreeSet<RequestId>,
    /// Queued, and whether it has begun.
    works: BTreeMap<WorkId, bool>,
    worked: BTreeSet<WorkId>,
    /// Elements of each pool that are not in it.
    elements: BTreeMap<PoolId, u64>,
    /// How many promises were made and have not ended; a signal keeps them without an event.
    promises: BTreeMap<(WaitId, Actor), u64>,
    shrinkers: BTreeSet<ShrinkerId>,
    ended: bool,
}

impl History {
    /// Takes in `event`; `names` has what was declared before it.
    ///
    /// # Errors
    /// What was read, and what contradicts it.
    pub(super) fn take(&mut self, event: &Event, names: &Names) -> Check {
        declared(event.kind, names)?;
        self.lifetime(event)?;
        self.attempts_end(event);
        let Event { task, kind, .. } = *event;
        match kind {
            EventKind::LockAttempt { .. }
            | EventKind::LockAcquired { .. }
            | EventKind::LockReleased { .. } => self.lock(task, kind),
            EventKind::WaitBegin { .. }
            | EventKind::WaitPassed { .. }
            | EventKind::WaitAgain { .. }
            | EventKind::WaitEnd { .. } => self.wait(task, kind),
            EventKind::QueueServer { queue } => {
                self.servers.entry(queue).or_default().insert(task);
                Ok(())
            }
            EventKind::RequestSubmit { .. }
            | EventKind::RequestServe { .. }
            | EventKind::RequestPassed { .. }
            | EventKind::RequestServed { .. }
            | EventKind::RequestComplete { .. } => self.request(task, kind),
            EventKind::WorkQueued { .. }
            | EventKind::WorkBegin { .. }
            | EventKind::WorkEnd { .. } => self.work(task, kind),
            EventKind::PoolTake { .. }
            | EventKind::PoolGive { .. }
            | EventKind::PoolHandOver { .. } => self.element(kind),
            EventKind::Promise { .. } | EventKind::PromiseEnd { .. } => self.promise(kind),
            EventKind::ShrinkerRegistered { .. } | EventKind::ShrinkerUnregistered { .. } => {
                self.shrinker(kind)
            }
            _ => self.frame(task, kind),
        }
    }

    fn task(&mut self, task: TaskId) -> &mut Task {
        self.tasks.entry(task).or_default()
    }

    fn spawned(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|task| task.spawned)
    }

    /// Tasks act between their spawn and their exit.
    fn lifetime(&mut self, event: &Event) -> Check {
        let Event { task: id, kind, .. } = *event;
        if let EventKind::TaskSpawn { parent, kind: role } = kind {
            require(!self.spawned(id), || format!("task {} is spawned twice", id.0))?;
            let alive = self.tasks.get(&parent).is_some_and(|task| task.spawned && !task.exited);
            require(parent == id || alive, || {
                format!("task {} is spawned by task {}, which does not live", id.0, parent.0)
            })?;
            let task = self.task(id);
            (task.spawned, task.foreign) = (true, role == TaskKind::Foreign);
            return Ok(());
        }
        require(self.spawned(id), || format!("task {} acts before it was spawned", id.0))?;
        if let Some(other) = named(kind) {
            require(self.spawned(other), || format!("there is no task {} yet", other.0))?;
        }
        let task = self.task(id);
        // Others say these on behalf of a task, which may have ended by then.
        let on_behalf = match kind {
            EventKind::PromiseEnd { .. } | EventKind::PoolGive { .. } => true,
            EventKind::LockAcquired { lock, .. } => task.waits_for(Resource::Lock(lock)),
            EventKind::WaitEnd { resource, .. } => task.waits_for(resource),
            _ => false,
        };
        require(!task.exited || on_behalf, || format!("task {} acts after its exit", id.0))?;
        if let Some((Resource::Lock(lock), _)) = task.waits.last().copied() {
            require(may_follow_in_wait(kind, lock), || {
                format!("task {} acts while it waits for lock {}", id.0, lock.0)
            })?;
        }
        if kind == EventKind::TaskExit {
            task.exited = true;
            for holders in self.holders.values_mut() {
                holders.retain(|(holder, _)| *holder != id);
            }
        }
        if kind == EventKind::WorldEnd {
            require(!std::mem::replace(&mut self.ended, true), || "the world ends twice".into())?;
        }
        Ok(())
    }

    /// A try that failed is over with the next event of its task.
    fn attempts_end(&mut self, event: &Event) {
        let acquired = match event.kind {
            EventKind::LockAcquired { lock, .. } => Some(lock),
            _ => None,
        };
        let task = self.task(event.task);
        task.attempts.retain(|attempt| !attempt.try_lock || acquired == Some(attempt.lock));
    }

    fn lock(&mut self, id: TaskId, kind: EventKind) -> Check {
        match kind {
            EventKind::LockAttempt { lock, mode, try_lock, .. } => {
                self.task(id).attempts.push(Attempt { lock, mode, try_lock });
            }
            EventKind::LockAcquired { lock, mode, .. } => {
                let attempts = &mut self.task(id).attempts;
                let place = attempts.iter().rposition(|a| (a.lock, a.mode) == (lock, mode));
                let Some(place) = place else {
                    return Err(format!(
                        "task {} takes lock {} ({mode:?}), which it did not ask for",
                        id.0, lock.0
                    ));
                };
                attempts.remove(place);
                let holders = self.holders.entry(lock).or_default();
                let shared = |mode: LockMode| mode == LockMode::Shared;
                let free =
                    holders.is_empty() || shared(mode) && holders.iter().all(|(_, m)| shared(*m));
                require(free, || {
                    let by = holders.first().map_or(0, |(task, _)| task.0);
                    format!("task {} takes lock {}, which task {by} holds", id.0, lock.0)
                })?;
                holders.push((id, mode));
            }
            EventKind::LockReleased { lock } => {
                let holders = self.holders.entry(lock).or_default();
                let Some(place) = holders.iter().rposition(|(holder, _)| *holder == id) else {
                    let by = match holders.first() {
                        Some((task, _)) => format!("task {} holds", task.0),
                        None => "nobody holds".to_owned(),
                    };
                    return Err(format!("task {} releases lock {}, which {by}", id.0, lock.0));
                };
                holders.remove(place);
            }
            _ => {}
        }
        Ok(())
    }

    fn wait(&mut self, id: TaskId, kind: EventKind) -> Check {
        match kind {
            EventKind::WaitBegin { resource, breakable, .. } => {
                self.was_queued(resource)?;
                self.task(id).waits.push((resource, breakable));
            }
            EventKind::WaitPassed { resource, .. } => self.was_queued(resource)?,
            EventKind::WaitAgain { condition } => {
                require(self.task(id).waits_for(Resource::Condition(condition)), || {
                    format!("task {} tests a condition that it does not wait for", id.0)
                })?;
            }
            EventKind::WaitEnd { resource, outcome } => {
                let waits = &mut self.task(id).waits;
                let place = waits.iter().rposition(|(waited, _)| *waited == resource);
                let Some(place) = place else {
                    return Err(format!(
                        "task {} ends a wait for {resource:?} that it did not begin",
                        id.0
                    ));
                };
                let (_, breakable) = waits[place];
                // Those inside it were unwound.
                waits.truncate(place);
                self.ends_so(id, resource, outcome, breakable)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Nobody knows a work item before it is queued for the first time.
    fn was_queued(&self, resource: Resource) -> Check {
        let Resource::Work(work) = resource else {
            return Ok(());
        };
        let known = self.works.contains_key(&work) || self.worked.contains(&work);
        require(known, || format!("work {} is waited for and not queued", work.0))
    }

    fn promise(&mut self, kind: EventKind) -> Check {
        match kind {
            EventKind::Promise { condition, by, .. } => {
                *self.promises.entry((condition, by)).or_default() += 1;
            }
            EventKind::PromiseEnd { condition, by } => {
                let made = self.promises.entry((condition, by)).or_default();
                require(*made > 0, || {
                    format!(
                        "a promise of {by:?} for condition {} ends, which it did not make",
                        condition.0
                    )
                })?;
                *made -= 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a wait can end with this outcome now.
    fn ends_so(
        &mut self,
        id: TaskId,
        resource: Resource,
        outcome: WaitOutcome,
        breakable: bool,
    ) -> Check {
        match (resource, outcome) {
            (_, WaitOutcome::Broken(_)) => {
                require(breakable, || "a wait is broken that may not be broken".into())?;
                if let Resource::Lock(lock) = resource {
                    self.task(id).attempts.retain(|attempt| attempt.lock != lock);
                }
                Ok(())
            }
            (Resource::Lock(lock), WaitOutcome::Satisfied) => {
                let holders = self.holders.get(&lock).map_or(&[][..], Vec::as_slice);
                let has = holders.is_empty() || holders.iter().any(|(holder, _)| *holder == id);
                require(has, || {
                    format!("task {} waited for lock {} and does not have it", id.0, lock.0)
                })
            }
            (Resource::Lock(_), WaitOutcome::TimedOut) => {
                Err("a wait for a lock has no timeout".into())
            }
            (Resource::Task(task), WaitOutcome::Satisfied) => {
                let exited = self.tasks.get(&task).is_some_and(|task| task.exited);
                require(exited, || format!("task {} was waited for and still lives", task.0))
            }
            _ => Ok(()),
        }
    }

    fn work(&mut self, id: TaskId, kind: EventKind) -> Check {
        match kind {
            EventKind::WorkQueued { work, .. } => {
                let new = !self.worked.contains(&work) && self.works.insert(work, false).is_none();
                require(new, || format!("work {} is queued twice", work.0))
            }
            EventKind::WorkBegin { work } => {
                let begun = self.works.get_mut(&work).map(|begun| std::mem::replace(begun, true));
                require(begun == Some(false), || {
                    format!("work {} begins and is not queued, or begins twice", work.0)
                })?;
                self.task(id).open.push(Open::Working(work));
                Ok(())
            }
            EventKind::WorkEnd { work } => {
                self.close(id, Open::Working(work))?;
                self.works.remove(&work);
                self.worked.insert(work);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn element(&mut self, kind: EventKind) -> Check {
        match kind {
            EventKind::PoolTake { pool, .. } => *self.elements.entry(pool).or_default() += 1,
            EventKind::PoolGive { pool } => {
                let out = self.elements.entry(pool).or_default();
                require(*out > 0, || format!("pool {} gets back more than it gave", pool.0))?;
                *out -= 1;
            }
            EventKind::PoolHandOver { pool, .. } => {
                let out = self.elements.get(&pool).copied().unwrap_or_default();
                require(out > 0, || format!("no element of pool {} can be handed over", pool.0))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn shrinker(&mut self, kind: EventKind) -> Check {
        match kind {
            EventKind::ShrinkerRegistered { shrinker, .. } => {
                require(self.shrinkers.insert(shrinker), || {
                    format!("shrinker {} is registered twice", shrinker.0)
                })
            }
            EventKind::ShrinkerUnregistered { shrinker } => {
                require(self.shrinkers.remove(&shrinker), || {
                    format!("shrinker {} is unregistered and was not registered", shrinker.0)
                })
            }
            _ => Ok(()),
        }
    }

    fn frame(&mut self, id: TaskId, kind: EventKind) -> Check {
        if let EventKind::ScopeEnter { kind, scope, .. } = kind {
            let open = |open: &Open| *open == Open::Scope(kind, scope);
            let again = self.task(id).open.iter().any(open);
            require(!again, || format!("task {} enters its scope {scope} twice", id.0))?;
        }
        if let Some(open) = opens(kind) {
            self.task(id).open.push(open);
            return Ok(());
        }
        match (kind, closes(kind)) {
            // It ends a count, or happens inside a scan, whose end follows.
            (EventKind::ShrinkerPanicked { shrinker }, _) => {
                self.close(id, Open::Count(shrinker)).or_else(|wrong| {
                    let scans = self.task(id).open.contains(&Open::Scan(shrinker));
                    if scans { Ok(()) } else { Err(wrong) }
                })
            }
            (_, Some(open)) => self.close(id, open),
            (EventKind::Watermarks { min, low, high }, _) => {
                require(min <= low && low <= high, || "the watermarks are out of order".into())
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self, id: TaskId, open: Open) -> Check {
        let all = &mut self.task(id).open;
        match all.iter().rposition(|known| *known == open) {
            Some(place) => {
                all.remove(place);
                Ok(())
            }
            None => Err(format!("task {} ends what it did not begin: {open:?}", id.0)),
        }
    }
}

impl Task {
    fn waits_for(&self, resource: Resource) -> bool {
        self.waits.iter().any(|(waited, _)| *waited == resource)
    }
}
