//! How each event changes the view.
//!
//! Events about tasks or locks never seen, and exits without an entry, are taken as far as they
//! make sense: a recording may begin in the middle. Requests and work items are forgotten when they
//! complete.

use std::collections::BTreeMap;

use super::frames::{Frame, FrameKind, HeldLock, closes, page_out};
use super::promises::Promised;
use super::state::View;
use super::waits::{ElementHolder, Holder, Owed, Progress, RequestFacts, Wait, Waiter, WorkItem};
use crate::event::{
    Actor, AllocOutcome, Event, EventKind, LockMode, Needs, RequestId, Resource, Site, TaskId,
};
use crate::witness::Reads;

/// Numbers from here on are not kept: no world has as many tasks, locks or queues.
const MAX_ID: u32 = 1 << 16;
/// Frames of one task beyond these are not kept.
const MAX_FRAMES: usize = 1 << 12;
/// Waits of one task within each other beyond these push out the outermost.
const MAX_WAITS: usize = 64;
/// Requests and work items in flight beyond these push out the oldest.
const MAX_IN_FLIGHT: usize = 1 << 16;

fn slot<T: Default>(list: &mut Vec<T>, id: u32) -> Option<&mut T> {
    if id >= MAX_ID {
        return None;
    }
    let index = id as usize;
    if index >= list.len() {
        list.resize_with(index + 1, T::default);
    }
    list.get_mut(index)
}

fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    map.insert(key, value);
    if map.len() > MAX_IN_FLIGHT {
        map.pop_first();
    }
}

impl View {
    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        (self.closed, self.exited) = (None, None);
        self.ended.clear();
        let Some(task) = slot(&mut self.tasks, event.task.0) else {
            return;
        };
        match event.kind {
            EventKind::TaskSpawn { kind, .. } => task.kind = Some(kind),
            EventKind::Watermarks { min, .. } => self.min = Some(min),
            EventKind::AllocEnd { outcome: AllocOutcome::Ok, left } => {
                self.low_point = Some(self.low_point.map_or(left, |low| low.min(left)));
            }
            EventKind::TaskExit => return self.exit(event.task),
            _ => {}
        }
        task.alive = true;
        // Most events are of locks and waits, which open no frame and close none.
        let about = Reads::of(event.kind);
        if about.meets(Reads::LOCKS.and(Reads::WAITS)) {
            return self.apply_lock(event);
        }
        self.apply_frame(event);
        if about.meets(Reads::REQUESTS.and(Reads::WORK)) {
            self.apply_request(event);
        }
        if about.meets(Reads::POOLS.and(Reads::WORLD)) {
            self.apply_promise(event);
        }
    }

    fn exit(&mut self, id: TaskId) {
        let task = std::mem::take(&mut self.tasks[id.0 as usize]);
        for held in &task.held {
            self.locks[held.lock.0 as usize].forget_holder(id, held.seq);
        }
        for wait in &task.waits {
            self.forget_wait(id, *wait);
        }
        for queue in &task.serves {
            self.servers[queue.0 as usize].retain(|server| *server != id);
        }
        if task.promises {
            self.promises.end_all(Actor::Task(id));
        }
        self.reclaiming.remove(&id);
        self.exited = Some((id, task));
    }

    fn end_wait(&mut self, id: TaskId, resource: Resource) {
        let waits = &mut self.tasks[id.0 as usize].waits;
        if let Some(place) = waits.iter().rposition(|wait| wait.resource == resource) {
            let wait = waits.remove(place);
            self.forget_wait(id, wait);
        }
    }

    /// `wait` is no longer among the waits of `id`.
    fn forget_wait(&mut self, id: TaskId, wait: Wait) {
        let mut others = self.tasks[id.0 as usize].waits.iter();
        if !others.any(|other| other.resource == wait.resource) {
            self.waiting.end(id, wait.resource);
        }
        if let Resource::Lock(lock) = wait.resource
            && let Some(lock) = self.locks.get_mut(lock.0 as usize)
        {
            lock.forget_waiter(id, wait.seq);
        }
    }

    fn apply_frame(&mut self, event: &Event) {
        let frames = &mut self.tasks[event.task.0 as usize].frames;
        let mut open = |kind, site: Option<Site>| {
            if frames.len() < MAX_FRAMES {
                frames.push(Frame { kind, site, seq: event.seq, time: event.time });
            }
        };
        match event.kind {
            EventKind::ScopeEnter { kind, scope, site, how } => {
                open(FrameKind::Scope { kind, scope, how }, Some(site));
            }
            EventKind::LayerEnter { layer, site } => open(FrameKind::Layer { layer }, Some(site)),
            EventKind::AllocBegin { order, requested, effective, flags, site } => {
                open(FrameKind::Alloc { order, requested, effective, flags }, Some(site));
            }
            EventKind::ReclaimEnter { kind, mask } => {
                open(FrameKind::Reclaim { kind, mask }, None);
                self.reclaiming.insert(event.task);
            }
            EventKind::ShrinkCountBegin { shrinker, mask } => {
                open(FrameKind::Count { shrinker, mask }, None);
            }
            EventKind::ShrinkScanBegin { shrinker, mask, nr_to_scan } => {
                open(FrameKind::Scan { shrinker, mask, nr_to_scan }, None);
            }
            EventKind::RequestServe { request } => open(FrameKind::Serving { request }, None),
            EventKind::WorkBegin { work } => open(FrameKind::Working { work }, None),
            _ => {
                if let Some(place) = frames.iter().rposition(|frame| closes(event.kind, frame.kind))
                {
                    let closed = frames.remove(place);
                    self.closed = Some(closed);
                    let reclaim = |frame: &Frame| matches!(frame.kind, FrameKind::Reclaim { .. });
                    if reclaim(&closed) && !frames.iter().any(reclaim) {
                        self.reclaiming.remove(&event.task);
                    }
                }
            }
        }
    }

    fn apply_lock(&mut self, event: &Event) {
        let Event { seq, time, task: id, kind } = *event;
        let task = &mut self.tasks[id.0 as usize];
        match kind {
            EventKind::LockAttempt { lock, mode, .. } => task.attempt = Some((lock, mode)),
            EventKind::LockAcquired { lock, mode, site } => {
                let Some(state) = slot(&mut self.locks, lock.0) else {
                    return;
                };
                task.held.push(HeldLock { lock, mode, site, seq, time });
                state.holders.push_back(Holder { task: id, mode, seq });
                // The releaser hands the lock over before the wait is said to end.
                self.end_wait(id, Resource::Lock(lock));
            }
            EventKind::LockReleased { lock } => {
                if let Some(place) = task.held.iter().rposition(|held| held.lock == lock) {
                    let held = task.held.remove(place);
                    self.locks[lock.0 as usize].forget_holder(id, held.seq);
                }
            }
            EventKind::LockHandOver { lock, request } if self.lent.len() < MAX_IN_FLIGHT => {
                self.lent.entry(lock).or_default().push(request);
            }
            EventKind::WaitBegin { resource, why, breakable, site } => {
                let signalled = false;
                let wants = match resource {
                    Resource::Condition(_) => task.wants.take(),
                    _ => None,
                };
                let wants = wants.filter(|(wanted, _)| Resource::Condition(*wanted) == resource);
                let needs = wants.map_or(Needs::One, |(_, needs)| needs);
                let wait = Wait { resource, why, breakable, site, seq, time, signalled, needs };
                task.waits.push(wait);
                let mode = task.attempt;
                if task.waits.len() > MAX_WAITS {
                    let outermost = task.waits.remove(0);
                    self.forget_wait(id, outermost);
                }
                let queue = match resource {
                    Resource::Request(id) => self.queue_of(Actor::Request(id)),
                    Resource::Work(id) => self.queue_of(Actor::Work(id)),
                    _ => None,
                };
                self.waiting.begin(id, resource, queue);
                if let Resource::Lock(lock) = resource {
                    let mode = mode.filter(|(wanted, _)| *wanted == lock);
                    if let Some(state) = slot(&mut self.locks, lock.0) {
                        let mode = mode.map_or(LockMode::Exclusive, |(_, mode)| mode);
                        state.waiters.push_back(Waiter { task: id, mode, seq });
                    }
                }
            }
            EventKind::WaitEnd { resource, .. } => self.end_wait(id, resource),
            _ => {}
        }
    }

    fn apply_request(&mut self, event: &Event) {
        let Event { seq, time, task, kind } = *event;
        let served = Progress::Served { by: task, since: seq };
        match kind {
            EventKind::QueueServer { queue } => {
                if let Some(servers) =
                    slot(&mut self.servers, queue.0).filter(|servers| !servers.contains(&task))
                {
                    servers.push(task);
                    self.tasks[task.0 as usize].serves.push(queue);
                }
            }
            EventKind::RequestSubmit { request, queue, op, sector, sectors, origin, site } => {
                let progress = Progress::Queued;
                let page_out = page_out(&self.tasks[task.0 as usize].frames);
                self.pass_down(request, None);
                if self.requests.len() >= MAX_IN_FLIGHT
                    && let Some((oldest, _)) = self.requests.first_key_value()
                {
                    self.pass_down(*oldest, None);
                }
                let submitted = RequestFacts {
                    submitter: task,
                    queue,
                    op,
                    sector,
                    sectors,
                    origin,
                    site,
                    page_out,
                    seq,
                    time,
                    progress,
                    passed: None,
                };
                keep(&mut self.requests, request, submitted);
                self.waiting.queued(Resource::Request(request), queue);
            }
            EventKind::RequestServe { request } => self.request_is(request, served),
            EventKind::RequestServed { request } => self.request_is(request, Progress::Below),
            EventKind::RequestPassed { request, to } => self.pass_down(request, Some(to)),
            EventKind::RequestComplete { request, .. } => {
                self.pass_down(request, None);
                self.requests.remove(&request);
                self.ended = self.promises.end_all(Actor::Request(request));
                self.lent.retain(|_, holders| {
                    holders.retain(|holder| *holder != request);
                    !holders.is_empty()
                });
            }
            EventKind::WorkQueued { work, queue } => {
                keep(
                    &mut self.works,
                    work,
                    WorkItem { queued_by: task, queue, seq, progress: Progress::Queued },
                );
                self.waiting.queued(Resource::Work(work), queue);
            }
            EventKind::WorkBegin { work } => {
                if let Some(work) = self.works.get_mut(&work) {
                    work.progress = served;
                }
            }
            EventKind::WorkEnd { work } => {
                self.works.remove(&work);
                self.ended = self.promises.end_all(Actor::Work(work));
            }
            _ => {}
        }
    }

    /// The request is carried by `to` from now on, and by nothing else.
    fn pass_down(&mut self, id: RequestId, to: Option<Actor>) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut request.passed, to)
            && let Some(carried) = self.carries.get_mut(&before)
        {
            carried.retain(|carried| *carried != id);
            if carried.is_empty() {
                self.carries.remove(&before);
            }
        }
        if let Some(to) = to {
            self.carries.entry(to).or_default().push(id);
        }
    }

    fn request_is(&mut self, request: RequestId, progress: Progress) {
        if let Some(request) = self.requests.get_mut(&request) {
            request.progress = progress;
        }
    }

    fn apply_promise(&mut self, event: &Event) {
        let Event { seq, time, task: me, kind } = *event;
        let owed = |site| Owed { task: me, site, seq, time };
        let own = Actor::Task(me);
        match kind {
            EventKind::PoolTake { pool, site } => {
                self.elements.entry(pool).or_default().push(ElementHolder::Task(owed(site)));
            }
            EventKind::PoolHandOver { pool, request } => {
                let holders = self.elements.entry(pool).or_default();
                take_one(holders, |holder| holder.is(me));
                holders.push(ElementHolder::Request(request));
            }
            EventKind::PoolGive { pool } => {
                let holders = self.elements.entry(pool).or_default();
                let requests = &self.requests;
                // The giver's own, else that of a request which is complete, else any: they are
                // alike.
                let own = |holder: &ElementHolder| holder.is(me);
                let done = |holder: &ElementHolder| match holder {
                    ElementHolder::Request(id) => !requests.contains_key(id),
                    ElementHolder::Task(..) => false,
                };
                let _ = take_one(holders, own)
                    || take_one(holders, done)
                    || take_one(holders, |_| true);
            }
            EventKind::Promise { condition, by, units, site } => {
                if let Actor::Task(task) = by
                    && let Some(task) = slot(&mut self.tasks, task.0)
                {
                    task.promises = true;
                }
                self.promises.make(condition, Promised { by, units, site, seq, time });
            }
            EventKind::PromiseEnd { condition, by } => self.promises.end_last(condition, by),
            EventKind::Signal { condition } => {
                self.promises.end(condition, own);
                let resource = Resource::Condition(condition);
                for waiter in self.waiting.on(resource) {
                    let waits = self.tasks[waiter.0 as usize].waits.iter_mut();
                    waits
                        .filter(|wait| wait.resource == resource)
                        .for_each(|wait| wait.signalled = true);
                }
            }
            EventKind::WaitAgain { condition } => {
                let waits = &mut self.tasks[me.0 as usize].waits;
                let resource = Resource::Condition(condition);
                if let Some(wait) = waits.iter_mut().rfind(|wait| wait.resource == resource) {
                    wait.signalled = false;
                }
            }
            EventKind::WaitNeeds { condition, needs } => {
                let task = &mut self.tasks[me.0 as usize];
                let resource = Resource::Condition(condition);
                match task.waits.iter_mut().rfind(|wait| wait.resource == resource) {
                    Some(wait) => wait.needs = needs,
                    None => task.wants = Some((condition, needs)),
                }
            }
            _ => {}
        }
    }
}

/// Removes the last holder that `wanted` says; says whether there was one.
fn take_one(holders: &mut Vec<ElementHolder>, wanted: impl Fn(&ElementHolder) -> bool) -> bool {
    let place = holders.iter().rposition(wanted);
    place.map(|place| holders.remove(place)).is_some()
}

#[cfg(test)]
mod tests;
