//! Units as types: [`Sectors`], [`Blocks`], [`Pages`], [`Ticks`], [`Nanos`].
//!
//! A number that has a unit is one of these; a plain integer is a count.

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
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
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

    /// The same extent in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 * SECTOR_SIZE
    }
}

impl Ticks {
    /// The same time in nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> Nanos {
        Nanos(self.0 * 1_000_000)
    }
}
