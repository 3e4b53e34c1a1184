//! `Memory`: buffers that are aligned as `O_DIRECT` wants them.
//!
//! Key type: [`Memory`]. Allocated before the first request is served, so that no request waits for
//! memory that its own device should make free.
#![expect(unsafe_code, reason = "the kernel fills buffers while nobody may look at them")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::batch::CHUNK;

/// What `O_DIRECT` asks of a buffer's address, on any device.
const ALIGN: usize = 4096;

/// What `O_DIRECT` asks of each piece of memory: of what its address and its length are multiples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alignment {
    pub(super) address: usize,
    pub(super) len: usize,
}

impl Alignment {
    pub(super) fn suits(self, piece: &[u8]) -> bool {
        piece.as_ptr().addr().is_multiple_of(self.address) && piece.len().is_multiple_of(self.len)
    }
}

/// What `O_DIRECT` asks for on this file, where the kernel says it (since 6.1).
pub(super) fn alignment(file: BorrowedFd<'_>) -> Option<Alignment> {
    let known = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let address = usize::try_from(known.stx_dio_mem_align).ok()?;
    let len = usize::try_from(known.stx_dio_offset_align).ok()?;
    (address > 0 && len > 0).then_some(Alignment { address, len })
}

/// One buffer of [`CHUNK`] bytes for each slot.
pub(super) struct Memory {
    base: NonNull<u8>,
    slots: usize,
}

impl Memory {
    /// # Panics
    /// If `slots` is 0.
    pub(super) fn new(slots: usize) -> Self {
        let layout = Self::layout(slots);
        assert!(layout.size() > 0, "memory of no slots");
        // SAFETY: the layout's size is not 0.
        let base = unsafe { alloc_zeroed(layout) };
        let base = NonNull::new(base).unwrap_or_else(|| handle_alloc_error(layout));
        Self { base, slots }
    }

    fn layout(slots: usize) -> Layout {
        let bytes = slots.checked_mul(CHUNK).expect("a bounded number of slots");
        Layout::from_size_align(bytes, ALIGN)
            .expect("a power of two, and far from the end of memory")
    }

    /// Where the buffer of `slot` begins; it has [`CHUNK`] bytes.
    ///
    /// # Panics
    /// If there is no such slot.
    pub(super) fn address(&self, slot: usize) -> *mut u8 {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        // SAFETY: the offset is inside the allocation, which has `slots * CHUNK` bytes.
        unsafe { self.base.as_ptr().add(slot * CHUNK) }
    }

    /// The first `len` bytes of the buffer of `slot`.
    ///
    /// # Panics
    /// If there is no such slot, or it is shorter.
    ///
    /// # Safety
    /// The kernel must not have the slot: from when a system call or ring entry with its address is
    /// handed over until that is complete, nobody may look at it.
    pub(super) unsafe fn buffer(&mut self, slot: usize, len: usize) -> &mut [u8] {
        assert!(len <= CHUNK, "{len} bytes of a slot");
        let start = self.address(slot);
        // SAFETY: the bytes are inside the allocation and were zeroed when it was made; `&mut self`
        // keeps every other reference away, and the caller the kernel.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and whoever owns it gave no slot to the kernel
        // that is not back (see `Memory::buffer`).
        unsafe { dealloc(self.base.as_ptr(), Self::layout(self.slots)) }
    }
}
