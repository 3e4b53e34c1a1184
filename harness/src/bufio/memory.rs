//! The three kinds of memory that a buffer's data lives in, and their accounts
//! (docs/kernel/dm-bufio.md, "Data memory").
//!
//! Key types: `Memory`, [`Mode`], [`Accounts`]. Neighbour: `allocator` allocates it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::era::BufioGeneration;
use crate::event::Gfp;
use crate::mm::PageBlock;
use crate::units::PAGE_SIZE;

/// The largest object of a slab that kmalloc has (KMALLOC_MAX_SIZE).
const KMALLOC_MAX: u64 = 4 << 20;
/// The largest block of the page allocator, in bytes (MAX_PAGE_ORDER).
const PAGES_MAX: u64 = PAGE_SIZE << 10;

/// The kind of memory that data lives in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// A slab of the client's own.
    Slab,
    /// The page allocator.
    Pages,
    /// Vmalloc.
    Vmalloc,
}

impl Mode {
    /// How a block of `size` bytes is allocated with `mask`.
    pub(super) fn of(size: u64, mask: Gfp, generation: BufioGeneration) -> Self {
        let slab = if generation == BufioGeneration::V2014 {
            size <= PAGE_SIZE / 2
        } else {
            size <= KMALLOC_MAX && (size < PAGE_SIZE || !size.is_power_of_two())
        };
        match (slab, mask.contains(Gfp::NORETRY) && size <= PAGES_MAX) {
            (true, _) => Self::Slab,
            (false, true) => Self::Pages,
            (false, false) => Self::Vmalloc,
        }
    }
}

/// The pages behind one buffer; dropping them frees them.
#[expect(dead_code, reason = "the pages are only held until the drop frees them")]
pub(super) enum Memory {
    Slab(Arc<PageBlock>),
    Pages(PageBlock),
    Vmalloc(Vec<PageBlock>),
}

impl Memory {
    pub(super) const fn mode(&self) -> Mode {
        match self {
            Self::Slab(_) => Mode::Slab,
            Self::Pages(_) => Mode::Pages,
            Self::Vmalloc(_) => Mode::Vmalloc,
        }
    }
}

/// Bytes of all clients' buffers, by mode (the `allocated_*` knobs).
#[derive(Debug, Default)]
pub struct Accounts {
    by_mode: [AtomicU64; 3],
    current: AtomicU64,
    peak: AtomicU64,
}

impl Accounts {
    pub(super) fn add(&self, mode: Mode, bytes: u64) {
        self.by_mode[mode as usize].fetch_add(bytes, Ordering::AcqRel);
        let now = self.current.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.peak.fetch_max(now, Ordering::AcqRel);
    }

    pub(super) fn sub(&self, mode: Mode, bytes: u64) {
        self.by_mode[mode as usize].fetch_sub(bytes, Ordering::AcqRel);
        self.current.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Bytes in this mode (`allocated_kmem_cache_bytes` and its like).
    #[must_use]
    pub fn allocated(&self, mode: Mode) -> u64 {
        self.by_mode[mode as usize].load(Ordering::Acquire)
    }

    /// Bytes in all modes (`current_allocated_bytes`).
    #[must_use]
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// The largest number of bytes since the last reset (`peak_allocated_bytes`).
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Acquire)
    }

    /// Sets the peak back to the present number.
    pub fn reset_peak(&self) {
        self.peak.store(self.current(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_mask_and_kernel_decide_which_memory_a_block_gets() {
        use BufioGeneration::{V2014, V2018};
        let noretry = Gfp::NOWAIT | Gfp::NORETRY;
        for (size, mask, generation, expect) in [
            (512, noretry, V2014, Mode::Slab),
            (2048, Gfp::KERNEL, V2014, Mode::Slab),
            (4096, noretry, V2014, Mode::Pages),
            (4096, Gfp::KERNEL, V2014, Mode::Vmalloc),
            (3584, noretry, V2018, Mode::Slab),
            (12288, noretry, V2018, Mode::Slab),
            (4096, noretry, V2018, Mode::Pages),
            (8 << 20, noretry, V2018, Mode::Vmalloc),
        ] {
            assert_eq!(Mode::of(size, mask, generation), expect, "{size} {mask} {generation:?}");
        }
    }

    #[test]
    fn accounts_keep_the_peak_until_it_is_reset() {
        let accounts = Accounts::default();
        accounts.add(Mode::Slab, 512);
        accounts.add(Mode::Pages, 4096);
        accounts.sub(Mode::Pages, 4096);
        assert_eq!((accounts.current(), accounts.peak()), (512, 4608));
        assert_eq!((accounts.allocated(Mode::Slab), accounts.allocated(Mode::Pages)), (512, 0));
        accounts.reset_peak();
        assert_eq!(accounts.peak(), 512);
    }
}
