//! `Pairs`: what the policy permits against what is safe, counted.
//!
//! Key type: [`Pairs`]. A pair is a holder and a target: an allocation with what is held round it,
//! and a thing that reclaim could work on for it. Each pair is counted once in a run. Written from
//! docs/kernel/proposals.md, "Hypotheses", and docs/kernel/rules.md, "Invariants" (invariant 20).

use core::fmt;

use serde::{Deserialize, Serialize};

/// Counts over (holder, target) pairs of one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pairs {
    /// Pairs looked at.
    pub pairs: u64,
    /// The request, but for its NOFS scopes, lets the target work, and the target needs nothing
    /// that is held.
    pub safe: u64,
    /// The target would work, and so wait, under the mask that it would be given.
    pub permitted: u64,
    /// Permitted, and the target needs what is held. Each is part of a finding.
    pub unsound: u64,
    /// Not permitted although safe: memory that stays.
    pub denied_but_safe: u64,
    /// Neither safe nor dangerous: the needs of something below the target are unknown.
    pub unknown: u64,
}

/// What there is to say of one pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// It would work under the mask that it would be given.
    pub(super) permitted: bool,
    /// It would work if no NOFS scope were there.
    pub(super) asked: bool,
    /// It needs what is held.
    pub(super) dangerous: bool,
    /// What it needs is not all known.
    pub(super) unknown: bool,
}

impl Pairs {
    /// Counts one pair.
    pub(super) fn note(&mut self, pair: Pair) {
        let Pair { permitted, asked, dangerous, unknown } = pair;
        let safe = asked && !dangerous && !unknown;
        self.pairs += 1;
        self.safe += u64::from(safe);
        self.permitted += u64::from(permitted);
        self.unsound += u64::from(permitted && dangerous);
        self.denied_but_safe += u64::from(!permitted && safe);
        self.unknown += u64::from(unknown && !dangerous);
    }
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, safe, permitted, unsound, denied_but_safe, unknown } = self;
        write!(
            f,
            "{pairs} pairs: {safe} safe, {permitted} permitted, {unsound} unsound, \
             {denied_but_safe} denied but safe"
        )?;
        if *unknown > 0 {
            write!(f, ", {unknown} unknown")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
