//! The memory of one client's buffers: slab, page allocator or vmalloc (docs/kernel/dm-bufio.md,
//! "The client").
//!
//! Key type: [`Allocator`]. Small blocks come from a slab of the client; a block of whole pages
//! from the page allocator, if the mask has NORETRY; everything else from vmalloc, in practice the
//! initial reserve alone. Until 5.17 vmalloc allocated its page tables without regard to the mask,
//! so dm-bufio put a NOIO scope around it (the report "vmalloc in dm-bufio" of
//! docs/kernel/deadlocks.md, "dm-bufio and loop"). Locking: the slab's page in use is a leaf.

use std::sync::Arc;

use reclaimdep_scope as scope;

use super::memory::{Memory, Mode};
use super::shared::Shared;
use crate::event::Gfp;
use crate::mm::PageBlock;
use crate::sched::SpinLock;
use crate::units::PAGE_SIZE;

/// Allocates and frees the memory of one client's buffers, and accounts for it.
pub(super) struct Allocator {
    shared: Arc<Shared>,
    /// Bytes of a block.
    size: u64,
    /// The slab page in use, and how many objects are left in it.
    slab: SpinLock<Option<(Arc<PageBlock>, u64)>>,
}

impl Allocator {
    pub(super) fn new(shared: &Arc<Shared>, block_size: u32) -> Self {
        Self { shared: Arc::clone(shared), size: u64::from(block_size), slab: SpinLock::default() }
    }

    /// Memory for one buffer.
    pub(super) fn alloc(&self, mask: Gfp) -> Option<Memory> {
        let (mm, size) = (&self.shared.mm, self.size);
        let order = |bytes: u64| bytes.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros();
        let memory = match Mode::of(size, mask, self.shared.generation()) {
            Mode::Slab => self.slab_object(mask, order(size))?,
            Mode::Pages => Memory::Pages(mm.alloc(order(size), mask)?),
            Mode::Vmalloc => {
                let scoped = mask.contains(Gfp::NORETRY) && !self.shared.knobs.mm.vmalloc_scope;
                let _noio = scoped.then(|| scope::noio());
                Memory::Vmalloc(mm.vmalloc(size.div_ceil(PAGE_SIZE), mask)?)
            }
        };
        self.shared.accounts.add(memory.mode(), size);
        Some(memory)
    }

    fn slab_object(&self, mask: Gfp, order: u32) -> Option<Memory> {
        if let Some((page, left)) = &mut *self.slab.lock()
            && *left > 0
        {
            *left -= 1;
            return Some(Memory::Slab(Arc::clone(page)));
        }
        let page = Arc::new(self.shared.mm.alloc(order, mask)?);
        let objects = (PAGE_SIZE << order) / self.size;
        let before = self.slab.lock().replace((Arc::clone(&page), objects - 1));
        drop(before);
        Some(Memory::Slab(page))
    }

    pub(super) fn free(&self, memory: Memory) {
        self.shared.accounts.sub(memory.mode(), self.size);
        drop(memory);
    }

    /// Gives the slab page in use back.
    pub(super) fn close(&self) {
        let page = self.slab.lock().take();
        drop(page);
    }
}
