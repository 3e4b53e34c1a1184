//! A mutex's state where nobody observes: one word while nobody waits.
//!
//! Key type: [`QuickLock`]. Not fair: who comes by takes it, and the releaser wakes the task that
//! has waited longest to try again. Locking: its list of waiters is a leaf.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Sched, SpinLock};
use crate::event::TaskId;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and the releaser must look for a waiter.
const AWAITED: u32 = 2;
/// How often a task looks again before it parks.
const SPINS: u32 = 100;

/// A lock without the memory that it guards.
#[derive(Debug, Default)]
pub(super) struct QuickLock {
    word: AtomicU32,
    waiters: SpinLock<VecDeque<TaskId>>,
}

impl QuickLock {
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    pub(super) fn lock(&self, sched: &Sched) {
        if !self.try_lock() {
            self.wait(sched);
        }
    }

    #[cold]
    fn wait(&self, sched: &Sched) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if self.word.load(Ordering::Relaxed) == FREE && self.try_lock() {
                return;
            }
        }
        let me = sched.current();
        loop {
            // On the list before the word says so: whoever finds AWAITED finds the waiter.
            let mut waiters = self.waiters.lock();
            if !waiters.contains(&me) {
                waiters.push_back(me);
            }
            drop(waiters);
            if self.word.swap(AWAITED, Ordering::AcqRel) == FREE {
                // AWAITED stays: others may wait, and a release that looks in vain costs little.
                self.waiters.lock().retain(|task| *task != me);
                return;
            }
            sched.park(None);
        }
    }

    #[inline]
    pub(super) fn unlock(&self, sched: &Sched) {
        if self.word.swap(FREE, Ordering::AcqRel) == AWAITED {
            self.wake(sched);
        }
    }

    #[cold]
    fn wake(&self, sched: &Sched) {
        let waiter = self.waiters.lock().pop_front();
        if let Some(task) = waiter {
            sched.wake(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::event::TaskKind;
    use crate::sched::{JoinHandle, Mutex, Sched};

    #[test]
    fn tasks_that_nobody_observes_exclude_each_other_and_none_is_forgotten() {
        let sched = Sched::unobserved(1);
        let ended = sched.run_main(|| {
            let total = Arc::new(Mutex::new(&sched, "total", "0", 0_u64));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let total = Arc::clone(&total);
                    sched.spawn("adder", TaskKind::Task, move || {
                        for _ in 0..20_000 {
                            let mut total = total.lock();
                            let before = *total;
                            std::hint::black_box(&mut total);
                            *total = before + 1;
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(JoinHandle::join);
            assert!(total.try_lock().is_some_and(|total| *total == 80_000));
        });
        ended.expect("no task panics");
    }
}
