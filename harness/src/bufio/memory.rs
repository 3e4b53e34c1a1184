//! Memory for a buffer's data, in three modes, and its accounting (1.1, last part).
//!
//! Key types: [`Memory`], [`Mode`], [`Accounts`]. Small blocks come from a slab; a block of whole
//! pages from the page allocator, if the mask has NORETRY; what is left from vmalloc, in practice
//! the initial reserve alone. Vmalloc's page tables ignored the mask until 5.17, so dm-bufio put a
//! NOIO scope around it (C06).
//!
//! Locking: the slab's page in use is a leaf.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep_scope as scope;

use super::client::Inner;
use crate::era::BufioGeneration;
use crate::event::Gfp;
use crate::mm::PageBlock;
use crate::sched::SpinLock;
use crate::units::PAGE_SIZE;

/// The largest object of a slab that kmalloc has (KMALLOC_MAX_SIZE).
const KMALLOC_MAX: u64 = 4 << 20;
/// The largest block of the page allocator, in bytes (MAX_PAGE_ORDER).
const PAGES_MAX: u64 = PAGE_SIZE << 10;

/// Where data lives.
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
#[expect(dead_code, reason = "what is held is pages, until the drop")]
pub(super) enum Memory {
    Slab(Arc<PageBlock>),
    Pages(PageBlock),
    /// Behind one more pointer: it is rare, and the others are as small as it is then.
    Vmalloc(Box<Box<[PageBlock]>>),
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

/// A slab page that has objects left.
#[derive(Default)]
pub(super) struct Slab(SpinLock<Option<(Arc<PageBlock>, u64)>>);

impl Inner {
    /// Pages for one buffer.
    pub(super) fn alloc_memory(&self, mask: Gfp) -> Option<Memory> {
        let (mm, size) = (&self.bufio.0.mm, u64::from(self.options.block_size));
        let order = |bytes: u64| bytes.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros();
        let memory = match Mode::of(size, mask, self.generation()) {
            Mode::Slab => self.slab_object(mask, size, order(size))?,
            Mode::Pages => Memory::Pages(mm.alloc(order(size), mask)?),
            Mode::Vmalloc => {
                let scoped = mask.contains(Gfp::NORETRY) && !self.bufio.0.knobs.mm.vmalloc_scope;
                let _noio = scoped.then(scope::noio);
                Memory::Vmalloc(Box::new(mm.vmalloc(size.div_ceil(PAGE_SIZE), mask)?.into()))
            }
        };
        self.bufio.0.accounts.add(memory.mode(), size);
        Some(memory)
    }

    fn slab_object(&self, mask: Gfp, size: u64, order: u32) -> Option<Memory> {
        if let Some((page, left)) = &mut *self.slab.0.lock()
            && *left > 0
        {
            *left -= 1;
            return Some(Memory::Slab(Arc::clone(page)));
        }
        let page = Arc::new(self.bufio.0.mm.alloc(order, mask)?);
        let objects = (PAGE_SIZE << order) / size;
        let before = self.slab.0.lock().replace((Arc::clone(&page), objects - 1));
        drop(before);
        Some(Memory::Slab(page))
    }

    pub(super) fn free_memory(&self, memory: Memory) {
        self.bufio.0.accounts.sub(memory.mode(), u64::from(self.options.block_size));
        drop(memory);
    }

    /// The page that the slab has begun goes with the client.
    pub(super) fn close_slab(&self) {
        let page = self.slab.0.lock().take();
        drop(page);
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
    fn add(&self, mode: Mode, bytes: u64) {
        self.by_mode[mode as usize].fetch_add(bytes, Ordering::AcqRel);
        let now = self.current.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.peak.fetch_max(now, Ordering::AcqRel);
    }

    fn sub(&self, mode: Mode, bytes: u64) {
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

    /// The most that there ever were since the last reset (`peak_allocated_bytes`).
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Acquire)
    }

    /// Begins the peak again from what there is now.
    pub fn reset_peak(&self) {
        self.peak.store(self.current(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gets_its_memory_from_where_its_size_mask_and_kernel_say() {
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
