//! The tasks that serve a work queue: workers, the manager that makes workers, the rescuer.
//!
//! A queue whose workers are made on demand begins with its manager alone. The creation of a worker
//! is an item of the queue in events, ahead of the item that needs it: a task that waits for that
//! item waits for the creation first. Where there is a rescuer, no item needs the creation, and it
//! is no item. When the last worker exists, the manager and the rescuer end: they can serve the
//! queue no more, and a judge must not count on them. Written from docs/kernel/deadlocks.md, "md,
//! bcache, block core, USB".

use reclaimdep_scope::Bracket;

use super::super::task;
use super::super::wait::Waiting;
use super::item::{Pending, Taken};
use super::{QueueState, QueuedItems, WorkQueue};
use crate::event::{EventKind, Resource, WorkId};

impl QueuedItems {
    /// Whether more items wait than workers are idle, and another worker can be made.
    fn needs_worker(&self, at_most: u32, more: usize) -> bool {
        let idle = self.workers - self.busy + u32::from(self.making);
        self.items.len() + more > idle as usize && self.workers + u32::from(self.making) < at_most
    }

    /// The place of the first item that does not run already: an item runs once at a time.
    fn next(&self) -> Option<usize> {
        self.items.iter().position(|item| item.at.lock().running.is_none())
    }

    fn drained(&self) -> bool {
        self.stopping && self.items.is_empty()
    }
}

impl WorkQueue {
    /// Starts the tasks that a new queue has.
    pub(super) fn start(&self) {
        let QueueState { name, options, .. } = &*self.0;
        if options.new_worker.is_none() {
            self.0.state.lock().workers = options.workers;
            (1..=options.workers).for_each(|number| self.start_worker(number));
            return;
        }
        let manager = self.clone();
        self.start_server(&format!("kworker/{name}/manager"), move || manager.manage());
        if options.mem_reclaim {
            let rescuer = self.clone();
            self.start_server(&format!("rescuer/{name}"), move || rescuer.rescue());
        }
    }

    fn start_server(&self, name: &str, body: impl FnOnce() + Send + 'static) {
        let handle = self.0.sched.spawn_server(name, self.0.queue, body);
        self.0.servers.lock().push(handle);
    }

    fn start_worker(&self, number: u32) {
        let (name, worker) = (&self.0.name, self.clone());
        let name = match number {
            1 => format!("kworker/{name}"),
            number => format!("kworker/{name}/{number}"),
        };
        self.start_server(&name, move || worker.work());
    }

    /// Waits until `ready` holds.
    fn idle(&self, ready: impl Fn(&QueuedItems) -> bool) {
        let QueueState { queue, state, wake, .. } = &*self.0;
        let idle = Waiting::on(Resource::Idle(*queue), "work");
        let waited = wake.wait_until(idle, || ready(&state.lock()));
        debug_assert!(waited.is_ok(), "an idle wait is never broken");
    }

    fn work(&self) {
        let QueueState { state, .. } = &*self.0;
        loop {
            self.idle(|state| state.next().is_some() || state.drained());
            let taken = {
                let mut state = state.lock();
                let taken = state.next().and_then(|place| Self::take(&mut state, place));
                state.busy += u32::from(taken.is_some());
                if taken.is_none() && state.drained() {
                    return;
                }
                taken
            };
            if let Some(taken) = taken {
                self.execute(taken);
                state.lock().busy -= 1;
            }
        }
    }

    /// Executes an item on the running task.
    pub(super) fn execute(&self, taken: Taken) {
        let Taken { item, pending: Pending { id: work, done, scopes, site } } = taken;
        let sched = &self.0.sched;
        sched.emit(EventKind::WorkBegin { work });
        let bracket = Bracket::open();
        let scopes = scopes.enter_at(site);
        let made_at = task::executes(item.made_at);
        item.side.call(&*item.func);
        drop((made_at, scopes));
        sched.emit(EventKind::WorkEnd { work });
        bracket.close();
        item.at.lock().running = None;
        let look_again = {
            let mut state = self.0.state.lock();
            state.running.retain(|(running, _)| *running != work);
            state.drained() || !state.items.is_empty()
        };
        if look_again {
            self.0.wake.wake_all();
        }
        done.complete();
    }

    /// Queues the creation of a worker where the item that is about to be queued needs one and no
    /// rescuer could execute it.
    pub(super) fn plan_creation(&self, state: &mut QueuedItems) {
        let QueueState { options, .. } = &*self.0;
        let on_demand = options.new_worker.is_some() && !options.mem_reclaim;
        if on_demand && state.creation.is_none() && state.needs_worker(options.workers, 1) {
            state.creation = Some(self.queue_creation());
        }
    }

    fn queue_creation(&self) -> WorkId {
        let QueueState { sched, queue, .. } = &*self.0;
        let work = sched.next_work("new worker");
        sched.emit(EventKind::WorkQueued { work, queue: *queue });
        work
    }

    /// The manager: makes workers until the queue has all that it may have.
    fn manage(&self) {
        let QueueState { sched, options, state, wake, .. } = &*self.0;
        let (make, made_at) =
            options.new_worker.as_ref().expect("a manager has a way to make workers");
        loop {
            let needed = |state: &QueuedItems| {
                state.creation.is_some() || state.needs_worker(options.workers, 0)
            };
            self.idle(|state| needed(state) || state.drained());
            let creation = {
                let mut state = state.lock();
                if !needed(&state) {
                    state.complete = true;
                    break;
                }
                state.making = true;
                let planned = state.creation.take();
                planned.or_else(|| (!options.mem_reclaim).then(|| self.queue_creation()))
            };
            // The rescuer executes what waits meanwhile.
            wake.wake_all();
            creation.inspect(|work| sched.emit(EventKind::WorkBegin { work: *work }));
            let made_at = task::executes(*made_at);
            Bracket::around(|| make());
            drop(made_at);
            creation.inspect(|work| sched.emit(EventKind::WorkEnd { work: *work }));
            let number = {
                let mut state = state.lock();
                state.making = false;
                state.workers += 1;
                state.complete = state.workers == options.workers;
                state.workers
            };
            self.start_worker(number);
            if number == options.workers {
                break;
            }
        }
        wake.wake_all();
    }

    /// The rescuer: executes items while the manager makes a worker.
    fn rescue(&self) {
        let QueueState { state, .. } = &*self.0;
        loop {
            self.idle(|state| state.complete || state.making && state.next().is_some());
            let taken = {
                let mut state = state.lock();
                if state.complete {
                    return;
                }
                let next = state.next().filter(|_| state.making);
                next.and_then(|place| Self::take(&mut state, place))
            };
            taken.into_iter().for_each(|taken| self.execute(taken));
        }
    }
}
