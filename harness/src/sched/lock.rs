//! What a mutex and an rwsem have in common: holders, a FIFO of waiters, hand-over.
//!
//! Key types: [`RawLock`], on which the guards of [`super::Mutex`] and [`super::RwSem`] rest and
//! which an owner can take and release by call; [`BareLock`] for a lock that its own world keeps.
//! The releaser hands the lock to the first waiter and, if that is a reader, to the readers behind
//! it. So the lock is fair, and a reader never passes a waiting writer. Two of the reported
//! deadlocks need that, dm-snapshot's origins rwsem and f2fs's checkpoint rwsem
//! (docs/kernel/deadlocks.md, "dm-bufio and loop" and "Other filesystems"). The releaser emits the
//! hand-over for the new holder, so events are in the order in which ownership changed.
//!
//! Locking: the lock's own leaf lock, held while an event is emitted, never while a task parks.

use std::collections::VecDeque;

use super::park::Wake;
use super::side::harness_side;
use super::{Sched, SpinLock, Waiting};
use crate::error::Errno;
use crate::event::{EventKind, LockId, LockMode, RequestId, Resource, Site, TaskId, WaitOutcome};

#[derive(Debug)]
struct Waiter {
    task: TaskId,
    mode: LockMode,
    site: Site,
}

#[derive(Debug, Default)]
struct LockState {
    holders: Vec<TaskId>,
    /// The requests that hold it.
    requests: Vec<RequestId>,
    exclusive: bool,
    waiters: VecDeque<Waiter>,
}

impl LockState {
    fn admits(&self, mode: LockMode) -> bool {
        match mode {
            LockMode::Exclusive | LockMode::Nested(_) => self.is_free(),
            LockMode::Shared => self.is_free() || !self.exclusive,
        }
    }

    fn is_free(&self) -> bool {
        self.holders.is_empty() && self.requests.is_empty()
    }

    fn take(&mut self, task: TaskId, mode: LockMode) {
        self.holders.push(task);
        self.exclusive = mode != LockMode::Shared;
    }
}

/// Whether the world may break a wait for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// It may not.
    Uninterruptible,
    /// It may; the wait then ends with an error.
    Breakable,
}

/// A lock without the memory that it guards and without a reference to its world.
#[derive(Debug)]
pub(super) struct BareLock {
    id: LockId,
    why: &'static str,
    state: SpinLock<LockState>,
}

/// A lock without the memory that it guards: a writer-fair rwsem, of which a mutex is the exclusive
/// half. Its owner takes and releases it by call, at any place of the program.
#[derive(Debug)]
pub(crate) struct RawLock {
    sched: Sched,
    lock: BareLock,
}

impl RawLock {
    /// A lock of class `class`, which belongs to `instance`. `why` is what a wait for it is called:
    /// `mutex`. A class that was read from a file becomes a word by
    /// [`crate::event::intern`].
    pub(crate) fn new(
        sched: &Sched,
        class: &'static str,
        instance: &str,
        why: &'static str,
    ) -> Self {
        let _side = harness_side();
        Self { sched: sched.clone(), lock: BareLock::new(sched, class, instance, why) }
    }

    /// The lock's number in events.
    pub(crate) const fn id(&self) -> LockId {
        self.lock.id
    }

    /// Takes the lock, waiting uninterruptibly.
    #[inline]
    pub(crate) fn lock_at(&self, mode: LockMode, site: Site) {
        let taken = self.acquire(mode, Patience::Uninterruptible, site);
        debug_assert!(taken.is_ok(), "an uninterruptible wait is never broken");
    }

    #[inline]
    pub(super) fn acquire(
        &self,
        mode: LockMode,
        patience: Patience,
        site: Site,
    ) -> Result<(), Errno> {
        self.lock.acquire(&self.sched, mode, patience, site)
    }

    /// Takes the lock if the task need not wait for it; returns whether it did.
    pub(crate) fn try_lock_at(&self, mode: LockMode, site: Site) -> bool {
        self.lock.try_acquire(&self.sched, mode, site)
    }

    /// Releases the lock, which the running task holds.
    ///
    /// # Panics
    /// If the task does not hold it.
    pub(crate) fn unlock(&self) {
        self.lock.release(&self.sched);
    }

    /// Gives the lock, which the running task holds, to `request`: whoever completes that releases
    /// the lock with [`RawLock::unlock_request`], after the completion. A waiter for the lock waits
    /// for the server of the request from now on.
    ///
    /// # Panics
    /// If the task does not hold it.
    #[cfg_attr(not(test), expect(dead_code, reason = "no part hands a lock to a request yet"))]
    pub(crate) fn hand_over(&self, request: RequestId) {
        let _side = harness_side();
        let (me, lock) = (self.sched.current(), self.lock.id);
        let mut state = self.lock.state.lock();
        let holder = state.holders.iter().position(|task| *task == me);
        state.holders.remove(holder.expect("only a holder hands a lock over"));
        state.requests.push(request);
        self.sched.emit(EventKind::LockReleased { lock });
        self.sched.emit(EventKind::LockHandOver { lock, request });
    }

    /// Releases the lock that `request` holds, on any thread; returns whether it held it.
    #[cfg_attr(not(test), expect(dead_code, reason = "no part hands a lock to a request yet"))]
    pub(crate) fn unlock_request(&self, request: RequestId) -> bool {
        let _side = harness_side();
        let mut state = self.lock.state.lock();
        let place = state.requests.iter().position(|holder| *holder == request);
        place.map(|place| state.requests.remove(place));
        self.lock.hand_over(&self.sched, &mut state);
        place.is_some()
    }
}

/// A task that waits for a lock. Where it is unwound meanwhile, it waits no more, and a lock that
/// was handed to it is handed on: a task that lingers may wait for that.
struct Queued<'a> {
    lock: &'a BareLock,
    sched: &'a Sched,
    task: TaskId,
}

impl Queued<'_> {
    /// The wait has ended.
    fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        let waits = state.waiters.iter().position(|waiter| waiter.task == self.task);
        match waits {
            Some(position) => drop(state.waiters.remove(position)),
            None => {
                let held = state.holders.iter().position(|task| *task == self.task);
                held.map(|position| state.holders.remove(position));
            }
        }
        self.lock.hand_over(self.sched, &mut state);
    }
}

impl BareLock {
    pub(super) fn new(
        sched: &Sched,
        class: &'static str,
        instance: &str,
        why: &'static str,
    ) -> Self {
        let id = sched.names(|names| names.add_lock(class, instance));
        Self { id, why, state: SpinLock::default() }
    }

    pub(super) fn acquire(
        &self,
        sched: &Sched,
        mode: LockMode,
        patience: Patience,
        site: Site,
    ) -> Result<(), Errno> {
        let _side = harness_side();
        sched.point();
        let me = sched.current();
        let (lock, resource) = (self.id, Resource::Lock(self.id));
        let wait = {
            let mut state = self.state.lock();
            sched.emit(EventKind::LockAttempt { lock, mode, try_lock: false, site });
            if state.waiters.is_empty() && state.admits(mode) {
                state.take(me, mode);
                sched.emit(EventKind::LockAcquired { lock, mode, site });
                drop(state);
                sched.took(lock);
                return Ok(());
            }
            state.waiters.push_back(Waiter { task: me, mode, site });
            let breakable = patience == Patience::Breakable;
            sched.emit_wait(Waiting { resource, why: self.why, breakable, site })
        };
        let queued = Queued { lock: self, sched, task: me };
        loop {
            let wake = sched.park(wait, None);
            let mut state = self.state.lock();
            let Some(position) = state.waiters.iter().position(|waiter| waiter.task == me) else {
                drop(state);
                queued.leave();
                sched.forget_break(wait);
                sched.took(lock);
                return Ok(());
            };
            if let (Wake::Broken(errno), Patience::Breakable) = (wake, patience) {
                queued.leave();
                state.waiters.remove(position);
                let outcome = WaitOutcome::Broken(errno);
                sched.emit(EventKind::WaitEnd { resource, outcome });
                self.hand_over(sched, &mut state);
                return Err(errno);
            }
        }
    }

    pub(super) fn try_acquire(&self, sched: &Sched, mode: LockMode, site: Site) -> bool {
        let _side = harness_side();
        sched.point();
        let lock = self.id;
        let mut state = self.state.lock();
        sched.emit(EventKind::LockAttempt { lock, mode, try_lock: true, site });
        let free = state.waiters.is_empty() && state.admits(mode);
        if free {
            state.take(sched.current(), mode);
            sched.emit(EventKind::LockAcquired { lock, mode, site });
        }
        drop(state);
        if free {
            sched.took(lock);
        }
        free
    }

    pub(super) fn release(&self, sched: &Sched) {
        let _side = harness_side();
        let me = sched.current();
        let mut state = self.state.lock();
        let holder = state.holders.iter().position(|task| *task == me);
        state.holders.remove(holder.expect("only a holder releases a lock"));
        sched.emit(EventKind::LockReleased { lock: self.id });
        self.hand_over(sched, &mut state);
    }

    fn hand_over(&self, sched: &Sched, state: &mut LockState) {
        while let Some(first) = state.waiters.front() {
            if !state.admits(first.mode) {
                return;
            }
            let Waiter { task, mode, site } = state.waiters.pop_front().expect("it has a front");
            state.take(task, mode);
            sched.emit_for(task, EventKind::LockAcquired { lock: self.id, mode, site });
            let (resource, outcome) = (Resource::Lock(self.id), WaitOutcome::Satisfied);
            sched.emit_for(task, EventKind::WaitEnd { resource, outcome });
            sched.wake(task);
        }
    }
}
