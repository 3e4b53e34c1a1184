//! `Flag`: a boolean that tasks wait for: pinned, suspended, in recovery.
//!
//! Key type: [`Flag`]. Locking: a leaf lock around the value.

use std::sync::Arc;

use crate::event::{Needs, Site};
use crate::sched::{Condition, Sched, SpinLock, harness_side};

/// A boolean with waiters for either value. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Flag {
    value: Arc<SpinLock<bool>>,
    cleared: Condition,
    set: Condition,
}

impl Flag {
    /// A flag that reports call `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str, set: bool) -> Self {
        let _side = harness_side();
        Self {
            value: Arc::new(SpinLock::new(set)),
            cleared: Condition::new(sched, &format!("{name} to be clear")),
            set: Condition::new(sched, &format!("{name} to be set")),
        }
    }

    /// Its value.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.value.lock()
    }

    /// Gives it a value, and wakes the tasks that wait for that.
    pub fn put(&self, to: bool) {
        let _side = harness_side();
        self.becomes(to).point();
        *self.value.lock() = to;
        self.becomes(to).signal();
    }

    /// Waits until it has this value.
    #[track_caller]
    pub fn wait(&self, until: bool) {
        self.wait_at(until, Site::here());
    }

    /// As [`Flag::wait`], for a call at `site`.
    pub(crate) fn wait_at(&self, until: bool, site: Site) {
        let _side = harness_side();
        self.becomes(until).point();
        self.becomes(until).wait_needing(|| Needs::One, "flag", site, || self.is_set() == until);
    }

    /// The condition that it has this value: a task that will give it that value promises so with
    /// [`Condition::promise`].
    #[must_use]
    pub const fn becomes(&self, value: bool) -> &Condition {
        if value { &self.set } else { &self.cleared }
    }
}
