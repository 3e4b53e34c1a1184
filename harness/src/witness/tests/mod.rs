//! What the tests beside each judge leave open: edges of its rules, one behaviour each.
//!
//! | module | rules of |
//! |---|---|
//! | `contract` | RD08: reserves, nested reclaim |
//! | `leftovers` | RD12 and RD13 |
//! | `lints` | RD11 |
//! | `conduct` | RD07, RD09 and RD10 |
//! | `scopes`, `stalls` | RD06: whose misuse it is; the account of stalls |
//! | `panel` | all judges together: what is kept, what is told |

mod conduct;
mod contract;
mod leftovers;
mod lints;
mod panel;
mod scopes;
mod stalls;

use super::finding::{Finding, StepKind, Subject};
use super::script::Script;
use super::{Breach, Step};

/// The last step of each finding that names a broken rule.
fn broke(s: &Script) -> Vec<(Breach, Option<Subject>, Step)> {
    let last = |finding: &Finding| {
        let step = *finding.chain.last()?;
        let StepKind::Broke { breach, subject } = step.what else { return None };
        Some((breach, subject, step))
    };
    s.witness.findings().iter().filter_map(last).collect()
}

/// The rules that are named, in order.
fn breaches(s: &Script) -> Vec<Breach> {
    broke(s).into_iter().map(|(breach, ..)| breach).collect()
}
