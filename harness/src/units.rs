//! Units as types: [`Sectors`], [`Blocks`], [`Pages`], [`Ticks`], [`Nanos`].
//!
//! A number that has a unit is one of these; a plain integer is a count.
//!
//! Sums, and conversions to a smaller unit, end at the largest number that there is. They never
//! wrap, in no build: a size or a time that does not fit stays so large that a check
//! refuses it, or that the time never comes.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// Bytes in a sector.
pub const SECTOR_SIZE: u64 = 512;
/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $suffix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sub for $name {
            type Output = Self;
            /// # Panics
            /// If `other` is the larger one.
            #[track_caller]
            fn sub(self, other: Self) -> Self {
                Self(self.0.checked_sub(other.0).expect("no difference is below 0"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}", $suffix), self.0)
            }
        }
    };
}

unit! {
    /// 512-byte sectors of a block device.
    Sectors, ""
}
unit! {
    /// Blocks, in the block size of a bufio client or of a filesystem.
    Blocks, ""
}
unit! {
    /// 4096-byte pages of memory.
    Pages, ""
}
unit! {
    /// Milliseconds of the world's clock (HZ = 1000).
    Ticks, " ms"
}
unit! {
    /// Nanoseconds since the world began: virtual in the model tier, real elsewhere.
    Nanos, " ns"
}

impl Sectors {
    /// The number of sectors in `bytes` bytes.
    ///
    /// # Panics
    /// If `bytes` is not a whole number of sectors.
    #[track_caller]
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        assert!(
            bytes.is_multiple_of(SECTOR_SIZE),
            "a byte count must be a multiple of 512, the size of a sector"
        );
        Self(bytes / SECTOR_SIZE)
    }

    /// The same extent in bytes; `u64::MAX` where it is longer than that.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0.saturating_mul(SECTOR_SIZE)
    }
}

impl Ticks {
    /// The last time that the world's clock can show, in nanoseconds as well: after 584 years.
    pub const LAST: Self = Self(u64::MAX / 1_000_000);

    /// The same time in nanoseconds; that of [`Ticks::LAST`] where it is later.
    #[must_use]
    pub const fn nanos(self) -> Nanos {
        let ticks = if self.0 < Self::LAST.0 { self.0 } else { Self::LAST.0 };
        Nanos(ticks * 1_000_000)
    }

    /// The time `timeout` after this one, at the latest [`Ticks::LAST`].
    #[must_use]
    pub fn after(self, timeout: Self) -> Self {
        (self + timeout).min(Self::LAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_conversions_end_at_the_largest_number() {
        assert_eq!(Pages(u64::MAX) + Pages(5), Pages(u64::MAX));
        let mut sum = Nanos(u64::MAX - 1);
        sum += Nanos(2);
        assert_eq!(sum, Nanos(u64::MAX));
        assert_eq!(Sectors(1 << 60).bytes(), u64::MAX);
        assert_eq!(Ticks(u64::MAX).nanos(), Ticks::LAST.nanos());
        assert_eq!(Ticks(5).after(Ticks(u64::MAX)), Ticks::LAST);
        assert_eq!((Sectors(8).bytes(), Ticks(3).nanos()), (4096, Nanos(3_000_000)));
    }

    #[test]
    #[should_panic(expected = "no difference is below 0")]
    fn a_difference_below_0_panics_in_every_build() {
        let _ = Pages(1) - Pages(2);
    }
}
