//! How many executions an exploration has, and how to stop it early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::TaskId;
use crate::sched::Strategy;

/// A handle that stops an exploration.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Begins no further execution.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A strategy with a bound on the number of executions.
pub struct Budget<S> {
    inner: S,
    left: u64,
    stop: Stop,
}

impl<S: Strategy> Budget<S> {
    /// `inner`, for at most `executions`.
    pub fn new(inner: S, executions: u64) -> Self {
        Self { inner, left: executions, stop: Stop::default() }
    }

    /// The handle that stops it early.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

impl<S: Strategy> Strategy for Budget<S> {
    fn begin(&mut self) -> bool {
        if self.left == 0 || self.stop.0.load(Ordering::Relaxed) {
            return false;
        }
        self.left -= 1;
        self.inner.begin()
    }

    fn task(&mut self, runnable: &[TaskId], current: Option<TaskId>) -> TaskId {
        self.inner.task(runnable, current)
    }

    fn number(&mut self, bound: u32) -> u32 {
        self.inner.number(bound)
    }
}
