//! `Promises`: who promised to signal which condition, in both directions.
//!
//! Key types: [`Promises`], [`Promised`]. A task, a request or a work item promises; what a request
//! or a work item promised ends with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Actor, RequestId, Site, WaitId};
use crate::units::Nanos;

/// One promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::witness) struct Promised {
    pub(in crate::witness) by: Actor,
    pub(in crate::witness) units: u32,
    /// Where it was made.
    pub(in crate::witness) site: Option<Site>,
    pub(in crate::witness) seq: u64,
    pub(in crate::witness) time: Nanos,
}

/// Every promise that was neither kept nor ended.
///
/// # Invariants
///
/// No list in `of` is empty, and `by` has the same pairs as `of`.
#[derive(Clone, Debug, Default)]
pub(super) struct Promises {
    of: BTreeMap<WaitId, BTreeMap<Actor, Vec<Promised>>>,
    by: BTreeMap<Actor, BTreeSet<WaitId>>,
}

impl Promises {
    pub(super) fn make(&mut self, condition: WaitId, promised: Promised) {
        let Promised { by, .. } = promised;
        self.of.entry(condition).or_default().entry(by).or_default().push(promised);
        self.by.entry(by).or_default().insert(condition);
    }

    /// The last promise of `by` ends.
    pub(super) fn end_last(&mut self, condition: WaitId, by: Actor) {
        let made = self.of.get_mut(&condition).and_then(|all| all.get_mut(&by));
        if made.is_some_and(|made| made.pop().is_some() && made.is_empty()) {
            self.end(condition, by);
        }
    }

    /// Every promise of `by` for the condition ends.
    pub(super) fn end(&mut self, condition: WaitId, by: Actor) {
        if let Some(all) = self.of.get_mut(&condition) {
            all.remove(&by);
            if all.is_empty() {
                self.of.remove(&condition);
            }
        }
        if let Some(all) = self.by.get_mut(&by) {
            all.remove(&condition);
            if all.is_empty() {
                self.by.remove(&by);
            }
        }
    }

    /// Every promise of `by` ends; returns what they were for.
    pub(super) fn end_all(&mut self, by: Actor) -> BTreeSet<WaitId> {
        let conditions = self.by.remove(&by).unwrap_or_default();
        for condition in &conditions {
            self.end(*condition, by);
        }
        conditions
    }

    /// The promises for `condition`.
    pub(super) fn of(&self, condition: WaitId) -> impl Iterator<Item = &Promised> {
        self.of.get(&condition).into_iter().flat_map(BTreeMap::values).flatten()
    }

    /// The promises of `by` for `condition`.
    pub(super) fn made(&self, condition: WaitId, by: Actor) -> &[Promised] {
        self.of.get(&condition).and_then(|all| all.get(&by)).map_or(&[], Vec::as_slice)
    }

    /// What `by` promised to signal.
    pub(super) fn by(&self, by: Actor) -> impl Iterator<Item = WaitId> {
        self.by.get(&by).into_iter().flatten().copied()
    }

    /// What requests and work items promised to signal; a condition of two of them comes twice.
    pub(super) fn by_served(&self) -> impl Iterator<Item = WaitId> {
        // Tasks come first in the order of actors.
        self.by.range(Actor::Request(RequestId(0))..).flat_map(|(_, all)| all).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{TaskId, WorkId};

    #[test]
    fn both_directions_agree_and_forget_what_is_empty() {
        let [journal, tags] = [WaitId(0), WaitId(1)];
        let (task, item) = (Actor::Task(TaskId(3)), Actor::Work(WorkId(0)));
        let mut all = Promises::default();
        for (condition, by) in [(journal, task), (journal, task), (journal, item), (tags, item)] {
            all.make(condition, Promised { by, units: 1, site: None, seq: 0, time: Nanos(0) });
        }
        all.end_last(journal, task);
        assert_eq!(all.made(journal, task).len(), 1);
        assert_eq!(all.by_served().collect::<Vec<_>>(), [journal, tags]);
        assert_eq!(all.end_all(item), BTreeSet::from([journal, tags]));
        assert_eq!(all.of(journal).map(|made| made.by).collect::<Vec<_>>(), [task]);
        all.end_last(journal, task);
        all.end_last(journal, task);
        assert!(all.of.is_empty() && all.by.is_empty());
    }
}
