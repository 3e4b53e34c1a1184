//! `TaskFlags`: the `PF_*` bits of a task that allocations and reclaim look at.
//!
//! Key type: [`TaskFlags`]. Numeric values are those of kernel 6.12 (`include/linux/sched.h`), so
//! that a word read from a real kernel can be used directly; written from docs/kernel/scopes.md,
//! "Task flags". The one bit that no kernel has is [`TaskFlags::MEMALLOC_NOWAIT`].

use core::fmt;
use core::ops::BitOr;

/// Flags of a task, as its `PF_*` word has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct TaskFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bits:literal, $text:literal;)*) => {
        impl TaskFlags {
            $($(#[$doc])* pub const $name: Self = Self($bits);)*
        }
        /// Every bit with its name, in order.
        const NAMES: &[(TaskFlags, &str)] = &[$((TaskFlags::$name, $text)),*];
    };
}

flags! {
    /// `PF_MEMALLOC`: the task is the reclaimer; no reclaim of its own, unlimited reserves.
    MEMALLOC = 0x0000_0800, "PF_MEMALLOC";
    /// `PF_KCOMPACTD`: the background compactor.
    KCOMPACTD = 0x0001_0000, "PF_KCOMPACTD";
    /// `PF_KSWAPD`: the background reclaimer, or a task that stands in for it.
    KSWAPD = 0x0002_0000, "PF_KSWAPD";
    /// `PF_MEMALLOC_NOFS`.
    MEMALLOC_NOFS = 0x0004_0000, "PF_MEMALLOC_NOFS";
    /// `PF_MEMALLOC_NOIO`.
    MEMALLOC_NOIO = 0x0008_0000, "PF_MEMALLOC_NOIO";
    /// `PF_LOCAL_THROTTLE`: the task cleans pages of one device by dirtying another.
    LOCAL_THROTTLE = 0x0010_0000, "PF_LOCAL_THROTTLE";
    /// `PF_KTHREAD`: a thread of the kernel; it inherits no flags from the task that requested it.
    KTHREAD = 0x0020_0000, "PF_KTHREAD";
    /// `PF_MEMALLOC_PIN`.
    MEMALLOC_PIN = 0x1000_0000, "PF_MEMALLOC_PIN";
    /// The experimental nowait scope. The value is ours: 6.12 reverted the flag that 6.9 had.
    MEMALLOC_NOWAIT = 0x4000_0000, "PF_MEMALLOC_NOWAIT";
}

impl TaskFlags {
    /// No bit.
    pub const EMPTY: Self = Self(0);
    /// Every bit that a scope can set; the others say what kind of task this is.
    pub const SCOPES: Self = Self(
        Self::MEMALLOC.0
            | Self::MEMALLOC_NOFS.0
            | Self::MEMALLOC_NOIO.0
            | Self::MEMALLOC_PIN.0
            | Self::MEMALLOC_NOWAIT.0,
    );
    const KNOWN: Self = Self(
        Self::SCOPES.0
            | Self::KCOMPACTD.0
            | Self::KSWAPD.0
            | Self::LOCAL_THROTTLE.0
            | Self::KTHREAD.0,
    );

    /// The word as a number, with the kernel's values.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The flags in a word of a real kernel. Bits without a constant here are dropped.
    #[must_use]
    pub const fn from_bits_truncate(bits: u32) -> Self {
        Self(bits & Self::KNOWN.0)
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set here.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These bits and those of `other`; `|` in a constant.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that are set both here and in `other`.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for TaskFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Debug for TaskFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        for (_, name) in NAMES.iter().filter(|(bit, _)| self.contains(*bit)) {
            write!(f, "{sep}{name}")?;
            sep = "|";
        }
        if self.is_empty() { f.write_str("0") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_under_their_kernel_names() {
        let flags = TaskFlags::KSWAPD | TaskFlags::MEMALLOC;
        assert_eq!(format!("{flags:?} {:?}", TaskFlags::EMPTY), "PF_MEMALLOC|PF_KSWAPD 0");
    }

    #[test]
    fn a_kernel_word_keeps_the_bits_that_have_a_constant_here() {
        // A kworker in a NOFS scope: PF_WQ_WORKER and PF_NOFREEZE have no meaning here.
        let word = 0x0400_0000 | 0x0000_8000 | 0x0020_0000 | 0x0004_0000 | 0x0000_0020;
        let flags = TaskFlags::from_bits_truncate(word);
        assert_eq!(flags, TaskFlags::KTHREAD | TaskFlags::MEMALLOC_NOFS);
        assert!(NAMES.iter().all(|(bit, _)| TaskFlags::from_bits_truncate(bit.bits()) == *bit));
    }
}
