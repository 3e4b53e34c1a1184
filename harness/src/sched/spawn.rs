//! Starting tasks, catching how they end, and waiting for that.
//!
//! Key types: [`JoinHandle`], [`Adopted`].

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use reclaimdep_scope::context;

use super::core::{Engine, Sched};
use super::park::{Aborted, panic_message};
use super::side::{Side, harness_side};
use super::table::TaskState;
use super::task::{Installed, TaskOrigin, unwinds, with_current};
use super::watch::Beat;
use super::{Completion, SpinLock};
use crate::event::{EventKind, QueueId, Resource, Site, TaskFlags, TaskId, TaskKind};

/// How a task ended.
pub(super) enum TaskEnd<T> {
    Value(T),
    Panicked(Box<dyn Any + Send>),
    Aborted,
}

impl Sched {
    pub(super) fn add_task(&self, name: &str, kind: TaskKind, parent: Option<TaskId>) -> TaskId {
        let _side = harness_side();
        let task = {
            let mut table = self.0.table.lock();
            table.tasks.push(TaskState { kind: Some(kind), ..TaskState::default() });
            let task = TaskId(u32::try_from(table.tasks.len() - 1).expect("fewer than 2^32 tasks"));
            // Under the table's lock: another OS thread may be adopted at the same moment, and both
            // tables must number the two in the same order.
            let named = self.names(|names| names.add_task(name));
            assert_eq!(named, task, "tasks are named in the order they are made");
            task
        };
        self.emit_for(task, EventKind::TaskSpawn { parent: parent.unwrap_or(task), kind });
        task
    }

    /// Starts a task with an empty context, as a kernel thread has.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        kind: TaskKind,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.spawn_at(name, kind, Site::here(), body)
    }

    /// As [`Sched::spawn`], for a call at `site`.
    pub(crate) fn spawn_at<T: Send + 'static>(
        &self,
        name: &str,
        kind: TaskKind,
        site: Site,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.spawn_with(name, kind, TaskOrigin { flags: TaskFlags::EMPTY, site }, None, body)
    }

    /// Starts a server of `queue`. It counts as one before it first runs: where a queue has several
    /// servers, those that wait must not seem to be all.
    #[track_caller]
    pub(crate) fn spawn_server(
        &self,
        name: &str,
        queue: QueueId,
        body: impl FnOnce() + Send + 'static,
    ) -> JoinHandle<()> {
        self.spawn_with(name, TaskKind::Server, TaskOrigin::kthread(), Some(queue), body)
    }

    /// Starts a task with the flags of the running one, as `fork` does. The task is inside the
    /// scopes, but has no token to end them with.
    ///
    /// # Panics
    /// As [`Sched::current`].
    #[track_caller]
    pub fn fork<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let origin = TaskOrigin { flags: context::flags(), site: Site::here() };
        self.spawn_with(name, TaskKind::Task, origin, None, body)
    }

    fn spawn_with<T: Send + 'static>(
        &self,
        name: &str,
        kind: TaskKind,
        origin: TaskOrigin,
        serves: Option<QueueId>,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let _side = harness_side();
        let parent = self.current();
        // In a controlled world coroutine numbers and task numbers must be equal, so no other task
        // may run between taking the number and starting the coroutine.
        let task = self.add_task(name, kind, Some(parent));
        serves.inspect(|queue| self.emit_for(task, EventKind::QueueServer { queue: *queue }));
        let done = Completion::new(self, Resource::Task(task));
        let handle = JoinHandle { task, done, slot: Arc::new(SpinLock::new(None)) };
        let (sched, done, slot) = (self.clone(), handle.done.clone(), Arc::clone(&handle.slot));
        let entry = move || {
            if let Engine::Controlled(controlled) = &sched.0.engine {
                controlled.started(task);
            }
            let ended = sched.run_task(task, origin, || Side::of(kind).call(body));
            sched.tell_exit(task, &ended);
            *slot.lock() = Some(ended);
            done.complete();
            sched.leave(task);
        };
        match &self.0.engine {
            Engine::Controlled(controlled) => controlled.spawn(Box::new(entry)),
            Engine::Native(native) => native.spawn(name, Box::new(entry)),
        }
        handle
    }

    /// Runs `body` as `task` on this thread and catches how it ends. In an aborted world the body
    /// does not begin.
    pub(super) fn run_task<T>(
        &self,
        task: TaskId,
        origin: TaskOrigin,
        body: impl FnOnce() -> T,
    ) -> TaskEnd<T> {
        let _installed = Installed::task(self, task, origin);
        let body = || {
            self.react();
            body()
        };
        let caught = || catch_unwind(AssertUnwindSafe(body));
        let ended = match &self.0.engine {
            Engine::Controlled(controlled) => controlled.on_stack(caught),
            Engine::Native(_) => caught(),
        };
        match ended {
            Ok(value) => TaskEnd::Value(value),
            Err(payload) if payload.is::<Aborted>() => TaskEnd::Aborted,
            Err(payload) => {
                let message = panic_message(&*payload);
                self.0.table.lock().panic.get_or_insert(message);
                TaskEnd::Panicked(payload)
            }
        }
    }

    /// Tells the observer that the task exits. A panic then ends the world: what its task left open
    /// is still seen.
    fn tell_exit<T>(&self, task: TaskId, ended: &TaskEnd<T>) {
        self.emit_for(task, EventKind::TaskExit);
        if matches!(ended, TaskEnd::Panicked(_)) {
            self.abort();
        }
    }

    pub(super) fn exit_task(&self, task: TaskId) {
        self.emit_for(task, EventKind::TaskExit);
        self.leave(task);
    }

    /// Marks the task as exited.
    fn leave(&self, task: TaskId) {
        {
            let mut table = self.0.table.lock();
            table.task(task).exited = true;
            self.idle(&mut table);
        }
        self.leave_behind();
    }

    /// Runs `body` as task 0 on this thread. `None` where the world was aborted or a task panicked;
    /// [`Sched::panic_message`] has the message then.
    pub fn run_main<T>(&self, body: impl FnOnce() -> T) -> Option<T> {
        let task = self.add_task("main", TaskKind::Task, None);
        assert_eq!(task, TaskId(0), "a world has one main task");
        let ended = self.run_task(task, TaskOrigin::kthread(), body);
        self.tell_exit(task, &ended);
        self.leave(task);
        self.wait_until_unwound(task);
        match ended {
            TaskEnd::Value(value) => Some(value),
            TaskEnd::Aborted | TaskEnd::Panicked(_) => None,
        }
    }

    /// In an aborted controlled world: lets the other tasks run until they have unwound, because
    /// the engine would unwind what is left in its own way, in which no destructor can wait.
    fn wait_until_unwound(&self, task: TaskId) {
        let Engine::Controlled(controlled) = &self.0.engine else {
            return;
        };
        loop {
            {
                let table = self.0.table.lock();
                if !table.aborted || table.others_ended(task) || !table.any_runnable() {
                    return;
                }
            }
            controlled.point();
        }
    }

    /// The message of the first panic in the world.
    #[must_use]
    pub fn panic_message(&self) -> Option<String> {
        self.0.table.lock().panic.clone()
    }

    /// Makes this OS thread, which the world did not start, a task of it until the guard drops: for
    /// a thread of a library that calls our code. For native worlds only.
    pub fn adopt(&self, name: &str) -> Adopted {
        let task = self.add_task(name, TaskKind::Server, None);
        Adopted {
            sched: self.clone(),
            task,
            _installed: Installed::task(self, task, TaskOrigin::kthread()),
            thread_bound: PhantomData,
        }
    }

    /// Says of an adopted thread that it serves a request of the kernel until the guard drops, and
    /// is idle afterwards: it waits for the kernel then, for as long as that likes.
    #[cfg_attr(
        not(all(feature = "loop", target_os = "linux")),
        expect(dead_code, reason = "threads are adopted by the loop tier alone")
    )]
    pub(crate) fn serving(&self) -> impl Sized + use<> {
        struct Serving(Option<Arc<Beat>>);
        impl Drop for Serving {
            fn drop(&mut self) {
                if let Some(beat) = &self.0 {
                    beat.idle.store(true, Ordering::Relaxed);
                }
            }
        }
        let beat = with_current(|current| Arc::clone(&current.beat));
        if let Some(beat) = &beat {
            beat.beat();
            beat.idle.store(false, Ordering::Relaxed);
        }
        Serving(beat)
    }

    /// Registers a task of the real kernel. It never runs here; the harness emits its events with
    /// [`Sched::emit_for`].
    #[must_use]
    #[cfg(all(feature = "loop", target_os = "linux"))]
    pub(crate) fn foreign_task(&self, name: &str) -> TaskId {
        self.add_task(name, TaskKind::Foreign, None)
    }
}

/// An OS thread that is a task of a world; dropping this ends the task.
#[must_use = "the thread is a task only while this lives"]
pub struct Adopted {
    sched: Sched,
    task: TaskId,
    _installed: Installed,
    /// The guard must drop on the thread that it adopted.
    thread_bound: PhantomData<*const ()>,
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.sched.exit_task(self.task);
    }
}

/// A task that was started.
#[must_use = "a task that nobody joins is joined at the end of the world"]
pub struct JoinHandle<T> {
    task: TaskId,
    done: Completion,
    slot: Arc<SpinLock<Option<TaskEnd<T>>>>,
}

impl<T> JoinHandle<T> {
    /// The task's number.
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.task
    }

    /// The completion of the task's end.
    pub(crate) fn done(&self) -> Completion {
        self.done.clone()
    }

    /// Waits until the task has ended; returns what it returned.
    ///
    /// In a destructor that runs while its task unwinds, the task that is joined may have been
    /// unwound too. Then this returns where the value is `()`, and never where it is another:
    /// there is no value, and a panic would abort the process.
    ///
    /// # Panics
    /// With the task's panic, if it panicked.
    #[track_caller]
    pub fn join(self) -> T
    where
        T: 'static,
    {
        self.join_at(Site::here())
    }

    /// As [`JoinHandle::join`], for a call at `site`.
    pub(crate) fn join_at(self, site: Site) -> T
    where
        T: 'static,
    {
        let _side = harness_side();
        self.done.wait_at("task exit", site);
        let ended = self.slot.lock().take();
        match ended {
            Some(TaskEnd::Value(value)) => value,
            _ if unwinds() => nothing().unwrap_or_else(|| self.done.sched().linger_for_ever()),
            Some(TaskEnd::Panicked(payload)) => panic_any(payload_again(payload)),
            Some(TaskEnd::Aborted) | None => self.done.sched().unwind(),
        }
    }
}

/// The value `()`, if `T` is that type.
fn nothing<T: 'static>() -> Option<T> {
    let mut value = None::<T>;
    if let Some(unit) = (&mut value as &mut dyn Any).downcast_mut::<Option<()>>() {
        *unit = Some(());
    }
    value
}

/// The payload as text.
fn payload_again(payload: Box<dyn Any + Send>) -> String {
    panic_message(&*payload)
}
