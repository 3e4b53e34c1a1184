//! Audit: counts the decisions of a policy that differ from the oracle's.
//!
//! Key types: [`Audit`], [`Audit::of`]. A pair is a holder and a target. A permitted pair is
//! unsound if the target would work, and so wait, although it needs the holder; a sound policy has
//! none. A pair that is denied but safe is memory that could have been freed. No state.
//!
//! | module | holds |
//! |---|---|
//! | `story` | [`Story`]: the stack of the mailing list thread, with filesystems beside it |
//! | [`comparison`] | the table of policies, computed on that stack |
//! | `random` | [`Shape`], [`random_stack`]: stacks by seed |
//! | [`measure`] | [`measure::measure`]: an audit over many random stacks, and their depths |
//!
//! Written from docs/kernel/proposals.md, "Hypotheses" (hypotheses H5 and H6: cost and soundness),
//! and docs/kernel/rules.md, "Invariants" (invariant 20).

use core::fmt;
use core::ops::AddAssign;

use super::{Holder, Oracle, Policy, Target, Topology};

pub mod comparison;
pub mod measure;
mod random;
mod story;

pub use random::{Shape, random_stack};
pub use story::Story;

/// Counts over (holder, target) pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// All pairs.
    pub pairs: u64,
    /// Pairs that the oracle permits.
    pub safe: u64,
    /// Pairs that the policy permits.
    pub permitted: u64,
    /// Pairs that the policy permits and the oracle denies: each is a possible deadlock.
    pub unsound: u64,
    /// Pairs that the policy denies and the oracle permits: memory that is not freed.
    pub denied_but_safe: u64,
    /// Permitted pairs in which holder and target share a filesystem below: no lock connects them,
    /// but they share its log space and its worker.
    pub shared_lower: u64,
}

impl Audit {
    /// Counts `pairs` on one stack.
    pub fn of<'a>(
        policy: &dyn Policy,
        oracle: &Oracle,
        pairs: impl IntoIterator<Item = (Holder<'a>, Target)>,
        stack: &Topology,
    ) -> Self {
        let mut audit = Self::default();
        for (holder, target) in pairs {
            audit.note(policy, oracle, &holder, &target, stack);
        }
        audit
    }

    /// Counts one pair.
    pub fn note(
        &mut self,
        policy: &dyn Policy,
        oracle: &Oracle,
        holder: &Holder<'_>,
        target: &Target,
        stack: &Topology,
    ) {
        let permitted = policy.permits(holder, target, stack);
        let safe = oracle.permits(holder, target, stack);
        let contexts = || holder.contexts.iter().chain(holder.carried);
        let shared = || {
            contexts()
                .any(|context| !stack.shared_below(context.superblock, target.place()).is_empty())
        };
        *self += Self {
            pairs: 1,
            safe: safe.into(),
            permitted: permitted.into(),
            unsound: (permitted && !safe).into(),
            denied_but_safe: (!permitted && safe).into(),
            shared_lower: (permitted && shared()).into(),
        };
    }

    /// Whether the policy permitted no pair that the oracle denies (invariant 20 of
    /// docs/invariants.md).
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.unsound == 0
    }

    /// How many of a thousand safe pairs the policy denied; `None` if no pair was safe.
    #[must_use]
    pub fn denied_per_mille(&self) -> Option<u64> {
        (1000 * self.denied_but_safe).checked_div(self.safe)
    }
}

impl AddAssign for Audit {
    fn add_assign(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.safe += other.safe;
        self.permitted += other.permitted;
        self.unsound += other.unsound;
        self.denied_but_safe += other.denied_but_safe;
        self.shared_lower += other.shared_lower;
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, safe, permitted, unsound, denied_but_safe, shared_lower } = self;
        write!(
            f,
            "{pairs} pairs: {safe} safe, {permitted} permitted, {unsound} unsound, \
             {denied_but_safe} denied but safe"
        )?;
        match shared_lower {
            0 => Ok(()),
            shared => write!(f, ", {shared} over a shared filesystem"),
        }
    }
}
