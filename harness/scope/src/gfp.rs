//! `Gfp`: what one allocation asks for.
//!
//! Key type: [`Gfp`]. Neighbours: [`crate::context`] holds the task flags that
//! [`Gfp::effective`] applies. Numeric positions are ours: the kernel moved its own between
//! releases, so nothing may depend on them.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign, Sub};

use crate::TaskFlags;

/// A set of gfp bits: the request of one allocation, or its effective mask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Gfp(u32);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $pos:literal, $text:literal;)*) => {
        impl Gfp {
            $($(#[$doc])* pub const $name: Self = Self(1 << $pos);)*
        }
        /// Every single bit with its kernel name, in printing order.
        const BITS: &[(Gfp, &str)] = &[$((Gfp::$name, $text)),*];
    };
}

bits! {
    /// The caller is important: the min mark is lowered by half.
    HIGH = 0, "__GFP_HIGH";
    /// Reclaim may start physical I/O.
    IO = 1, "__GFP_IO";
    /// Reclaim may call into filesystem code. Meaningless without [`Gfp::IO`].
    FS = 2, "__GFP_FS";
    /// The caller may sleep and may reclaim synchronously.
    DIRECT_RECLAIM = 3, "__GFP_DIRECT_RECLAIM";
    /// Wake kswapd when below the low mark.
    KSWAPD_RECLAIM = 4, "__GFP_KSWAPD_RECLAIM";
    /// No failure report.
    NOWARN = 5, "__GFP_NOWARN";
    /// Retry while there is progress, fail at the end.
    RETRY_MAYFAIL = 6, "__GFP_RETRY_MAYFAIL";
    /// Loop for ever.
    NOFAIL = 7, "__GFP_NOFAIL";
    /// One round of reclaim, then fail.
    NORETRY = 8, "__GFP_NORETRY";
    /// May take every last page.
    MEMALLOC = 9, "__GFP_MEMALLOC";
    /// Never dip into emergency reserves.
    NOMEMALLOC = 10, "__GFP_NOMEMALLOC";
    /// Mobility bit, cleared by the pin scope.
    MOVABLE = 11, "__GFP_MOVABLE";
    /// Placement.
    HARDWALL = 12, "__GFP_HARDWALL";
    /// Placement.
    HIGHMEM = 13, "__GFP_HIGHMEM";
    /// Charged to a memory cgroup.
    ACCOUNT = 14, "__GFP_ACCOUNT";
    /// Zeroed memory.
    ZERO = 15, "__GFP_ZERO";
    /// Compound page.
    COMP = 16, "__GFP_COMP";
    /// Only this node.
    THISNODE = 17, "__GFP_THISNODE";
    /// Exempt from reclaim dependency tracking.
    NOLOCKDEP = 18, "__GFP_NOLOCKDEP";
}

/// Composites, most bits first, so that printing takes the longest that fits.
const COMPOSITES: &[(Gfp, &str)] = &[
    (Gfp::HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE"),
    (Gfp::HIGHUSER, "GFP_HIGHUSER"),
    (Gfp::KERNEL_ACCOUNT, "GFP_KERNEL_ACCOUNT"),
    (Gfp::USER, "GFP_USER"),
    (Gfp::KERNEL, "GFP_KERNEL"),
    (Gfp::NOFS, "GFP_NOFS"),
    (Gfp::NOIO, "GFP_NOIO"),
    (Gfp::ATOMIC, "GFP_ATOMIC"),
    (Gfp::NOWAIT, "GFP_NOWAIT"),
];

impl Gfp {
    /// No bit at all: never sleeps, never wakes kswapd.
    pub const EMPTY: Self = Self(0);
    /// Both reclaim bits.
    pub const RECLAIM: Self = Self(Self::DIRECT_RECLAIM.0 | Self::KSWAPD_RECLAIM.0);
    /// High priority, never sleeps.
    pub const ATOMIC: Self = Self(Self::HIGH.0 | Self::KSWAPD_RECLAIM.0);
    /// Never sleeps, may fail quietly.
    pub const NOWAIT: Self = Self(Self::KSWAPD_RECLAIM.0 | Self::NOWARN.0);
    /// May reclaim, but without starting I/O.
    pub const NOIO: Self = Self::RECLAIM;
    /// May reclaim and start I/O, but not call into a filesystem.
    pub const NOFS: Self = Self(Self::RECLAIM.0 | Self::IO.0);
    /// May do everything.
    pub const KERNEL: Self = Self(Self::NOFS.0 | Self::FS.0);
    /// [`Gfp::KERNEL`], charged to a memory cgroup.
    pub const KERNEL_ACCOUNT: Self = Self(Self::KERNEL.0 | Self::ACCOUNT.0);
    /// For user space.
    pub const USER: Self = Self(Self::KERNEL.0 | Self::HARDWALL.0);
    /// For user space, high memory allowed.
    pub const HIGHUSER: Self = Self(Self::USER.0 | Self::HIGHMEM.0);
    /// For user space, movable.
    pub const HIGHUSER_MOVABLE: Self = Self(Self::HIGHUSER.0 | Self::MOVABLE.0);

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the allocation may sleep: the direct-reclaim bit, and no other, says so.
    #[must_use]
    pub const fn allow_blocking(self) -> bool {
        self.contains(Self::DIRECT_RECLAIM)
    }

    /// The mask after the scopes in `flags` were applied (`current_gfp_context`).
    ///
    /// NOIO clears I/O and FS; otherwise NOFS clears FS; PIN independently clears MOVABLE. It only
    /// clears bits, so it is monotone and idempotent.
    #[must_use]
    pub const fn effective(self, flags: TaskFlags) -> Self {
        let mut mask = self.0;
        if flags.contains(TaskFlags::MEMALLOC_NOIO) {
            mask &= !(Self::IO.0 | Self::FS.0);
        } else if flags.contains(TaskFlags::MEMALLOC_NOFS) {
            mask &= !Self::FS.0;
        }
        if flags.contains(TaskFlags::MEMALLOC_PIN) {
            mask &= !Self::MOVABLE.0;
        }
        Self(mask)
    }
}

impl BitOr for Gfp {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Gfp {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Gfp {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Gfp {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Gfp {
    /// Kernel style: the longest composite that fits, then single bits: `GFP_NOFS|__GFP_NORETRY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut first = true;
        let mut part = |f: &mut fmt::Formatter<'_>, text: &str| {
            let sep = if first { "" } else { "|" };
            first = false;
            write!(f, "{sep}{text}")
        };
        if let Some((mask, text)) = COMPOSITES.iter().find(|(mask, _)| rest.contains(*mask)) {
            part(f, text)?;
            rest = rest - *mask;
        }
        for (bit, text) in BITS.iter().filter(|(bit, _)| self.contains(*bit)) {
            if rest.contains(*bit) {
                part(f, text)?;
            }
        }
        if *self == Self::EMPTY { f.write_str("0") } else { Ok(()) }
    }
}

impl fmt::Debug for Gfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A mask in text that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseGfpError {
    word_start: usize,
    word_end: usize,
}

impl ParseGfpError {
    /// The byte range of the unknown word in the text that was parsed.
    #[must_use]
    pub fn range(&self) -> core::ops::Range<usize> {
        self.word_start..self.word_end
    }
}

impl fmt::Display for ParseGfpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown gfp flag at bytes {}..{}; write kernel names joined by '|', as in GFP_NOFS|__GFP_NORETRY",
            self.word_start, self.word_end
        )
    }
}

impl core::error::Error for ParseGfpError {}

impl core::str::FromStr for Gfp {
    type Err = ParseGfpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mask = Self::EMPTY;
        if text == "0" {
            return Ok(mask);
        }
        let mut start = 0;
        for word in text.split('|') {
            let found = COMPOSITES.iter().chain(BITS).find(|(_, name)| *name == word.trim());
            match found {
                Some((bits, _)) => mask |= *bits,
                None => {
                    return Err(ParseGfpError { word_start: start, word_end: start + word.len() });
                }
            }
            start += word.len() + 1;
        }
        Ok(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mask: Gfp, text: &str) {
        assert_eq!(mask.to_string(), text);
        assert_eq!(text.parse::<Gfp>(), Ok(mask), "the text parses back to the same mask");
    }

    #[test]
    fn masks_print_in_kernel_style_and_parse_back() {
        check(Gfp::EMPTY, "0");
        check(Gfp::KERNEL, "GFP_KERNEL");
        check(Gfp::NOFS | Gfp::NORETRY, "GFP_NOFS|__GFP_NORETRY");
        check(
            Gfp::NOIO | Gfp::NORETRY | Gfp::NOMEMALLOC | Gfp::NOWARN,
            "GFP_NOIO|__GFP_NOWARN|__GFP_NORETRY|__GFP_NOMEMALLOC",
        );
        check(Gfp::NOWAIT, "GFP_NOWAIT");
        check(Gfp::ATOMIC, "GFP_ATOMIC");
        check(Gfp::KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM");
        check(Gfp::DIRECT_RECLAIM | Gfp::FS, "__GFP_FS|__GFP_DIRECT_RECLAIM");
        check(Gfp::HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE");
    }

    #[test]
    fn an_unknown_word_is_an_error_that_names_its_place() {
        let error = "GFP_NOFS|__GFP_NOPE".parse::<Gfp>().unwrap_err();
        assert_eq!(error.range(), 9..19);
    }

    #[test]
    fn effective_masks_follow_the_scope_table() {
        let none = TaskFlags::EMPTY;
        let (nofs, noio) = (TaskFlags::MEMALLOC_NOFS, TaskFlags::MEMALLOC_NOIO);
        for (flags, row) in [
            (none, [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO, Gfp::NOWAIT]),
            (nofs, [Gfp::NOFS, Gfp::NOFS, Gfp::NOIO, Gfp::NOWAIT]),
            (noio, [Gfp::NOIO, Gfp::NOIO, Gfp::NOIO, Gfp::NOWAIT]),
            (nofs | noio, [Gfp::NOIO, Gfp::NOIO, Gfp::NOIO, Gfp::NOWAIT]),
        ] {
            let requests = [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO, Gfp::NOWAIT];
            assert_eq!(requests.map(|mask| mask.effective(flags)), row, "under {flags:?}");
        }
    }

    #[test]
    fn the_pin_scope_clears_movable_and_nothing_else() {
        let mask = Gfp::HIGHUSER_MOVABLE.effective(TaskFlags::MEMALLOC_PIN);
        assert_eq!(mask, Gfp::HIGHUSER);
    }
}
