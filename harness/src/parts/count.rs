//! `Count`: a number with waiters for zero: I/O in flight, open handles.
//!
//! Key type: [`Count`]. Locking: a leaf lock around the number.

use std::sync::Arc;

use crate::event::{Needs, Site};
use crate::sched::{Condition, Sched, SpinLock, harness_side};

/// A number with waiters for zero. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Count {
    number: Arc<SpinLock<u64>>,
    zero: Condition,
}

impl Count {
    /// A count that reports call `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str, from: u64) -> Self {
        let _side = harness_side();
        let zero = Condition::new(sched, &format!("{name} to be zero"));
        Self { number: Arc::new(SpinLock::new(from)), zero }
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        *self.number.lock()
    }

    /// Adds one.
    pub fn inc(&self) {
        let _side = harness_side();
        self.zero.point();
        let mut number = self.number.lock();
        *number = number.saturating_add(1);
    }

    /// Takes one away, and wakes the tasks that wait where none is left.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn dec(&self) {
        let _side = harness_side();
        self.zero.point();
        let left = {
            let mut number = self.number.lock();
            *number = number.checked_sub(1).expect("a count is not less than zero");
            *number
        };
        if left == 0 {
            self.zero.signal();
        }
    }

    /// Waits until it is zero: every task that promised to count down must act.
    #[track_caller]
    pub fn wait(&self) {
        self.wait_at(Site::here());
    }

    /// As [`Count::wait`], for a call at `site`.
    pub(crate) fn wait_at(&self, site: Site) {
        let _side = harness_side();
        self.zero.point();
        self.zero.wait_needing(|| Needs::All, "count", site, || self.get() == 0);
    }

    /// The condition that it is zero: a task that will count down promises so with
    /// [`Condition::promise`].
    #[must_use]
    pub const fn zero(&self) -> &Condition {
        &self.zero
    }
}
