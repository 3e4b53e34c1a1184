//! Tests of the policies.
//!
//! | module | shows |
//! |---|---|
//! | [`topology`] | recording, cycles, removal, binding anew, depth |
//! | [`rules`] | Chinner's table, all rows in both orders |
//! | [`ambiguities`] | each open question: what was decided, and what the other position does |
//! | [`table`] | the table of policies, and that the docs say the same |
//! | [`masks`] | what explicit masks, kswapd and swap mean to each policy |
//! | [`properties`] | soundness on random graphs |

use reclaimdep_scope::ReclaimContext;

use super::{
    AskFilesystem, Holder, Oracle, Policy, ReclaimContextKnobs, ReclaimContextPolicy, Target,
    Topology,
};

mod ambiguities;
mod masks;
mod properties;
mod rules;
mod table;
mod topology;

/// What a policy did with a pair, as the oracle sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Permitted, and safe.
    Works,
    /// Denied, and it would have been a deadlock.
    Denied,
    /// Permitted, and a deadlock.
    Unsound,
    /// Denied, and it would have been safe.
    Needless,
}

fn outcome(
    policy: &dyn Policy,
    oracle: &Oracle,
    holder: &Holder<'_>,
    target: &Target,
    stack: &Topology,
) -> Outcome {
    match (policy.permits(holder, target, stack), oracle.permits(holder, target, stack)) {
        (true, true) => Outcome::Works,
        (false, false) => Outcome::Denied,
        (true, false) => Outcome::Unsound,
        (false, true) => Outcome::Needless,
    }
}

fn with(set: impl FnOnce(&mut ReclaimContextKnobs)) -> ReclaimContextPolicy {
    let mut knobs = ReclaimContextKnobs::default();
    set(&mut knobs);
    ReclaimContextPolicy::with(knobs)
}

/// A filesystem that knows one transaction of its own to hold nothing.
#[derive(Debug)]
struct SafeTransaction(u64);

impl AskFilesystem for SafeTransaction {
    fn may_reclaim(&self, context: &ReclaimContext, _: &Target) -> bool {
        context.private == self.0
    }
}
