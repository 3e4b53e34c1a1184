//! `Memory`: a buffer that is aligned as `O_DIRECT` wants it.
//!
//! Key type: [`Memory`]. Allocated before the first request is served, because a request
//! must not wait for memory that its own device should make free.
#![expect(unsafe_code, reason = "an aligned allocation of its own")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::batch::CHUNK;

/// The alignment of a buffer's address with which `O_DIRECT` works on any device.
const ALIGN: usize = 4096;

/// The alignment that `O_DIRECT` asks of each piece of memory, in bytes: its address and its length
/// are multiples of these.
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

/// The alignment that `O_DIRECT` asks for on this file, if the kernel says it (since 6.1).
pub(super) fn alignment(file: BorrowedFd<'_>) -> Option<Alignment> {
    let known = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let address = usize::try_from(known.stx_dio_mem_align).ok()?;
    let len = usize::try_from(known.stx_dio_offset_align).ok()?;
    (address > 0 && len > 0).then_some(Alignment { address, len })
}

/// One buffer of [`CHUNK`] bytes.
///
/// # Invariants
/// `base` is an allocation of [`LAYOUT`], which this value owns.
pub(super) struct Memory {
    base: NonNull<u8>,
}

const LAYOUT: Layout = match Layout::from_size_align(CHUNK, ALIGN) {
    Ok(layout) => layout,
    Err(_) => panic!("the alignment is a power of two"),
};

impl Memory {
    pub(super) fn new() -> Self {
        // SAFETY: the layout's size is not 0.
        let base = unsafe { alloc_zeroed(LAYOUT) };
        // INVARIANT: it was just allocated, and nobody else has the address.
        Self { base: NonNull::new(base).unwrap_or_else(|| handle_alloc_error(LAYOUT)) }
    }

    /// The first `len` bytes.
    ///
    /// # Panics
    /// If the buffer is shorter.
    pub(super) fn buffer(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= CHUNK, "{len} bytes of a buffer of {CHUNK}");
        // SAFETY: by the invariant the bytes are inside the allocation, which was zeroed when it
        // was made; `&mut self` keeps every other reference away.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: by the invariant it was allocated with this layout.
        unsafe { dealloc(self.base.as_ptr(), LAYOUT) }
    }
}
