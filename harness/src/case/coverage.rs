//! `Coverage`: what the runs of a case went through, so that quiet is earned.
//!
//! Key types: [`Coverage`], [`Uncovered`]. A step that never ran, or a variant that never
//! reclaimed, was not judged: a row about it says nothing. A step that may wait and never waited
//! may stand for nothing; its line is named. A leaf lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::check::{each_step, programs};
use super::script::{Act, Case, Step};
use crate::event::{Site, intern};
use crate::sched::SpinLock;
use crate::world::Seen;

/// Collects over the runs of one case. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Coverage(Arc<SpinLock<State>>);

#[derive(Debug, Default)]
struct State {
    /// Lines of steps that ran, and of those that a broken wait kept from running.
    ran: BTreeSet<u32>,
    /// By variant.
    seen: BTreeMap<String, Seen>,
}

/// What the runs of a case left out, a sentence each with file and line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Uncovered {
    /// Why the rows of the case say too much.
    pub faults: Vec<String>,
    /// What may be right, and may be a mistake.
    pub notes: Vec<String>,
}

impl Coverage {
    /// What is seen of a variant.
    pub(super) fn of(&self, variant: &str) -> Seen {
        self.0.lock().seen.entry(variant.to_owned()).or_default().clone()
    }

    /// The step runs; those of `rest` follow it.
    pub(super) fn running<'a>(&self, step: &Step, rest: &'a [Step]) -> Running<'a> {
        self.0.lock().ran.insert(step.line);
        Running { coverage: self.clone(), rest }
    }

    /// What the runs so far left out of `case`. Of variants that were not run, nothing is said.
    #[must_use]
    pub fn uncovered(&self, case: &Case) -> Uncovered {
        let state = self.0.lock();
        let mut uncovered = Uncovered::default();
        let mut lines: BTreeMap<u32, bool> = BTreeMap::new();
        for script in &case.scripts {
            let Some(seen) = state.seen.get(&script.variant) else { continue };
            let variant = &script.variant;
            if case.reclaims && !seen.reclaimed() {
                uncovered.faults.push(format!(
                    "{}: nobody reclaims in the variant `{variant}`; press an allocation, or say \
                     reclaims = false",
                    case.path
                ));
            }
            for program in programs(script) {
                each_step(program, &mut |step| {
                    let waits = lines.entry(step.line).or_default();
                    *waits |= may_wait(&step.act);
                });
            }
        }
        let reclaimed = state.seen.values().any(Seen::reclaimed);
        if !case.reclaims && reclaimed {
            uncovered.faults.push(format!(
                "{}: the case says reclaims = false, and a run reclaims; leave that out",
                case.path
            ));
        }
        for (line, waits) in lines {
            let site = Site { file: intern(case.path), line };
            if !state.ran.contains(&line) {
                uncovered.faults.push(format!(
                    "{}:{line}: this step never ran in any run; nothing was judged with it",
                    case.path
                ));
            } else if waits && !state.seen.values().any(|seen| seen.waited(site)) {
                uncovered.notes.push(format!("{}:{line}: no run waited here", case.path));
            }
        }
        uncovered
    }
}

/// A step that runs. If it is dropped before [`Running::ended`], the step failed or the world ended
/// in it, since its wait closed a cycle: that what follows does not run is no fault of the case.
pub(super) struct Running<'a> {
    coverage: Coverage,
    rest: &'a [Step],
}

impl Running<'_> {
    /// The step ended as it should.
    pub(super) fn ended(mut self) {
        self.rest = &[];
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.coverage.0.lock();
        each_step(self.rest, &mut |step| {
            let _new = state.ran.insert(step.line);
        });
    }
}

/// Whether the step itself may have to wait.
const fn may_wait(act: &Act) -> bool {
    matches!(
        act,
        Act::Lock { .. }
            | Act::WaitFlag { .. }
            | Act::WaitZero { .. }
            | Act::Reserve { .. }
            | Act::Take { or_else: None, .. }
            | Act::Request { waits: true, .. }
            | Act::Suspend { .. }
            | Act::WaitWork { .. }
            | Act::FlushQueue { .. }
    )
}
