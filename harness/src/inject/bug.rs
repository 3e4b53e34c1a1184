//! `Bug`: mistakes that can be planted in the ports, each against one rule that a judge holds them
//! to.
//!
//! A judge that never fires is no judge. What a user can do wrong, tests do wrong; what only the
//! simulated kernel can do wrong is here, one row for each, off unless
//! [`crate::world::Builder::plant`] says so. Where a row stands in `docs/invariants.md` says what
//! finds it.

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
    ScopeIgnored, "An allocation's effective mask is what was asked for, whatever the scopes say.";
    AnnotationInside, "Reclaim gives up its pseudo-locks before it clears PF_MEMALLOC.";
    KswapdBorrowsMask, "kswapd reclaims with GFP_NOFS, as if its waker's mask counted.";
    DeferredForgotten, "A pass over a shrinker defers nothing.";
    DeferredUnbounded, "What a pass defers has no bound.";
    PoolSleeps, "A mempool waits for an element although the mask does not let it.";
    PoolTakesReserves, "A mempool asks memory without __GFP_NOMEMALLOC.";
    PoolStarves, "A mempool that has waited looks no more at its reserve.";
    PoolFails, "A mempool gives up where it should wait.";
    ReservesOpen, "Whoever finds memory short takes every last page.";
    NofailTakesAll, "A __GFP_NOFAIL request takes every last page before anybody was killed for it.";
    NofailFails, "A __GFP_NOFAIL request fails at the failpoint of allocations, as any other does.";
}

/// The planted mistakes of one world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bugs(u32);

impl Bugs {
    pub(super) fn of(bugs: &[Bug]) -> Self {
        Self(bugs.iter().fold(0, |all, bug| all | 1 << *bug as u32))
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
