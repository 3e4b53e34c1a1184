//! What a mutex and an rwsem have in common: holders, a FIFO of waiters, hand-over.
//!
//! Key type: [`LockCore`]. The releaser hands the lock to the first waiter (and, if that one reads,
//! to the readers behind it), so it is fair, and a reader never passes a waiting writer: two reports
//! of the catalogue (C15, C49) need exactly that. Hand-over is emitted by the releaser on the new
//! holder's behalf, so events are in the order in which ownership changed.

use std::collections::VecDeque;

use super::park::Wake;
use super::{Sched, SpinLock};
use crate::error::Errno;
use crate::event::{EventKind, LockId, LockMode, Resource, Site, TaskId, WaitOutcome};

#[derive(Debug)]
struct Waiter {
    task: TaskId,
    mode: LockMode,
    site: Site,
}

#[derive(Debug, Default)]
struct State {
    holders: Vec<TaskId>,
    exclusive: bool,
    waiters: VecDeque<Waiter>,
}

impl State {
    fn admits(&self, mode: LockMode) -> bool {
        match mode {
            LockMode::Exclusive => self.holders.is_empty(),
            LockMode::Shared => self.holders.is_empty() || !self.exclusive,
        }
    }

    fn take(&mut self, task: TaskId, mode: LockMode) {
        self.holders.push(task);
        self.exclusive = mode == LockMode::Exclusive;
    }
}

/// How far a caller will go for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// Wait, whatever happens.
    Uninterruptible,
    /// Wait, but let the world break the wait.
    Breakable,
}

/// A lock without the memory that it guards.
#[derive(Debug)]
pub(super) struct LockCore {
    sched: Sched,
    id: LockId,
    why: &'static str,
    state: SpinLock<State>,
}

impl LockCore {
    pub(super) fn new(sched: &Sched, class: &'static str, instance: &str, why: &'static str) -> Self {
        let id = sched.names(|names| names.add_lock(class, instance));
        Self { sched: sched.clone(), id, why, state: SpinLock::default() }
    }

    pub(super) const fn id(&self) -> LockId {
        self.id
    }

    pub(super) fn acquire(&self, mode: LockMode, patience: Patience, site: Site) -> Result<(), Errno> {
        self.sched.point();
        let me = self.sched.current();
        let (lock, resource) = (self.id, Resource::Lock(self.id));
        {
            let mut state = self.state.lock();
            self.sched.emit(EventKind::LockAttempt { lock, mode, try_lock: false, site });
            if state.waiters.is_empty() && state.admits(mode) {
                state.take(me, mode);
                self.sched.emit(EventKind::LockAcquired { lock, mode, site });
                drop(state);
                self.sched.took(lock);
                return Ok(());
            }
            state.waiters.push_back(Waiter { task: me, mode, site });
            let breakable = patience == Patience::Breakable;
            self.sched.emit(EventKind::WaitBegin { resource, why: self.why, breakable, site });
        }
        loop {
            let wake = self.sched.park(None);
            let mut state = self.state.lock();
            let Some(position) = state.waiters.iter().position(|waiter| waiter.task == me) else {
                drop(state);
                self.sched.forget_break();
                self.sched.took(lock);
                return Ok(());
            };
            if let (Wake::Broken(errno), Patience::Breakable) = (wake, patience) {
                state.waiters.remove(position);
                let outcome = WaitOutcome::Broken(errno);
                self.sched.emit(EventKind::WaitEnd { resource, outcome });
                self.hand_over(&mut state);
                return Err(errno);
            }
        }
    }

    pub(super) fn try_acquire(&self, mode: LockMode, site: Site) -> bool {
        self.sched.point();
        let lock = self.id;
        let mut state = self.state.lock();
        self.sched.emit(EventKind::LockAttempt { lock, mode, try_lock: true, site });
        let free = state.waiters.is_empty() && state.admits(mode);
        if free {
            state.take(self.sched.current(), mode);
            self.sched.emit(EventKind::LockAcquired { lock, mode, site });
        }
        drop(state);
        if free {
            self.sched.took(lock);
        }
        free
    }

    pub(super) fn release(&self) {
        let me = self.sched.current();
        let mut state = self.state.lock();
        let holder = state.holders.iter().position(|task| *task == me);
        state.holders.remove(holder.expect("only a holder has a guard to drop"));
        self.sched.emit(EventKind::LockReleased { lock: self.id });
        self.hand_over(&mut state);
    }

    fn hand_over(&self, state: &mut State) {
        while let Some(first) = state.waiters.front() {
            if !state.admits(first.mode) {
                return;
            }
            let Waiter { task, mode, site } = state.waiters.pop_front().expect("it has a front");
            state.take(task, mode);
            self.sched.emit_for(task, EventKind::LockAcquired { lock: self.id, mode, site });
            let (resource, outcome) = (Resource::Lock(self.id), WaitOutcome::Satisfied);
            self.sched.emit_for(task, EventKind::WaitEnd { resource, outcome });
            self.sched.wake(task);
        }
    }
}
