//! How to make a client (docs/kernel/dm-bufio.md, "The client").
//!
//! Key types: [`ClientOptions`], [`Callback`], [`Contents`].

use std::fmt;
use std::sync::Arc;

use crate::block::BlockDevice;
use crate::era::{BufioGeneration, ShrinkerForm};
use crate::error::{Error, Result};
use crate::units::{SECTOR_SIZE, Sectors};

/// Bytes that age-out and shrinker leave a client (the `retain_bytes` knob's default since 2016).
const RETAIN_BYTES: u64 = 256 * 1024;
/// Bytes beside a buffer at the most: it is one allocation with its head, and no slab has larger
/// ones (KMALLOC_MAX_SIZE).
const AUX_MAX: usize = 4 << 20;
/// The default number of trees of the modern index; the kernel takes two for each CPU.
const TREES: u32 = 4;

/// A buffer's contents, as a callback sees them.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The block.
    pub block: u64,
    /// Its data, `block_size` bytes.
    pub data: &'a mut [u8],
    /// The user's own bytes beside it, `aux_size` of them.
    pub aux: &'a mut [u8],
}

/// A user's function that a client calls; it must not wait, and its heap allocations do not
/// reclaim.
#[derive(Clone)]
pub struct Callback(Arc<dyn Fn(&mut Contents<'_>) + Send + Sync>);

impl Callback {
    /// Calls `f`.
    pub fn new(f: impl Fn(&mut Contents<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    pub(super) fn call(&self, contents: &mut Contents<'_>) {
        (self.0)(contents);
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// How to make a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Bytes of a block: until 2014 a power of two of at least 512, since then a multiple of 512.
    /// By default 4096.
    pub block_size: u32,
    /// Buffers that are allocated at once and kept for when memory is short: one for each that a
    /// task holds at the same time. By default 1; with 0 nothing is kept, and a task may wait for
    /// another's buffer for ever.
    pub reserved_buffers: usize,
    /// Bytes beside each buffer that belong to the user, at most 4 MiB; by default none.
    pub aux_size: usize,
    /// Where block 0 begins on the device; by default at its start.
    pub start: Sectors,
    /// Buffers the client may have before it evicts its own, set by hand; with `u64::MAX`, which is
    /// the default, the number that the era gives. It is a watermark, not a bound: 8 buffers may
    /// always stay, held buffers stay, and a new buffer may exceed it by one.
    pub max_buffers: u64,
    /// Bytes that age-out and the shrinker leave, in eras that leave any; by default 256 KiB.
    pub retain_bytes: u64,
    /// `get` may be called where nothing may sleep (since kernel 6.0). By default it may not.
    pub no_sleep: bool,
    /// Called each time that a buffer is handed out for a new block.
    pub alloc_callback: Option<Callback>,
    /// Called in the submitter before each write.
    pub write_callback: Option<Callback>,
    /// The shrinker's form, set by hand.
    pub shrinker: Option<ShrinkerForm>,
    /// Trees of the modern index: a power of two; by default 4.
    pub trees: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            block_size: 4096,
            reserved_buffers: 1,
            aux_size: 0,
            start: Sectors(0),
            max_buffers: u64::MAX,
            retain_bytes: RETAIN_BYTES,
            no_sleep: false,
            alloc_callback: None,
            write_callback: None,
            shrinker: None,
            trees: TREES,
        }
    }
}

impl ClientOptions {
    /// Whether a client of `device` can be made so.
    pub(super) fn check(
        &self,
        device: &dyn BlockDevice,
        generation: BufioGeneration,
    ) -> Result<()> {
        let (name, size) = (device.name(), u64::from(self.block_size));
        let refused = |what: String, advice: &str| {
            Err(Error::input(format!("bufio client on {name}: {what}")).advice(advice))
        };
        let blocks = format!("a block of {size} bytes");
        if generation == BufioGeneration::V2014 && (!size.is_power_of_two() || size < SECTOR_SIZE) {
            return refused(blocks, "use a power of two of at least 512");
        }
        if size == 0 || !size.is_multiple_of(SECTOR_SIZE) {
            return refused(blocks, "use a multiple of 512");
        }
        if self.aux_size > AUX_MAX {
            return refused(
                format!("{} bytes beside each buffer", self.aux_size),
                "use 4 MiB at the most",
            );
        }
        if !self.trees.is_power_of_two() {
            return refused(format!("{} trees", self.trees), "use a power of two");
        }
        let (bytes, start) = (device.sectors().bytes(), self.start.bytes());
        if bytes.saturating_sub(start) < size {
            let what = format!(
                "the device has {bytes} bytes, fewer than one block of {size} from byte {start} on"
            );
            return refused(what, "use a longer device, smaller blocks or an earlier start");
        }
        if self.no_sleep && generation < BufioGeneration::V5_4 {
            return refused("no-sleep mode".to_owned(), "there is none before 6.0");
        }
        Ok(())
    }
}
