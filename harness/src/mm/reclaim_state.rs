//! For each reclaiming task: the pages that came back, the result of its reclaim, the priority.
//!
//! Key type: [`ReclaimStates`]. The kernel counts slab pages that a shrinker frees in a counter of
//! the reclaiming task (`struct reclaim_state`). Here every page that this task gives back to the
//! budget is counted.
//!
//! Locking: one leaf.

use std::collections::BTreeMap;

use crate::event::TaskId;
use crate::sched::SpinLock;

/// The reclaims of one task that have not ended (`struct reclaim_state`).
#[derive(Default)]
struct ReclaimState {
    /// How many there are; more than one only because of a bug.
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

    /// Ends a reclaim; returns how many pages it freed and its last priority.
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

    /// How many pages this task has given back since its reclaim began.
    pub(super) fn pages(&self, task: TaskId) -> u64 {
        self.0.lock().get(&task).map_or(0, |state| state.pages)
    }

    pub(super) fn page_freed(&self, task: TaskId, pages: u64) {
        if let Some(state) = self.0.lock().get_mut(&task) {
            state.pages += pages;
        }
    }

    pub(super) fn set_freed(&self, task: TaskId, freed: u64) {
        if let Some(state) = self.0.lock().get_mut(&task) {
            state.freed = freed;
        }
    }

    pub(super) fn set_priority(&self, task: TaskId, priority: u32) {
        if let Some(state) = self.0.lock().get_mut(&task) {
            state.priority = priority;
        }
    }
}
