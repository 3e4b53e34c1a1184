//! Where committed metadata is kept while a filesystem is mounted.
//!
//! Key types: [`Metadata`], [`MetadataStore`]. In core, every block that was used stays until
//! unmount. In dm-bufio a block may be evicted at any time. Committed blocks are dirty there, and
//! may be written home at any time, because the log has them. Uncommitted blocks are in core in
//! both cases, and dm-bufio never sees them; so no block is home before it is in the log.
//!
//! If dm-bufio fails to write a buffer, it drops the buffer, and a later read may get contents that
//! are older than the log. From then on the filesystem gives EIO, until the next mount replays the
//! log.
//!
//! Locking: "metadata" > dm-bufio's locks.

use std::sync::Arc;

use super::image::{BLOCK_SIZE, Bno, HEADER, Image};
use crate::block::BlockDevice;
use crate::bufio::{Bufio, Callback, Client, ClientOptions};
use crate::error::{Errno, Result};
use crate::mm::policy::Node;
use crate::sched::{RwSem, Sched};

/// The aux byte of a buffer whose block has passed its check.
const CHECKED: u8 = 1;

/// Where a mounted filesystem's metadata is kept.
#[derive(Clone, Debug, Default)]
pub enum Metadata {
    /// In core, until unmount.
    #[default]
    Core,
    /// In a dm-bufio client on the same device, which the filesystem makes and destroys.
    Bufio {
        /// The state that all clients of a world share.
        bufio: Bufio,
        /// The client's node in the topology, for policies; `None` where it has none.
        node: Option<Node>,
    },
}

/// Where the metadata of this mounted filesystem is kept.
pub(super) enum MetadataStore {
    Core,
    Bufio {
        client: Client,
        /// Readers of the client hold it shared; the client is destroyed under it, exclusively.
        open: RwSem<()>,
    },
}

impl MetadataStore {
    /// # Errors
    /// As [`Bufio::create`].
    pub(super) fn open(
        metadata: Metadata,
        sched: &Sched,
        name: &str,
        device: &Arc<dyn BlockDevice>,
    ) -> Result<Self> {
        let Metadata::Bufio { bufio, node } = metadata else { return Ok(Self::Core) };
        let block_size = u32::try_from(BLOCK_SIZE).expect("a block is 4 KiB");
        // A new buffer holds the old contents of its memory. Without its header they cannot pass
        // the check of a block.
        let unchecked = Callback::new(|contents| {
            contents.aux.fill(0);
            contents.data[..HEADER].fill(0);
        });
        let options = ClientOptions {
            block_size,
            aux_size: 1,
            alloc_callback: Some(unchecked),
            ..ClientOptions::default()
        };
        let client = bufio.create(Arc::clone(device), node, options)?;
        Ok(Self::Bufio { client, open: RwSem::new(sched, "metadata", &format!("fs:{name}"), ()) })
    }

    /// The client that keeps committed metadata, if there is one.
    pub(super) const fn client(&self) -> Option<&Client> {
        match self {
            Self::Core => None,
            Self::Bufio { client, .. } => Some(client),
        }
    }

    /// Destroys the client after the last reader has left. The caller already refuses new readers.
    ///
    /// # Errors
    /// As [`Client::destroy`].
    pub(super) fn close(&self) -> Result<()> {
        match self {
            Self::Core => Ok(()),
            Self::Bufio { client, open } => {
                drop(open.write());
                client.destroy()
            }
        }
    }
}

/// Checks that the client has all that the journal handed over.
///
/// # Errors
/// `EIO` once a write of the client failed.
pub(super) fn trusted(client: &Client) -> Result<(), Errno> {
    if client.write_failures() == 0 { Ok(()) } else { Err(Errno::EIO) }
}

/// The committed image of a block. `is_whole` checks it after each read from the device; `None` if
/// that fails.
///
/// # Errors
/// The device's errno; `EIO` once a write failed.
pub(super) fn read(
    client: &Client,
    block: Bno,
    is_whole: impl FnOnce(&Image) -> bool,
) -> Result<Option<Arc<Image>>, Errno> {
    let buffer = client.read(block.0.into())?;
    let mut image = Arc::new([0; BLOCK_SIZE]);
    let to = Arc::get_mut(&mut image).expect("a new image is not shared");
    let checked = buffer.with_contents(|contents| {
        to.copy_from_slice(contents.data);
        contents.aux[0] == CHECKED
    });
    if !checked {
        if !is_whole(&image) {
            return trusted(client).map(|()| None);
        }
        buffer.with_aux(|aux| aux[0] = CHECKED);
    }
    drop(buffer);
    // Checked last: the count of failed writes grows before the buffer is dropped and read again.
    trusted(client).map(|()| Some(image))
}

/// Hands a committed block over to the client, which writes it home later. Returns whether the
/// client took it: it refuses while another task holds a buffer of the block whose read failed.
pub(super) fn put(client: &Client, block: Bno, image: &Image) -> bool {
    let Ok(buffer) = client.new_block(block.0.into()) else { return false };
    buffer.with_contents(|contents| {
        contents.data.copy_from_slice(image);
        contents.aux[0] = CHECKED;
    });
    buffer.mark_dirty();
    true
}

/// Writes every dirty buffer home, durably.
///
/// # Errors
/// `EIO` if a write failed, now or before; the errno of the flush.
pub(super) fn write_home(client: &Client) -> Result<(), Errno> {
    let written = client.write_dirty_buffers();
    trusted(client)?;
    written
}
