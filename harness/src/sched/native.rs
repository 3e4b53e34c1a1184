//! The native engine: OS threads, real time.
//!
//! Key type: [`Native`]. Any Rust code runs, also code that blocks on `std` locks; nothing is
//! recorded, and choices come from a seeded generator. Parking is a token and a condition variable
//! for each task.
#![expect(clippy::disallowed_methods, reason = "real threads and real time are this module's subject")]

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SpinLock;
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
    parkers: SpinLock<BTreeMap<TaskId, Arc<Parker>>>,
    random: SpinLock<SplitMix64>,
}

impl Native {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            start: Instant::now(),
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
            .spawn(body)
            .expect("the system starts another thread");
    }

    /// Waits for the task's token, at the longest for `timeout`.
    pub(super) fn park(&self, task: TaskId, timeout: Option<Ticks>) {
        let parker = self.parker(task);
        let token = parker.token.lock().unwrap_or_else(PoisonError::into_inner);
        let mut token = match timeout {
            None => parker.wake.wait_while(token, |token| !*token).unwrap_or_else(PoisonError::into_inner),
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

/// The generator behind seeded choices (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        let scaled = (self.next_u64() >> 32) * u64::from(bound);
        u32::try_from(scaled >> 32).expect("a 32-bit number scaled by a 32-bit bound")
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
