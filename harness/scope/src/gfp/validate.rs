//! Rules that a mask can break.
//!
//! Key types: [`GfpRule`] (the rules, one table), [`InvalidGfp`]. The kernel corrects none of these
//! masks: a malformed mask silently means something else. Written from docs/kernel/masks.md, "Bits"
//! and "Malformed masks", docs/kernel/scopes.md, "The nowait scope", docs/kernel/allocation.md,
//! "The slow path" (step 0), and docs/kernel/rules.md, "Invariants" (4 and 18).

use core::fmt;

use super::Gfp;
use crate::TaskFlags;

/// What the rules look at.
#[derive(Clone, Copy)]
struct CheckedRequest {
    mask: Gfp,
    order: u32,
    flags: TaskFlags,
}

impl CheckedRequest {
    const fn has(self, bits: Gfp) -> bool {
        self.mask.contains(bits)
    }
}

macro_rules! rules {
    ($($name:ident, $bits:expr, $broken:expr, $sentence:literal;)*) => {
        /// A rule that a mask can break.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum GfpRule {
            $(#[doc = $sentence] $name,)*
        }

        impl GfpRule {
            /// Every rule, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The bits that the rule is about.
            #[must_use]
            pub const fn bits(self) -> Gfp {
                match self { $(Self::$name => $bits,)* }
            }

            /// What is wrong and what to write instead.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            fn is_broken(self, request: CheckedRequest) -> bool {
                let broken: fn(CheckedRequest) -> bool = match self { $(Self::$name => $broken,)* };
                broken(request)
            }
        }
    };
}

const fn both(a: Gfp, b: Gfp) -> Gfp {
    Gfp(a.0 | b.0)
}

rules! {
    FsWithoutIo, both(Gfp::FS, Gfp::IO), |r| r.has(Gfp::FS) && !r.has(Gfp::IO),
        "__GFP_FS without __GFP_IO permits nothing; add __GFP_IO, or use GFP_NOIO";
    IoWithoutDirect, both(Gfp::IO, Gfp::DIRECT_RECLAIM),
        |r| r.has(Gfp::IO) && !r.has(Gfp::DIRECT_RECLAIM),
        "__GFP_IO without __GFP_DIRECT_RECLAIM permits nothing; use GFP_NOWAIT, or add __GFP_DIRECT_RECLAIM";
    NofailWithoutDirect, both(Gfp::NOFAIL, Gfp::DIRECT_RECLAIM),
        |r| r.has(Gfp::NOFAIL) && !r.has(Gfp::DIRECT_RECLAIM),
        "__GFP_NOFAIL without __GFP_DIRECT_RECLAIM can still fail; add __GFP_DIRECT_RECLAIM";
    NofailWithNoretry, both(Gfp::NOFAIL, Gfp::NORETRY), |r| r.has(both(Gfp::NOFAIL, Gfp::NORETRY)),
        "__GFP_NOFAIL and __GFP_NORETRY contradict each other; decide whether the caller can go on without memory";
    NofailWithRetryMayfail, both(Gfp::NOFAIL, Gfp::RETRY_MAYFAIL),
        |r| r.has(both(Gfp::NOFAIL, Gfp::RETRY_MAYFAIL)),
        "__GFP_NOFAIL and __GFP_RETRY_MAYFAIL contradict each other; decide whether the caller can go on without memory";
    NoretryWithRetryMayfail, both(Gfp::NORETRY, Gfp::RETRY_MAYFAIL),
        |r| r.has(both(Gfp::NORETRY, Gfp::RETRY_MAYFAIL)),
        "__GFP_NORETRY and __GFP_RETRY_MAYFAIL contradict each other; keep the one that says how long to try";
    MemallocWithNomemalloc, both(Gfp::MEMALLOC, Gfp::NOMEMALLOC),
        |r| r.has(both(Gfp::MEMALLOC, Gfp::NOMEMALLOC)),
        "__GFP_NOMEMALLOC overrides __GFP_MEMALLOC: no reserve is opened; remove one of them";
    NofailOfHighOrder, Gfp::NOFAIL, |r| r.has(Gfp::NOFAIL) && r.order > 1,
        "__GFP_NOFAIL is not supported above order 1; ask for single pages, or handle the failure";
    NofailOfReclaimer, Gfp::NOFAIL, |r| r.has(Gfp::NOFAIL) && r.flags.contains(TaskFlags::MEMALLOC),
        "__GFP_NOFAIL of a task that is the reclaimer (PF_MEMALLOC) fails when the reserves are empty; handle the failure";
    NofailInNowait, Gfp::NOFAIL,
        |r| r.has(Gfp::NOFAIL) && r.flags.contains(TaskFlags::MEMALLOC_NOWAIT),
        "__GFP_NOFAIL in a nowait scope would be refused; leave the scope before an allocation that must not fail";
}

/// A mask or a request that breaks rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidGfp {
    mask: Gfp,
    broken: u16,
}

impl InvalidGfp {
    /// The mask that was checked.
    #[must_use]
    pub const fn mask(&self) -> Gfp {
        self.mask
    }

    /// The rules that it breaks, in order; at least one.
    pub fn rules(&self) -> impl Iterator<Item = GfpRule> {
        let broken = self.broken;
        GfpRule::ALL
            .iter()
            .enumerate()
            .filter(move |(place, _)| broken & (1 << place) != 0)
            .map(|(_, rule)| *rule)
    }
}

impl fmt::Display for InvalidGfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed mask {}", self.mask)?;
        self.rules().try_for_each(|rule| write!(f, ": {}", rule.sentence()))
    }
}

impl core::error::Error for InvalidGfp {}

impl Gfp {
    /// Checks the mask for a request of single pages by a task in no scope.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub fn validate(self) -> Result<(), InvalidGfp> {
        self.validate_request(0, TaskFlags::EMPTY)
    }

    /// Checks a request for `2^order` pages with this mask, as the caller wrote it, by a task with
    /// `flags`.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub fn validate_request(self, order: u32, flags: TaskFlags) -> Result<(), InvalidGfp> {
        let request = CheckedRequest { mask: self, order, flags };
        let rules = GfpRule::ALL.iter().enumerate();
        let broken = rules
            .filter(|(_, rule)| rule.is_broken(request))
            .fold(0, |broken: u16, (place, _)| broken | 1 << place);
        if broken == 0 { Ok(()) } else { Err(InvalidGfp { mask: self, broken }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GfpRule::*;

    #[track_caller]
    fn check(mask: Gfp, order: u32, flags: TaskFlags, expect: &[GfpRule]) {
        let broken = mask.validate_request(order, flags).err();
        let rules: Vec<GfpRule> = broken.iter().flat_map(InvalidGfp::rules).collect();
        assert_eq!(rules, expect, "{mask}, order {order}, {flags:?}");
    }

    #[test]
    fn the_kernels_composites_break_no_rule() {
        for mask in [
            Gfp::EMPTY,
            Gfp::ATOMIC,
            Gfp::NOWAIT,
            Gfp::NOIO,
            Gfp::NOFS,
            Gfp::KERNEL,
            Gfp::KERNEL_ACCOUNT,
            Gfp::USER,
            Gfp::HIGHUSER,
            Gfp::HIGHUSER_MOVABLE,
            Gfp::KERNEL | Gfp::NOFAIL,
            Gfp::NOIO | Gfp::NORETRY,
        ] {
            check(mask, 0, TaskFlags::EMPTY, &[]);
        }
    }

    #[test]
    fn each_rule_is_broken_by_a_mask_of_its_own() {
        let none = TaskFlags::EMPTY;
        let nofail = Gfp::KERNEL | Gfp::NOFAIL;
        let rows = [
            (Gfp::NOIO | Gfp::FS, 0, none, FsWithoutIo),
            (Gfp::NOWAIT | Gfp::IO, 0, none, IoWithoutDirect),
            (Gfp::NOWAIT | Gfp::NOFAIL, 0, none, NofailWithoutDirect),
            (nofail | Gfp::NORETRY, 0, none, NofailWithNoretry),
            (nofail | Gfp::RETRY_MAYFAIL, 0, none, NofailWithRetryMayfail),
            (Gfp::KERNEL | Gfp::NORETRY | Gfp::RETRY_MAYFAIL, 0, none, NoretryWithRetryMayfail),
            (Gfp::KERNEL | Gfp::MEMALLOC | Gfp::NOMEMALLOC, 0, none, MemallocWithNomemalloc),
            (nofail, 2, none, NofailOfHighOrder),
            (nofail, 0, TaskFlags::MEMALLOC, NofailOfReclaimer),
            (nofail, 0, TaskFlags::MEMALLOC_NOWAIT, NofailInNowait),
        ];
        for (mask, order, flags, rule) in rows {
            check(mask, order, flags, &[rule]);
        }
        assert_eq!(rows.map(|row| row.3), GfpRule::ALL, "each rule needs a row");
    }

    #[test]
    fn the_message_names_every_broken_rule_and_what_to_write() {
        let error = (Gfp::FS | Gfp::NOFAIL).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "malformed mask __GFP_FS|__GFP_NOFAIL: __GFP_FS without __GFP_IO permits nothing; add __GFP_IO, or use \
             GFP_NOIO: __GFP_NOFAIL without __GFP_DIRECT_RECLAIM can still fail; add __GFP_DIRECT_RECLAIM"
        );
    }
}
