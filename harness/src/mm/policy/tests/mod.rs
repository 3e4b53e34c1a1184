//! Tests of the policies.
//!
//! | module | shows |
//! |---|---|
//! | [`topology`] | recording, cycles, removal, rebinding, depth |
//! | [`rules`] | Chinner's table, all rows in both orders |
//! | [`ambiguities`] | each open question: the decided position and another one |
//! | [`table`] | the table of policies, and that the docs say the same |
//! | [`masks`] | the masks of each policy, also for explicit masks, kswapd and swap |
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

/// The decision of a policy about a pair, compared with the oracle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Permitted, and safe.
    Works,
    /// Denied, and a possible deadlock.
    Denied,
    /// Permitted, and a possible deadlock.
    Unsound,
    /// Denied, and safe.
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

/// A filesystem with one transaction that holds nothing, so that it permits reclaim.
#[derive(Debug)]
struct SafeTransaction(u64);

impl AskFilesystem for SafeTransaction {
    fn may_reclaim(&self, context: &ReclaimContext, _: &Target) -> bool {
        context.private == self.0
    }
}
