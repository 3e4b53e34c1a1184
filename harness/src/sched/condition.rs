//! A condition of the user's own that judges can follow: who waits for it, and who promised to
//! signal it.
//!
//! Key types: [`Condition`], [`Promise`]. A wait for "log space" or "a free buffer" is like a wait
//! for a lock as soon as somebody says that it is up to them: then a task that waits carries its
//! scope to those who promised, and a cycle through the condition is a deadlock. Where nobody
//! promised, nothing is concluded.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Sched, WaitQueue, Waiting};
use crate::event::{EventKind, Resource, Site, TaskId, WaitId};

/// Something that tasks wait for and others bring about. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Condition {
    sched: Sched,
    id: WaitId,
    signalled: Arc<AtomicU64>,
    waiters: WaitQueue,
}

/// A promise to signal; dropping it ends it.
#[must_use = "the promise ends when this is dropped"]
#[derive(Debug)]
pub struct Promise {
    condition: Condition,
    promiser: TaskId,
    /// Another task that takes it over makes a promise of its own.
    task_bound: PhantomData<*const ()>,
}

impl Condition {
    /// A condition that reports call `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str) -> Self {
        Self {
            sched: sched.clone(),
            id: sched.names(|names| names.add_condition(name)),
            signalled: Arc::default(),
            waiters: WaitQueue::new(sched),
        }
    }

    /// Says that the running task will signal: until the promise is dropped, waiting depends on it.
    pub fn promise(&self) -> Promise {
        self.sched.emit(EventKind::Promise { condition: self.id });
        let promiser = self.sched.current();
        Promise { condition: self.clone(), promiser, task_bound: PhantomData }
    }

    /// Lets every waiter go on.
    pub fn signal(&self) {
        self.signalled.fetch_add(1, Ordering::AcqRel);
        self.waiters.wake_all();
    }

    /// Waits until the condition is signalled, from now on; `why` is the wait in the waiter's
    /// terms.
    #[track_caller]
    pub fn wait(&self, why: &'static str) {
        let seen = self.signalled.load(Ordering::Acquire);
        self.wait_until(why, || self.signalled.load(Ordering::Acquire) != seen);
    }

    /// Waits until `ready` holds; whoever makes it hold must signal.
    #[track_caller]
    pub fn wait_until(&self, why: &'static str, ready: impl FnMut() -> bool) {
        let resource = Resource::Condition(self.id);
        let waiting = Waiting { resource, why, breakable: false, site: Site::here() };
        let broken = self.waiters.wait_until(waiting, ready);
        debug_assert!(broken.is_ok(), "a wait that is not breakable is never broken");
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let Condition { sched, id, .. } = &self.condition;
        sched.emit_for(self.promiser, EventKind::PromiseEnd { condition: *id });
    }
}
