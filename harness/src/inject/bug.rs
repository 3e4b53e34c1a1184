//! `Bug`: mistakes that can be planted in the ports, each against one rule of a judge.
//!
//! They show that a judge finds them. Tests make the mistakes that a user can make; this table has
//! the mistakes that only the simulated kernel can make. A mistake is planted only by
//! [`crate::world::Builder::plant`]. `docs/invariants.md` names the judge of each.

macro_rules! bugs {
    ($($name:ident, $sentence:literal;)*) => {
        /// A mistake to plant.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Bug {
            $(#[doc = $sentence] $name,)*
        }

        impl Bug {
            /// Every row, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What the ports do with it.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

bugs! {
    ScopeIgnored, "An allocation's effective mask is the requested one; scopes have no effect.";
    AnnotationInside, "Reclaim releases its pseudo-locks before it clears PF_MEMALLOC.";
    KswapdBorrowsMask, "kswapd reclaims with GFP_NOFS, as if its waker's mask counted.";
    DeferredForgotten, "A pass over a shrinker defers nothing.";
    DeferredUnbounded, "The number of objects that a pass defers has no bound.";
    PoolSleeps, "A mempool waits for an element although the mask does not let it.";
    PoolTakesReserves, "A mempool allocates memory without __GFP_NOMEMALLOC.";
    PoolStarves, "A mempool that has waited does not try its reserve again.";
    PoolFails, "A mempool gives up where it should wait.";
    ReservesOpen, "A request that finds memory short takes every last page.";
    NofailTakesAll, "A __GFP_NOFAIL request takes every last page before the OOM killer runs.";
    NofailFails, "A __GFP_NOFAIL request fails at the failpoint of allocations, as others do.";
    TailZeroedEarly, "A file that shrank grows: its tail is zeroed before the shrinking is durable.";
    FreedReused, "Blocks that a transaction freed are allocated before that is durable.";
}

/// The planted mistakes of one world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bugs(u32);

impl Bugs {
    pub(super) fn of(bugs: &[Bug]) -> Self {
        Self(bugs.iter().fold(0, |all, bug| all | 1 << *bug as u32))
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn has(self, bug: Bug) -> bool {
        self.0 & 1 << bug as u32 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bug_is_planted_alone() {
        for planted in Bug::ALL {
            let has: Vec<_> =
                Bug::ALL.iter().filter(|bug| Bugs::of(&[*planted]).has(**bug)).collect();
            assert_eq!(has, [planted], "{}", planted.sentence());
        }
        assert!(!Bug::ALL.iter().any(|bug| Bugs::default().has(*bug)));
    }
}
