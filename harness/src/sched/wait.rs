//! Wait queues and completions.
//!
//! Key types: [`WaitQueue`], [`Completion`], [`Waiting`]. A waiter registers, tests its condition,
//! then parks, so a wake-up between test and park is not lost (`wait_event`). Every wait names the
//! resource that it waits for; the judges build the wait-for graph from these.
//!
//! Locking: the leaf lock of the list of waiters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::park::Wake;
use super::side::{Side, harness_side};
use super::{Sched, SpinLock};
use crate::error::Errno;
use crate::event::{EventKind, Resource, Site, TaskId, WaitOutcome};
use crate::units::Ticks;

/// What a wait is for, as the judges and as the report's reader know it.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// What the wait is for, as judges know it.
    pub resource: Resource,
    /// What the wait is for, in the words of the report.
    pub why: &'static str,
    /// Whether the world may end the wait with an error.
    pub breakable: bool,
    /// The source line.
    pub site: Site,
}

impl Waiting {
    /// An uninterruptible wait.
    #[track_caller]
    #[must_use]
    pub fn on(resource: Resource, why: &'static str) -> Self {
        Self { resource, why, breakable: false, site: Site::here() }
    }

    /// The same wait, which the world may break.
    #[must_use]
    pub const fn breakable(mut self) -> Self {
        self.breakable = true;
        self
    }
}

/// Tasks that wait for a condition.
#[derive(Clone, Debug)]
pub struct WaitQueue {
    sched: Sched,
    waiters: Arc<SpinLock<VecDeque<TaskId>>>,
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(sched: &Sched) -> Self {
        let _side = harness_side();
        Self { sched: sched.clone(), waiters: Arc::default() }
    }

    /// Waits until `condition` holds. The code that makes it hold must wake the queue.
    ///
    /// # Errors
    /// The errno with which the world broke the wait; only where `waiting` is breakable.
    pub fn wait_until(
        &self,
        waiting: Waiting,
        condition: impl FnMut() -> bool,
    ) -> Result<(), Errno> {
        match self.wait(waiting, None, condition) {
            WaitOutcome::Broken(errno) => Err(errno),
            WaitOutcome::Satisfied | WaitOutcome::TimedOut | WaitOutcome::Abandoned => Ok(()),
        }
    }

    /// Waits until `condition` holds or `timeout` has passed; returns whether it holds.
    pub fn wait_timeout(
        &self,
        waiting: Waiting,
        timeout: Ticks,
        condition: impl FnMut() -> bool,
    ) -> bool {
        let deadline = self.sched.now().after(timeout);
        self.wait(waiting, Some(deadline), condition) == WaitOutcome::Satisfied
    }

    fn wait(
        &self,
        waiting: Waiting,
        deadline: Option<Ticks>,
        mut condition: impl FnMut() -> bool,
    ) -> WaitOutcome {
        if condition() {
            self.sched.wait_passed(waiting.resource, waiting.site);
            return WaitOutcome::Satisfied;
        }
        let whose = Side::now();
        let mut condition = || whose.call(&mut condition);
        let _side = harness_side();
        let me = self.sched.current();
        self.waiters.lock().push_back(me);
        let wait = OpenWait::begin(self, me, waiting);
        let outcome = loop {
            if condition() {
                break WaitOutcome::Satisfied;
            }
            match self.sched.park(wait.began, deadline) {
                Wake::Broken(errno) if waiting.breakable && !condition() => {
                    break WaitOutcome::Broken(errno);
                }
                Wake::TimedOut if !condition() => break WaitOutcome::TimedOut,
                Wake::Broken(_) | Wake::TimedOut | Wake::Woken => {}
            }
            let mut waiters = self.waiters.lock();
            if !waiters.contains(&me) {
                waiters.push_back(me);
            }
        };
        wait.end(outcome);
        outcome
    }

    /// Wakes every waiter: each tests its condition again.
    pub fn wake_all(&self) {
        let _side = harness_side();
        let waiters = std::mem::take(&mut *self.waiters.lock());
        for task in waiters {
            self.sched.wake(task);
        }
    }

    /// Wakes the waiter that has waited longest: it tests its condition again.
    pub fn wake_one(&self) {
        let _side = harness_side();
        let waiter = self.waiters.lock().pop_front();
        if let Some(task) = waiter {
            self.sched.wake(task);
        }
    }

    /// Whether no task waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.lock().is_empty()
    }
}

/// A wait that has begun. If the condition panics or the task is unwound, dropping this ends the
/// wait: a task that goes on after that must not seem to wait, and a wake-up that was meant for it
/// is passed on, because a task that lingers may wait for that.
struct OpenWait<'a> {
    queue: &'a WaitQueue,
    task: TaskId,
    resource: Resource,
    /// The event that began it.
    began: u64,
    outcome: WaitOutcome,
}

impl<'a> OpenWait<'a> {
    fn begin(queue: &'a WaitQueue, task: TaskId, waiting: Waiting) -> Self {
        let (resource, began) = (waiting.resource, queue.sched.emit_wait(waiting));
        Self { queue, task, resource, began, outcome: WaitOutcome::Abandoned }
    }

    fn end(mut self, outcome: WaitOutcome) {
        self.outcome = outcome;
    }

    /// Takes the task out of the queue. Returns whether it was no longer there: it was woken.
    fn leave(&self) -> bool {
        let mut waiters = self.queue.waiters.lock();
        let before = waiters.len();
        waiters.retain(|waiter| *waiter != self.task);
        waiters.len() == before
    }
}

impl Drop for OpenWait<'_> {
    fn drop(&mut self) {
        let woken = self.leave();
        let Self { queue, task: _, resource, began, outcome } = self;
        let abandoned = *outcome == WaitOutcome::Abandoned;
        if abandoned && woken {
            queue.wake_one();
        }
        let sched = &queue.sched;
        // Where the world unwinds, its tasks wait in the events as they did when it stopped.
        if abandoned && sched.0.ended.load(Ordering::Acquire) {
            return;
        }
        sched.forget_break(*began);
        sched.emit(EventKind::WaitEnd { resource: *resource, outcome: *outcome });
    }
}

/// Something that happens once (`struct completion`, `complete_all`).
#[derive(Clone, Debug)]
pub struct Completion {
    resource: Resource,
    done: Arc<AtomicBool>,
    queue: WaitQueue,
}

impl Completion {
    /// A completion that stands for `resource`.
    #[must_use]
    pub fn new(sched: &Sched, resource: Resource) -> Self {
        let _side = harness_side();
        Self { resource, done: Arc::default(), queue: WaitQueue::new(sched) }
    }

    /// Completes it, and wakes every waiter.
    pub fn complete(&self) {
        self.done.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    /// Whether it is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(super) const fn sched(&self) -> &Sched {
        &self.queue.sched
    }

    /// Waits until it is complete.
    #[track_caller]
    pub fn wait(&self, why: &'static str) {
        self.wait_at(why, Site::here());
    }

    /// As [`Completion::wait`], for a call at `site`.
    pub(crate) fn wait_at(&self, why: &'static str, site: Site) {
        let waiting = Waiting { resource: self.resource, why, breakable: false, site };
        let broken = self.queue.wait_until(waiting, || self.is_done());
        debug_assert!(broken.is_ok(), "a wait that is not breakable is never broken");
    }
}
