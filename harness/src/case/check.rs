//! Whether a case makes sense, beyond its words.
//!
//! | module | what it asks |
//! |---|---|
//! | `names` | what is used, what is below itself, what pressure names |
//! | `balance` | what is opened is closed on every path |

mod balance;
mod names;

use super::place::Source;
use super::script::{Act, Case, Program, Script, Step, What};
use crate::error::Result;

/// Checks each variant alone; a part must be used in some variant.
pub(super) fn check(case: &Case, source: &Source<'_>) -> Result<()> {
    for script in &case.scripts {
        names::check(script, source)?;
        balance::check(script, source)?;
    }
    names::used(case, source)
}

/// Every program of a variant.
pub(super) fn programs(script: &Script) -> Vec<&Program> {
    let mut programs: Vec<&Program> = script.tasks.iter().map(|task| &task.steps).collect();
    programs.push(&script.settle);
    for part in &script.parts {
        match &part.what {
            What::Space { push, .. } => programs.extend(push),
            What::Work { steps, .. } => programs.push(steps),
            What::Device { serve, head, done, .. } => programs.extend([serve, head, done]),
            What::Cache { count, scan, .. } => programs.extend([count, scan]),
            What::Superblock { evict, .. } => programs.push(evict),
            _ => {}
        }
    }
    programs
}

/// Calls `visit` for each step, and for those inside of it.
pub(super) fn each_step<'a>(program: &'a [Step], visit: &mut impl FnMut(&'a Step)) {
    for step in program {
        visit(step);
        match &step.act {
            Act::TryLock { or_else, .. }
            | Act::TryReserve { or_else, .. }
            | Act::Take { or_else: Some(or_else), .. } => each_step(or_else, visit),
            Act::Repeat { steps, .. } => each_step(steps, visit),
            Act::If { then, or_else, .. } => {
                each_step(then, visit);
                each_step(or_else, visit);
            }
            _ => {}
        }
    }
}
