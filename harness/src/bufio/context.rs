//! What a task is in the middle of: mapping a request, or in a place where nothing may sleep (1.9,
//! 1.10).
//!
//! Key types: [`InRequest`], [`Atomic`]. While a task has an on-stack list of bios, what it submits
//! is queued there and not started, so a wait for any of it would be a wait for itself: reading,
//! making and flushing refuse. 2014 stopped the machine for that; later kernels warn and return
//! EINVAL.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cache::Cache;
use super::client::Client;
use super::global::Bufio;
use crate::block::{Bio, BlockDevice};
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::TaskId;
use crate::sched::{MutexGuard, Sched, SpinLock, quiet};

/// The subclass of a client's lock that is taken while a request is mapped.
const BELOW: u8 = 1;

#[derive(Default)]
struct Mark {
    /// Requests that the task submitted meanwhile, each with its device.
    pending: Option<Vec<(Arc<dyn BlockDevice>, Bio)>>,
    atomic: bool,
}

/// Which tasks are in the middle of something. While none is, that costs a load.
#[derive(Default)]
pub(super) struct Marks {
    any: AtomicU32,
    tasks: SpinLock<BTreeMap<TaskId, Mark>>,
}

impl Marks {
    fn set(&self, task: TaskId, change: impl FnOnce(&mut Mark)) {
        change(self.tasks.lock().entry(task).or_default());
        self.any.fetch_add(1, Ordering::AcqRel);
    }

    fn clear<T>(&self, task: TaskId, change: impl FnOnce(&mut Mark) -> T) -> T {
        let mut tasks = self.tasks.lock();
        let mark = tasks.entry(task).or_default();
        let result = change(mark);
        if mark.pending.is_none() && !mark.atomic {
            tasks.remove(&task);
        }
        self.any.fetch_sub(1, Ordering::AcqRel);
        result
    }

    #[inline]
    fn is(&self, sched: &Sched, what: impl FnOnce(&Mark) -> bool) -> bool {
        self.any.load(Ordering::Relaxed) > 0
            && self.tasks.lock().get(&sched.current()).is_some_and(what)
    }

    /// Keeps a request of a task that maps one; gives it back where the task does not.
    pub(super) fn keep(
        &self,
        sched: &Sched,
        device: &Arc<dyn BlockDevice>,
        bio: Bio,
    ) -> Option<Bio> {
        if self.any.load(Ordering::Relaxed) == 0 {
            return Some(bio);
        }
        let mut tasks = self.tasks.lock();
        match tasks.get_mut(&sched.current()).and_then(|mark| mark.pending.as_mut()) {
            Some(pending) => {
                pending.push((Arc::clone(device), bio));
                None
            }
            None => Some(bio),
        }
    }
}

/// The running task maps a request; when this is dropped, what it submitted meanwhile starts.
#[must_use = "the request is mapped when this is dropped; bind it to a name"]
pub struct InRequest {
    bufio: Bufio,
    task: TaskId,
    task_bound: PhantomData<*const ()>,
}

/// The running task may not sleep until this is dropped.
#[must_use = "the task may sleep again when this is dropped; bind it to a name"]
pub struct Atomic {
    bufio: Bufio,
    task: TaskId,
    task_bound: PhantomData<*const ()>,
}

impl Bufio {
    /// The running task begins to map a request (`current->bio_list`).
    ///
    /// # Panics
    /// If it maps one already: a task has one list.
    pub fn in_request(&self) -> InRequest {
        let _ours = quiet();
        let task = self.0.sched.current();
        self.0.marks.set(task, |mark| {
            assert!(mark.pending.is_none(), "a task maps one request at a time");
            mark.pending = Some(Vec::new());
        });
        InRequest { bufio: self.clone(), task, task_bound: PhantomData }
    }

    /// The running task is where nothing may sleep, as in a softirq. Only `get`, of a client in
    /// no-sleep mode, is legal there.
    ///
    /// # Panics
    /// If it is already.
    pub fn atomic(&self) -> Atomic {
        let _ours = quiet();
        let task = self.0.sched.current();
        self.0.marks.set(task, |mark| {
            assert!(!mark.atomic, "a task is atomic once");
            mark.atomic = true;
        });
        Atomic { bufio: self.clone(), task, task_bound: PhantomData }
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        let _ours = quiet();
        let pending = self.bufio.0.marks.clear(self.task, |mark| mark.pending.take());
        for (device, bio) in pending.into_iter().flatten() {
            device.submit(bio);
        }
    }
}

impl Drop for Atomic {
    fn drop(&mut self) {
        let _ours = quiet();
        self.bufio.0.marks.clear(self.task, |mark| mark.atomic = false);
    }
}

impl Client {
    /// Takes the client lock. A task that maps a request may have the lock of a client above: then
    /// this one is of subclass 1, so that stacked clients do not look recursive.
    #[track_caller]
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Cache> {
        if self.0.bufio.0.marks.is(self.sched(), |mark| mark.pending.is_some()) {
            self.0.cache.lock_nested(BELOW)
        } else {
            self.0.cache.lock()
        }
    }

    /// Refuses what may wait to a task that must not.
    ///
    /// # Panics
    /// In an atomic place: the kernel says "scheduling while atomic". While a request is mapped, in
    /// 2014.
    #[track_caller]
    #[inline]
    pub(super) fn may_wait(&self, what: &str) -> Result<(), Errno> {
        let (marks, sched) = (&self.0.bufio.0.marks, self.sched());
        assert!(!marks.is(sched, |mark| mark.atomic), "scheduling while atomic: {what} may sleep");
        if !marks.is(sched, |mark| mark.pending.is_some()) {
            return Ok(());
        }
        let fatal = self.0.generation() == BufioGeneration::V2014;
        assert!(!fatal, "{what} while a request is mapped would wait for the task itself");
        Err(Errno::EINVAL)
    }

    /// Refuses `get` where its lock would sleep.
    #[track_caller]
    pub(super) fn may_get(&self) {
        let atomic = self.0.bufio.0.marks.is(self.sched(), |mark| mark.atomic);
        assert!(
            !atomic || self.0.options.no_sleep,
            "scheduling while atomic: the client may sleep"
        );
    }

    /// Refuses what may sleep where nothing may, and lets it be in a request.
    #[track_caller]
    pub(super) fn may_sleep(&self, what: &str) {
        let atomic = self.0.bufio.0.marks.is(self.sched(), |mark| mark.atomic);
        assert!(!atomic, "scheduling while atomic: {what} may sleep");
    }
}
