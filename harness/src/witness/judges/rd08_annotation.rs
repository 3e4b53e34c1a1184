//! RD08: reclaim's pseudo-locks are given up otherwise than they were taken.
//!
//! Both ends recompute the same condition from the mask and the task's flags. So the taking stands
//! before PF_MEMALLOC is set, the giving up after it is restored, and no scope may come or go
//! between; otherwise a level is held for ever, or is given up that nobody holds, and what is
//! learned about order is wrong from then on. Invariant 9 of the project's description of reclaim,
//! section 9; the bracket is that of 3.4.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, Levels, TaskId};
use crate::witness::{Breach, Chain, Finding, Judge, Moment, Reads, StepKind};

/// Reclaims inside each other beyond these are not looked at.
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
        let Moment { event, view, .. } = *moment;
        if self.is_balanced(event) || !self.found.insert(event.task) {
            return;
        }
        let breach = Breach::AnnotationUnbalanced;
        let mut chain = Chain::new(view);
        chain.task(event.task, None);
        chain.ends_with(StepKind::Broke { breach, subject: None }, None, event);
        out.push(chain.finish(breach.code(), event));
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
