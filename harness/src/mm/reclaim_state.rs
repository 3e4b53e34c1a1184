//! What a reclaimer's own work gave back, and how far it came.
//!
//! Key type: [`ReclaimStates`]. The kernel credits slab pages that a shrinker freed to the reclaiming
//! task through a counter of that task (`reclaim_state`); so does this, for every page that comes
//! back to the budget.
//!
//! Locking: one leaf.

use std::collections::BTreeMap;

use crate::event::TaskId;
use crate::sched::SpinLock;

/// The open reclaims of one task.
#[derive(Default)]
struct ReclaimState {
    /// How many: reclaim nests only where a bug makes it.
    open: u32,
    pages: u64,
    freed: u64,
    priority: u32,
}

/// The tasks that reclaim.
#[derive(Default)]
pub(super) struct ReclaimStates(SpinLock<BTreeMap<TaskId, ReclaimState>>);

impl ReclaimStates {
    pub(super) fn open(&self, task: TaskId) {
        self.0.lock().entry(task).or_default().open += 1;
    }

    /// Ends a reclaim; returns what it freed and the priority that it came to.
    pub(super) fn close(&self, task: TaskId) -> (u64, u32) {
        let mut reclaim_states = self.0.lock();
        let Some(state) = reclaim_states.get_mut(&task) else {
            return (0, 0);
        };
        let outcome = (state.freed, state.priority);
        state.open -= 1;
        if state.open == 0 {
            reclaim_states.remove(&task);
        }
        outcome
    }

    /// Pages that came back on this task since its reclaim began.
    pub(super) fn pages(&self, task: TaskId) -> u64 {
        self.0.lock().get(&task).map_or(0, |state| state.pages)
    }

    pub(super) fn page_freed(&self, task: TaskId, pages: u64) {
        if let Some(state) = self.0.lock().get_mut(&task) {
            state.pages += pages;
        }
    }

    pub(super) fn note(&self, task: TaskId, freed: u64) {
        if let Some(state) = self.0.lock().get_mut(&task) {
            state.freed = freed;
        }
    }

    pub(super) fn came_to(&self, task: TaskId, priority: u32) {
        if let Some(state) = self.0.lock().get_mut(&task) {
            state.priority = priority;
        }
    }
}
