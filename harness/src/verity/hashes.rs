//! `Hashes`: the hash device's cache, and which of its blocks were checked since they were read.
//!
//! Key type: [`Hashes`]. A block is checked once its bytes were compared with a trusted digest. The
//! aux byte of the buffer holds that, so it is lost together with the bytes: a block that was
//! evicted and read again may have other bytes. Locking: dm-bufio's.
//!
//! Written from docs/kernel/dm-bufio.md, "The client" (aux_size, alloc_callback).

use crate::bufio::{Buffer, Callback, Client, ClientOptions, ClientParts};
use crate::error::{Errno, Result};

/// The aux byte of a buffer that was checked.
const CHECKED: u8 = 1;

/// The hash blocks of one target.
pub(super) struct Hashes {
    client: Client,
}

impl Hashes {
    /// A cache made as `options` say, with one aux byte for each buffer.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub(super) fn new(parts: ClientParts, options: ClientOptions) -> Result<Self> {
        let unmark = Callback::new(|contents| contents.aux.fill(0));
        let options = ClientOptions { aux_size: 1, alloc_callback: Some(unmark), ..options };
        Ok(Self { client: Client::create(parts, options)? })
    }

    /// The block, if it is cached and was checked. Never waits for I/O.
    pub(super) fn checked(&self, block: u64) -> Option<Buffer<'_>> {
        self.client.get(block).filter(is_checked)
    }

    /// The block, from the cache or the device, and whether it was checked.
    pub(super) fn read(&self, block: u64) -> Result<(Buffer<'_>, bool), Errno> {
        let buffer = self.client.read(block)?;
        let checked = is_checked(&buffer);
        Ok((buffer, checked))
    }

    /// Records that the buffer's bytes were checked. The hold keeps them from being evicted
    /// meanwhile.
    pub(super) fn mark(buffer: &Buffer<'_>) {
        buffer.with_aux(|aux| aux.fill(CHECKED));
    }

    /// Starts reading blocks that will be needed. An error is ignored here; the later read returns
    /// it.
    pub(super) fn prefetch(&self, blocks: std::ops::Range<u64>) {
        self.client.prefetch(blocks.start, blocks.end.saturating_sub(blocks.start));
    }

    /// Frees the cache.
    ///
    /// # Errors
    /// As [`Client::destroy`].
    pub(super) fn close(&self) -> Result<()> {
        self.client.destroy()
    }
}

fn is_checked(buffer: &Buffer<'_>) -> bool {
    buffer.with_aux(|aux| aux == [CHECKED])
}
