//! Where committed metadata is kept while a filesystem is mounted.
//!
//! Key types: [`Metadata`], [`Store`]. In core, every block that was touched stays until unmount.
//! In dm-bufio a block stays for as long as the cache likes: what the journal committed is dirty
//! there, and may be written home at any time, because the log has it. What it has not committed is
//! in core either way, and the cache never sees it: so nothing is home before it is in the log.
//!
//! A write of the cache's that failed is gone from it, and what is read afterwards may be older
//! than the log: then the filesystem gives EIO until it is mounted again, which replays the log.

use std::sync::Arc;

use super::image::{BLOCK_SIZE, Bno, HEADER, Image};
use crate::block::BlockDevice;
use crate::bufio::{Bufio, Callback, Client, ClientOptions};
use crate::error::{Errno, Result};
use crate::mm::policy::Node;
use crate::sched::{RwSem, Sched};

/// The aux byte of a buffer whose block was found to be what it should be.
const CHECKED: u8 = 1;

/// Who keeps a mounted filesystem's metadata.
#[derive(Clone, Debug, Default)]
pub enum Metadata {
    /// The filesystem itself, until unmount.
    #[default]
    Core,
    /// A dm-bufio client over the same device, which the filesystem makes and destroys.
    Bufio {
        /// What the client shares with the others of its world.
        bufio: Bufio,
        /// Where the client stands in the stack, for policies; none where nobody recorded it.
        node: Option<Node>,
    },
}

/// The same of a filesystem that is mounted.
pub(super) enum Store {
    Core,
    Bufio {
        client: Client,
        /// Shared by who reads from the client, exclusive for its end.
        open: RwSem<()>,
    },
}

impl Store {
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
        // A buffer has what its memory held before: without its header that cannot pass for a whole
        // block.
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

    /// The client that has what was committed.
    pub(super) const fn client(&self) -> Option<&Client> {
        match self {
            Self::Core => None,
            Self::Bufio { client, .. } => Some(client),
        }
    }

    /// Ends the client, once nobody reads from it any more. New readers must be refused already.
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

/// Whether what the client has is what the journal gave it.
///
/// # Errors
/// `EIO` once one of its writes failed.
pub(super) fn trusted(client: &Client) -> Result<(), Errno> {
    if client.write_failures() == 0 { Ok(()) } else { Err(Errno::EIO) }
}

/// The committed image of a block; none where `is_whole`, which is asked each time that it comes
/// from the device, says no.
///
/// # Errors
/// What the device says; `EIO` once a write failed.
pub(super) fn read(
    client: &Client,
    block: Bno,
    is_whole: impl FnOnce(&Image) -> bool,
) -> Result<Option<Arc<Image>>, Errno> {
    let buffer = client.read(block.0.into())?;
    let mut image = Arc::new([0; BLOCK_SIZE]);
    let to = Arc::get_mut(&mut image).expect("nobody else has it yet");
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
    // Last: a failed write shows before its buffer can have gone and come again.
    trusted(client).map(|()| Some(image))
}

/// Gives the client what the journal committed, to be written home at its leisure. Says whether it
/// took it: it does not while somebody's read of the block has failed and is still held.
pub(super) fn put(client: &Client, block: Bno, image: &Image) -> bool {
    let Ok(buffer) = client.new_block(block.0.into()) else { return false };
    buffer.with_contents(|contents| {
        contents.data.copy_from_slice(image);
        contents.aux[0] = CHECKED;
    });
    buffer.mark_dirty();
    true
}

/// Writes everything home, durably.
///
/// # Errors
/// `EIO` where a write failed, now or before; what the flush says.
pub(super) fn write_home(client: &Client) -> Result<(), Errno> {
    let written = client.write_dirty_buffers();
    trusted(client)?;
    written
}
