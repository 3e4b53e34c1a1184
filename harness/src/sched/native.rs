//! The native engine: OS threads, real time.
//!
//! Key type: [`Native`]. Any Rust code may run here, also code that blocks on `std` locks. No
//! choice is recorded; numbers come from a seeded generator. Each task parks on a token and a
//! condition variable.
//!
//! Locking: the table of parkers and the generator are leaf locks.
#![expect(
    clippy::disallowed_methods,
    reason = "real threads and real time are this module's subject"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SpinLock;
use super::random::SplitMix64;
use super::watch;
use crate::event::TaskId;
use crate::units::{Nanos, Ticks};

#[derive(Default)]
struct Parker {
    token: Mutex<bool>,
    wake: Condvar,
}

/// The engine behind a native world.
pub(super) struct Native {
    start: Instant,
    task_stack: usize,
    parkers: SpinLock<BTreeMap<TaskId, Arc<Parker>>>,
    random: SpinLock<SplitMix64>,
}

impl Native {
    pub(super) fn new(seed: u64, task_stack: usize) -> Self {
        Self {
            start: Instant::now(),
            task_stack,
            parkers: SpinLock::new(BTreeMap::new()),
            random: SpinLock::new(SplitMix64(seed)),
        }
    }

    fn parker(&self, task: TaskId) -> Arc<Parker> {
        Arc::clone(self.parkers.lock().entry(task).or_default())
    }

    pub(super) fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) {
        std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(self.task_stack)
            .spawn(move || {
                let _handlers = watch::prepare_thread();
                body();
            })
            .expect("the system starts another thread");
    }

    /// Waits for the task's token, at most for `timeout`.
    pub(super) fn park(&self, task: TaskId, timeout: Option<Ticks>) {
        let parker = self.parker(task);
        let token = parker.token.lock().unwrap_or_else(PoisonError::into_inner);
        let mut token = match timeout {
            None => parker
                .wake
                .wait_while(token, |token| !*token)
                .unwrap_or_else(PoisonError::into_inner),
            Some(ticks) => {
                let limit = Duration::from_millis(ticks.0);
                let waited = parker.wake.wait_timeout_while(token, limit, |token| !*token);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *token = false;
    }

    pub(super) fn unpark(&self, task: TaskId) {
        let parker = self.parker(task);
        *parker.token.lock().unwrap_or_else(PoisonError::into_inner) = true;
        parker.wake.notify_all();
    }

    pub(super) fn point(&self) {
        std::thread::yield_now();
    }

    pub(super) fn choose(&self, bound: u32) -> u32 {
        self.random.lock().below(bound)
    }

    pub(super) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{Event, Names, Observer, Reaction};
    use crate::sched::Sched;

    struct Deaf;

    impl Observer for Deaf {
        fn observe(&mut self, _: &Event, _: &Names) -> Reaction {
            Reaction::Go
        }
    }

    #[test]
    fn threads_adopted_at_the_same_moment_are_tasks_of_their_own() {
        let sched = Sched::native(1, Box::new(Deaf));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (sched, name) = (&sched, format!("thread {thread}"));
                scope.spawn(move || {
                    for _ in 0..500 {
                        let _task = sched.adopt(&name);
                        let me = sched.current();
                        assert_eq!(sched.names(|names| names.task(me).to_owned()), name);
                    }
                });
            }
        });
    }
}
