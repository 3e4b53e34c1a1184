//! RD08: reclaim's pseudo-locks are not released as they were taken.
//!
//! Acquire and release compute the same condition from the mask and the flags of the task. So
//! acquire comes before PF_MEMALLOC is set, release comes after it is restored, and no scope may
//! begin or end between the two. Otherwise a level stays held, or a level is released that was not
//! held, and the order graph is wrong from then on. Invariant 9 of docs/kernel/rules.md,
//! "Invariants"; the bracket is that of docs/kernel/allocation.md, "The bracket around direct
//! reclaim".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, Levels, TaskId};
use crate::witness::{Breach, Finding, Judge, Moment, Reads, broken_rule};

/// Reclaims nested deeper than this are not looked at.
const MAX_DEPTH: usize = 64;

/// The judge of invariant 9.
#[derive(Debug, Default)]
pub(super) struct Annotation {
    found: BTreeSet<TaskId>,
    held: BTreeMap<TaskId, Vec<Levels>>,
}

impl Judge for Annotation {
    fn reads(&self) -> Reads {
        Reads::RECLAIM.and(Reads::TASKS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let event = moment.event;
        if self.is_balanced(event) || !self.found.insert(event.task) {
            return;
        }
        let breach = Breach::AnnotationUnbalanced;
        out.push(broken_rule(moment, event.task, breach, None, None));
    }
}

impl Annotation {
    fn is_balanced(&mut self, event: &Event) -> bool {
        let task = event.task;
        match event.kind {
            EventKind::ReclaimAcquire { levels } => {
                let held = self.held.entry(task).or_default();
                if held.len() < MAX_DEPTH {
                    held.push(levels);
                }
                true
            }
            EventKind::ReclaimRelease { levels } => {
                self.held.get_mut(&task).and_then(Vec::pop) == Some(levels)
            }
            EventKind::TaskExit => self.held.remove(&task).is_none_or(|held| held.is_empty()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
