//! `Gfp`: what one allocation asks for.
//!
//! | module | holds |
//! |---|---|
//! | [`Gfp`] (here) | bits, composites, and the mask after scopes |
//! | `text` | printing and parsing with the kernel's names |
//! | `validate` | rules that a mask can break |
//!
//! The bit positions are ours: the kernel has moved its own between releases, so nothing may depend
//! on them. Mirrors `include/linux/gfp_types.h`; written from docs/kernel/masks.md, "Bits" and
//! "Composites", and docs/kernel/scopes.md, "The effective mask".

mod text;
mod validate;

pub use text::ParseGfpError;
pub use validate::{GfpRule, InvalidGfp};

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
        pub(crate) const BITS: &[(Gfp, &str)] = &[$((Gfp::$name, $text)),*];
    };
}

bits! {
    /// The request is important: its min watermark is halved.
    HIGH = 0, "__GFP_HIGH";
    /// Reclaim may start physical I/O.
    IO = 3, "__GFP_IO";
    /// Reclaim may call into filesystem code. Meaningless without [`Gfp::IO`].
    FS = 2, "__GFP_FS";
    /// The caller may sleep and may reclaim synchronously.
    DIRECT_RECLAIM = 1, "__GFP_DIRECT_RECLAIM";
    /// Wake kswapd when free memory is below the low watermark.
    KSWAPD_RECLAIM = 4, "__GFP_KSWAPD_RECLAIM";
    /// Do not report a failure.
    NOWARN = 5, "__GFP_NOWARN";
    /// Retry while there is progress, fail at the end.
    RETRY_MAYFAIL = 6, "__GFP_RETRY_MAYFAIL";
    /// Retry for ever.
    NOFAIL = 7, "__GFP_NOFAIL";
    /// One round of reclaim, then fail.
    NORETRY = 8, "__GFP_NORETRY";
    /// May use all reserves, down to the last page.
    MEMALLOC = 9, "__GFP_MEMALLOC";
    /// Never use emergency reserves.
    NOMEMALLOC = 10, "__GFP_NOMEMALLOC";
    /// The page may be moved; cleared by the pin scope.
    MOVABLE = 12, "__GFP_MOVABLE";
    /// Placement: only on the nodes of the task's cpuset.
    HARDWALL = 11, "__GFP_HARDWALL";
    /// Placement: high memory is allowed.
    HIGHMEM = 13, "__GFP_HIGHMEM";
    /// Charge the memory to a memcg.
    ACCOUNT = 14, "__GFP_ACCOUNT";
    /// Zero the memory.
    ZERO = 15, "__GFP_ZERO";
    /// Make a compound page.
    COMP = 16, "__GFP_COMP";
    /// Placement: only on this node.
    THISNODE = 17, "__GFP_THISNODE";
    /// Exempt from dependency tracking by lockdep.
    NOLOCKDEP = 18, "__GFP_NOLOCKDEP";
}

impl Gfp {
    /// No bit at all: never sleeps, never wakes kswapd.
    pub const EMPTY: Self = Self(0);
    /// Both reclaim bits.
    pub const RECLAIM: Self = Self(Self::DIRECT_RECLAIM.0 | Self::KSWAPD_RECLAIM.0);
    /// High priority, never sleeps.
    pub const ATOMIC: Self = Self(Self::HIGH.0 | Self::KSWAPD_RECLAIM.0);
    /// Never sleeps; a failure is not reported.
    pub const NOWAIT: Self = Self(Self::KSWAPD_RECLAIM.0 | Self::NOWARN.0);
    /// May reclaim, but without starting I/O.
    pub const NOIO: Self = Self::RECLAIM;
    /// May reclaim and start I/O, but not call into a filesystem.
    pub const NOFS: Self = Self(Self::RECLAIM.0 | Self::IO.0);
    /// May do everything.
    pub const KERNEL: Self = Self(Self::NOFS.0 | Self::FS.0);
    /// [`Gfp::KERNEL`], charged to a memcg.
    pub const KERNEL_ACCOUNT: Self = Self(Self::KERNEL.0 | Self::ACCOUNT.0);
    /// For user space.
    pub const USER: Self = Self(Self::KERNEL.0 | Self::HARDWALL.0);
    /// For user space, high memory allowed.
    pub const HIGHUSER: Self = Self(Self::USER.0 | Self::HIGHMEM.0);
    /// For user space, movable.
    pub const HIGHUSER_MOVABLE: Self = Self(Self::HIGHUSER.0 | Self::MOVABLE.0);
    /// A huge page, if one is free.
    pub const TRANSHUGE_LIGHT: Self = Self(
        (Self::HIGHUSER_MOVABLE.0 | Self::COMP.0 | Self::NOMEMALLOC.0 | Self::NOWARN.0)
            & !Self::RECLAIM.0,
    );
    /// A huge page, with direct reclaim to get one.
    pub const TRANSHUGE: Self = Self(Self::TRANSHUGE_LIGHT.0 | Self::DIRECT_RECLAIM.0);

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the allocation may sleep. Only the direct-reclaim bit decides that.
    #[must_use]
    pub const fn allow_blocking(self) -> bool {
        self.contains(Self::DIRECT_RECLAIM)
    }

    /// Whether reclaim may call into filesystems. That needs both bits: FS without IO permits
    /// nothing.
    #[must_use]
    pub const fn has_io_fs(self) -> bool {
        self.contains(Self(Self::IO.0 | Self::FS.0))
    }

    /// Whether any bit of `other` is set here.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The mask after the scopes in `flags` were applied (`current_gfp_context`).
    ///
    /// NOIO clears IO and FS; otherwise NOFS clears FS; PIN independently clears MOVABLE. The
    /// experimental nowait bit takes precedence over NOIO and clears only DIRECT_RECLAIM, because
    /// IO and FS permit nothing without it. The rule only clears bits, so it is monotone and
    /// idempotent.
    #[inline]
    #[must_use]
    pub const fn effective(self, flags: TaskFlags) -> Self {
        if !flags.intersects(RESTRICTING) {
            return self;
        }
        if flags.contains(TaskFlags::MEMALLOC_NOWAIT) {
            return self.in_nowait(flags);
        }
        let own = flags.bits() >> FLAG_TO_BIT;
        Self(self.0 & !(own & CLEARED | own >> IO_TO_FS & Self::FS.0))
    }

    #[cold]
    const fn in_nowait(self, flags: TaskFlags) -> Self {
        let movable = flags.bits() >> FLAG_TO_BIT & Self::MOVABLE.0;
        Self(self.0 & !(Self::DIRECT_RECLAIM.0 | movable))
    }
}

/// The flags that change a mask.
const RESTRICTING: TaskFlags = TaskFlags::MEMALLOC_NOFS
    .union(TaskFlags::MEMALLOC_NOIO)
    .union(TaskFlags::MEMALLOC_PIN)
    .union(TaskFlags::MEMALLOC_NOWAIT);

/// The shift from a flag to the bit that it clears. The positions of FS, IO and MOVABLE are chosen
/// so that one shift serves all three, because every allocation of production code computes this.
const FLAG_TO_BIT: u32 = 16;
const IO_TO_FS: u32 = 1;
const CLEARED: u32 = Gfp::FS.0 | Gfp::IO.0 | Gfp::MOVABLE.0;
const _: () = {
    assert!(TaskFlags::MEMALLOC_NOFS.bits() >> FLAG_TO_BIT == Gfp::FS.0);
    assert!(TaskFlags::MEMALLOC_NOIO.bits() >> FLAG_TO_BIT == Gfp::IO.0);
    assert!(TaskFlags::MEMALLOC_PIN.bits() >> FLAG_TO_BIT == Gfp::MOVABLE.0);
    assert!(Gfp::IO.0 >> IO_TO_FS == Gfp::FS.0);
};

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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_nowait_scope_comes_first_and_clears_direct_reclaim_alone() {
        let flags = TaskFlags::MEMALLOC_NOWAIT | TaskFlags::MEMALLOC_NOIO;
        assert_eq!(Gfp::KERNEL.effective(flags), Gfp::KERNEL - Gfp::DIRECT_RECLAIM);
        let movable = Gfp::MOVABLE.effective(flags | TaskFlags::MEMALLOC_PIN);
        assert_eq!(movable, Gfp::EMPTY, "the pin scope still clears MOVABLE");
    }

    #[test]
    fn being_the_reclaimer_changes_no_mask() {
        let flags = TaskFlags::MEMALLOC | TaskFlags::KSWAPD | TaskFlags::LOCAL_THROTTLE;
        assert_eq!(Gfp::HIGHUSER_MOVABLE.effective(flags), Gfp::HIGHUSER_MOVABLE);
    }

    #[test]
    fn composites_have_the_bits_of_the_kernels_composites() {
        assert_eq!(Gfp::NOWAIT, Gfp::KSWAPD_RECLAIM | Gfp::NOWARN);
        assert_eq!(Gfp::TRANSHUGE_LIGHT & Gfp::RECLAIM, Gfp::EMPTY);
        assert_eq!(Gfp::TRANSHUGE - Gfp::TRANSHUGE_LIGHT, Gfp::DIRECT_RECLAIM);
        assert!(
            Gfp::KERNEL.has_io_fs()
                && !Gfp::NOFS.has_io_fs()
                && !(Gfp::KERNEL - Gfp::IO).has_io_fs()
        );
    }
}
