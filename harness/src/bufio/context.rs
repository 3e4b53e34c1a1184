//! Marks on tasks that map a request, or may not sleep (docs/kernel/dm-bufio.md, "In a request" and
//! "No-sleep mode").
//!
//! Key types: [`InRequest`], [`Atomic`], `TaskMarks`. While a task has an on-stack list of bios,
//! its requests are queued there and not started, so a wait for one of them would be a wait for the
//! task itself: reading, making and flushing refuse. 2014 stopped the machine for that; later
//! kernels warn and return EINVAL.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::block::{Bio, BlockDevice};
use crate::era::BufioGeneration;
use crate::error::Errno;
use crate::event::TaskId;
use crate::sched::{Sched, SpinLock, harness_side};

#[derive(Default)]
struct Mark {
    /// Requests that the task submitted meanwhile, each with its device.
    pending: Option<Vec<(Arc<dyn BlockDevice>, Bio)>>,
    atomic: bool,
}

/// The tasks that are marked. While no task is marked, a check costs one load.
pub(super) struct TaskMarks {
    sched: Sched,
    /// How many marks there are.
    any: AtomicU32,
    tasks: SpinLock<BTreeMap<TaskId, Mark>>,
}

impl TaskMarks {
    pub(super) fn new(sched: &Sched) -> Self {
        Self { sched: sched.clone(), any: AtomicU32::new(0), tasks: SpinLock::default() }
    }

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

    fn is(&self, what: impl FnOnce(&Mark) -> bool) -> bool {
        self.any.load(Ordering::Relaxed) > 0
            && self.tasks.lock().get(&self.sched.current()).is_some_and(what)
    }

    /// Whether the running task maps a request.
    pub(super) fn maps_request(&self) -> bool {
        self.is(|mark| mark.pending.is_some())
    }

    /// Whether the running task may not sleep.
    pub(super) fn is_atomic(&self) -> bool {
        self.is(|mark| mark.atomic)
    }

    /// Refuses an operation that may sleep, such as `what`, where nothing may sleep. While a
    /// request is mapped it is allowed.
    ///
    /// # Panics
    /// In an atomic place: the kernel says "scheduling while atomic".
    #[track_caller]
    pub(super) fn may_sleep(&self, what: &str) {
        assert!(!self.is_atomic(), "scheduling while atomic: {what} may sleep");
    }

    /// Refuses an operation that may wait for a request to a task that must not.
    ///
    /// # Panics
    /// As `may_sleep`; in 2014, while a request is mapped.
    #[track_caller]
    pub(super) fn may_wait(&self, what: &str, generation: BufioGeneration) -> Result<(), Errno> {
        self.may_sleep(what);
        if !self.maps_request() {
            return Ok(());
        }
        let fatal = generation == BufioGeneration::V2014;
        assert!(!fatal, "{what} while a request is mapped would wait for the task itself");
        Err(Errno::EINVAL)
    }

    /// Keeps a request of a task that maps one; gives it back where the task does not.
    pub(super) fn keep(&self, device: &Arc<dyn BlockDevice>, bio: Bio) -> Option<Bio> {
        if self.any.load(Ordering::Relaxed) == 0 {
            return Some(bio);
        }
        let mut tasks = self.tasks.lock();
        match tasks.get_mut(&self.sched.current()).and_then(|mark| mark.pending.as_mut()) {
            Some(pending) => {
                pending.push((Arc::clone(device), bio));
                None
            }
            None => Some(bio),
        }
    }
}

/// The running task maps a request; when this is dropped, its requests start.
#[must_use = "the request is mapped when this is dropped; bind it to a name"]
pub struct InRequest {
    marks: Arc<TaskMarks>,
    task: TaskId,
    task_bound: PhantomData<*const ()>,
}

/// The running task may not sleep until this is dropped.
#[must_use = "the task may sleep again when this is dropped; bind it to a name"]
pub struct Atomic {
    marks: Arc<TaskMarks>,
    task: TaskId,
    task_bound: PhantomData<*const ()>,
}

impl InRequest {
    /// # Panics
    /// If the running task maps a request already: a task has one list.
    pub(super) fn begin(marks: &Arc<TaskMarks>) -> Self {
        let _side = harness_side();
        let task = marks.sched.current();
        marks.set(task, |mark| {
            assert!(mark.pending.is_none(), "a task maps one request at a time");
            mark.pending = Some(Vec::new());
        });
        Self { marks: Arc::clone(marks), task, task_bound: PhantomData }
    }
}

impl Atomic {
    /// # Panics
    /// If the running task is atomic already.
    pub(super) fn begin(marks: &Arc<TaskMarks>) -> Self {
        let _side = harness_side();
        let task = marks.sched.current();
        marks.set(task, |mark| {
            assert!(!mark.atomic, "a task is atomic once");
            mark.atomic = true;
        });
        Self { marks: Arc::clone(marks), task, task_bound: PhantomData }
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        let _side = harness_side();
        let pending = self.marks.clear(self.task, |mark| mark.pending.take());
        for (device, bio) in pending.into_iter().flatten() {
            device.submit(bio);
        }
    }
}

impl Drop for Atomic {
    fn drop(&mut self) {
        let _side = harness_side();
        self.marks.clear(self.task, |mark| mark.atomic = false);
    }
}
