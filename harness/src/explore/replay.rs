//! The choices of a trace, read back.
//!
//! A trace with a task that cannot run, or one that ends early, does not fit the code that it is
//! replayed on. The run then goes on with the first choice each time, and [`Replay::mismatch`] says
//! where it left the trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::event::{Choice, TaskId, Trace};
use crate::sched::Strategy;

/// No mismatch so far.
const FITS: usize = usize::MAX;

/// Replays one trace, once.
pub struct Replay {
    trace: Trace,
    next: usize,
    begun: bool,
    mismatch: Arc<AtomicUsize>,
}

/// Where a replay left its trace, once it has run.
#[derive(Clone, Debug)]
pub struct Mismatch(Arc<AtomicUsize>);

impl Mismatch {
    /// The position of the first choice that did not fit.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        let position = self.0.load(Ordering::Relaxed);
        (position != FITS).then_some(position)
    }
}

impl Replay {
    /// A replay of `trace`.
    #[must_use]
    pub fn new(trace: Trace) -> Self {
        Self { trace, next: 0, begun: false, mismatch: Arc::new(AtomicUsize::new(FITS)) }
    }

    /// A handle that says, after the run, whether the trace fitted.
    #[must_use]
    pub fn mismatch(&self) -> Mismatch {
        Mismatch(Arc::clone(&self.mismatch))
    }

    fn next(&mut self) -> Option<Choice> {
        let choice = self.trace.0.get(self.next).copied();
        self.next += 1;
        choice
    }

    fn misfit(&self) {
        let position = self.next - 1;
        self.mismatch.fetch_min(position, Ordering::Relaxed);
    }
}

impl Drop for Replay {
    /// A trace with choices that the run did not ask for does not fit either.
    fn drop(&mut self) {
        if self.begun && self.next < self.trace.0.len() {
            self.next += 1;
            self.misfit();
        }
    }
}

impl Strategy for Replay {
    fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    fn task(&mut self, runnable: &[TaskId], _current: Option<TaskId>) -> TaskId {
        match self.next() {
            Some(Choice::Task(task)) if runnable.contains(&task) => task,
            _ => {
                self.misfit();
                runnable[0]
            }
        }
    }

    fn number(&mut self, bound: u32) -> u32 {
        match self.next() {
            Some(Choice::Number(number)) if number < bound => number,
            _ => {
                self.misfit();
                0
            }
        }
    }
}
